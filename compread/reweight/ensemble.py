"""Several stores of one task, one prediction: their scores, brought to one size, are averaged.

    score_y = 1/M Σ_m s_m[y] / size_m

s_m [K] is what member m makes of a row behind its own prompt, less its mean over the labels; size_m
is the root mean square of that over its train rows, less each label's mean there. Stores of several
demonstration seeds have train rows of their own, and Blend weighs the components on all of them
together, each store's rows centred over themselves (``Method.fit_together``).

Which stores belong together, and which column is which class, is ``matching``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compread.analysis.repeats import distinct
from compread.array_types import Floats, Ints
from compread.errors import UsageError, option
from compread.reweight.fit import Fit, trainings_of, unscored_fit
from compread.reweight.matching import matched
from compread.reweight.method import Fitted, Method
from compread.reweight.rows import Rows, Training, rows_of
from compread.reweight.scoring import HeldOutAccuracy, finite_scores, held_out
from compread.reweight.solvers.signal import centred_over_answers
from compread.reweight.threads import blas_threads
from compread.store import Store

ALIKE = 0.25
"""ρ, how far the members' errors go together: near it the log loss of eight tasks is least."""
SMALLEST = 1e-9
"""Of the largest score: a spread below it is rounding, and no size to divide by."""


@dataclass(frozen=True)
class Ensemble:
    """One method on M stores, with one number of train rows each."""

    how: str
    """What the stores differ in: one of ``options.ENSEMBLES``; empty where there is one store."""
    members: tuple[Fit, ...]
    """[M]"""
    sizes: tuple[float, ...]
    """[M]"""
    columns: tuple[tuple[int, ...], ...]
    """[M, K] the member's column of each class of the first member."""
    n_train: int
    """Train rows of each store."""
    test: HeldOutAccuracy | None = None
    """None until it is scored."""

    @classmethod
    def of_one(cls, fit: Fit) -> Ensemble:
        """A fit as one that is not averaged with any other."""
        columns = tuple(range(len(fit.labels.word)))
        return cls("", (fit,), (1.0,), (columns,), len(fit.train_ids))

    @property
    def first(self) -> Fit:
        """The member whose labels the classes are named after."""
        return self.members[0]

    @property
    def labelled(self) -> int:
        """How many train rows there are in all, each counted once."""
        return len({row for member in self.members for row in member.train_ids})

    @property
    def temperature(self) -> float | None:
        """What the averaged scores are divided by before they become probabilities.

        The mean of the members' temperatures, each for scores of its size, times what is left of
        their errors' variance in an average, 1/M + (1 - 1/M) ρ. None if a member has none.
        """
        own = [
            fit.temperature / size
            for fit, size in zip(self.members, self.sizes, strict=True)
            if fit.temperature is not None
        ]
        if len(own) < len(self.members):
            return None
        return float(np.mean(own)) * (1 / len(own) + (1 - 1 / len(own)) * ALIKE)

    def scores(self, rows: Sequence[Rows]) -> Floats:
        """[N, K] of the same N rows behind each member's prompt, in the members' order."""
        return self.average(
            [finite_scores(m.fitted, own) for m, own in zip(self.members, rows, strict=True)]
        )

    def average(self, scores: Sequence[Floats]) -> Floats:
        """[N, K] of the members' scores [N, K]."""
        absent = np.isneginf(scores[0])
        total = np.zeros_like(scores[0])
        k = total.shape[1]
        for own, size, columns in zip(scores, self.sizes, self.columns_of(k), strict=True):
            total += centred_over_answers(np.where(absent, np.nan, own))[:, columns] / size
        return np.where(absent, -np.inf, total / len(self.members))

    def columns_of(self, k: int) -> Sequence[Sequence[int]]:
        """``columns`` for rows of ``k`` labels; answers of their own stand in the same places."""
        return [range(k)] * len(self.members) if self.first.labels.are_positions else self.columns

    def row_wise(self) -> Ensemble | None:
        """The form that labels a row without others beside it; None where there is none."""
        if not self.first.fitted.transductive:
            return self
        forms = [member.fitted.row_wise() for member in self.members]
        alone = [form for form in forms if form is not None]
        if len(alone) < len(forms):
            return None
        members = [
            replace(member, method=name, fitted=fitted, test=None)
            for member, (name, fitted) in zip(self.members, alone, strict=True)
        ]
        return replace(self, members=tuple(members), test=None)

    def row(self) -> dict[str, Any]:
        """The keys and values of one line of the list ``ensembles``."""
        test = self.test
        return {
            "task": self.first.run.task,
            "ensemble": self.how,
            "stores": [member.store for member in self.members],
            "templates": list(dict.fromkeys(member.run.wording for member in self.members)),
            "seeds": list(dict.fromkeys(member.run.seed for member in self.members)),
            "method": self.first.method,
            "recipe": self.first.recipe,
            "n_train": self.n_train,
            "labelled": self.labelled,
            "accuracy": test and test.accuracy,
            "accuracy_low": test and test.accuracy_low,
            "accuracy_high": test and test.accuracy_high,
            "n": test.n if test else 0,
            "temperature": self.temperature,
            **(test.keys() if test else {}),
        }


def forms_of(one: Ensemble) -> tuple[Ensemble, ...]:
    """An ensemble, and behind it its form for rows alone where that is another."""
    alone = one.row_wise()
    return (one,) if alone is None or alone is one else (one, alone)


def ensembles(
    stores: Sequence[Store],
    fits: Sequence[Fit],
    methods: Sequence[Method],
    budgets: Sequence[int | None],
    how: str,
) -> tuple[Ensemble, ...]:
    """The ensembles of stores that belong together, scored on their test rows.

    Args:
        stores: the runs.
        fits: of ``compread.reweight.fit.reweight`` on the same stores, methods and budgets.
        methods: as there.
        budgets: as there.
        how: one of ``options.ENSEMBLES``.

    Returns:
        In the order group of stores, budget, method.

    Raises:
        UsageError: labels' shares in numbers, of stores with their labels in other orders.
        StoreError: a store has no other to be averaged with, they have other rows or classes, or
            all of their train rows are asked for and are not as many in each.
    """
    per_store = len(budgets) * len(methods)
    found: list[Ensemble] = []
    with blas_threads(1):
        for group, columns in matched(stores, how, budgets):
            some = [stores[s] for s in group]
            _check_label_shares(methods, some, columns)
            unscored = []
            training = zip(*(trainings_of(store, budgets) for store in some), strict=True)
            for b, runs in enumerate(training):
                for m, method in enumerate(methods):
                    alone = [fits[s * per_store + b * len(methods) + m] for s in group]
                    members = alone if how == "templates" else _together(method, some, runs, alone)
                    unscored.append(_ensemble(how, members, runs, columns))
            found += score(unscored, some)
    return tuple(found)


def _check_label_shares(
    methods: Sequence[Method], stores: Sequence[Store], columns: Sequence[tuple[int, ...]]
) -> None:
    """Refuse shares given as numbers where stores have their labels in other orders.

    Raises:
        UsageError: they would be of other labels in one store than in the next.
    """
    told = any(isinstance(getattr(method, "label_shares", None), tuple) for method in methods)
    for store, own in zip(stores, columns, strict=True):
        if told and own != tuple(sorted(own)):
            raise UsageError(
                f"{option('label-shares')}: {stores[0].path} has its labels as "
                f"{', '.join(stores[0].labels.names)} and {store.path} as "
                f"{', '.join(store.labels.names)}, so that numbers would be of other labels; give "
                "estimate, or leave one of them out"
            )


def _together(
    method: Method, stores: Sequence[Store], training: Sequence[Training], alone: Sequence[Fit]
) -> list[Fit]:
    """The fits of stores, those of one template fitted together."""
    found = list(alone)
    if not method.together:
        return found
    for template in dict.fromkeys(store.run.template for store in stores):
        of = [i for i, store in enumerate(stores) if store.run.template == template]
        if len(of) < 2:
            continue
        rows = tuple(row for i in of for row in training[i].id)
        fitted = method.fit_together([training[i] for i in of])
        for i, one in zip(of, fitted, strict=True):
            at = _temperature(alone[i], one, training[i])
            fit = unscored_fit(stores[i], training[i], method, one, at)
            found[i] = replace(fit, train_ids=rows)
    return found


def _temperature(alone: Fit, together: Fitted, run: Training) -> float | None:
    """That of the fit on the store's own rows, for the size of the scores of all rows' fit."""
    if alone.temperature is None:
        return None
    own, joint = (size_of(fitted, run.rows) for fitted in (alone.fitted, together))
    return alone.temperature * joint / own


def _ensemble(
    how: str,
    members: Sequence[Fit],
    training: Sequence[Training],
    columns: tuple[tuple[int, ...], ...],
) -> Ensemble:
    sizes = [
        size_of(fit.fitted, run.rows) if len(run) else 1.0
        for fit, run in zip(members, training, strict=True)
    ]
    return Ensemble(how, tuple(members), tuple(sizes), columns, len(training[0]))


def size_of(fitted: Fitted, rows: Rows) -> float:
    """The root mean square of scores of rows, less their means over labels and over the rows.

    Where rows have answers of their own, columns have no mean to take. 1 where scores do not vary
    over the rows, as nothing is known of their size then.
    """
    scores, there = fitted.scores(rows), ~rows.absent
    centred = centred_over_answers(np.where(there, scores, np.nan))
    if not rows.own_answers:
        centred = centred - centred.mean(axis=0)
    size = float(np.sqrt((centred[there] ** 2).mean()))
    return size if size > SMALLEST * np.abs(scores[there]).max() else 1.0


def score(some: Sequence[Ensemble], stores: Sequence[Store]) -> Iterator[Ensemble]:
    """Ensembles of the same stores, scored on the test rows; what repeats in all counts once."""
    splits = [store.split("test") for store in stores]
    hashes = zip(*(split.prompt_hash for split in splits), strict=True)
    kept = distinct([" ".join(row) for row in hashes])
    rows = []
    for store, split in zip(stores, splits, strict=True):
        own = rows_of(split, store.components)
        rows.append(own if kept.all() else replace(own, parts=own.parts[kept], full=own.full[kept]))
    columns: Ints = splits[0].gold[kept]
    for one in some:
        gold = np.argsort(one.columns[0])[columns]
        yield replace(one, test=held_out(one.scores(rows), gold, one.temperature))

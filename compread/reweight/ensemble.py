"""Several stores of one task, one prediction: their scores, brought to one size, are averaged.

    score_y = 1/M Σ_m s_m[y] / size_m

s_m [K] is what member m makes of a row behind its own prompt, less its mean over the labels; size_m
is the root mean square of that over its train rows, less each label's mean there. Stores of several
demonstration seeds have train rows of their own, and Blend weighs the components on all of them
together, each store's rows centred over themselves (``Method.fit_together``).

The stores' test rows and right answers must be the same, row by row; their label words may differ.
Classes are matched by name, or, where names differ, by position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compread.analysis.repeats import distinct
from compread.array_types import Floats, Ints
from compread.errors import StoreError, UsageError, option
from compread.reweight.fit import (
    Fit,
    HeldOutAccuracy,
    finite_scores,
    held_out,
    trainings_of,
    unscored_fit,
)
from compread.reweight.method import Fitted, Method
from compread.reweight.rows import Rows, Training, rows_of
from compread.reweight.solvers.signal import centred_over_answers
from compread.reweight.threads import blas_threads
from compread.store import Store
from compread.store.gather import setting_of
from compread.store.schema import RunInfo

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
        for own, size, columns in zip(scores, self.sizes, self.columns, strict=True):
            total += centred_over_answers(np.where(absent, np.nan, own))[:, columns] / size
        return np.where(absent, -np.inf, total / len(self.members))

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
            "templates": list(dict.fromkeys(member.run.template for member in self.members)),
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


def matched(
    stores: Sequence[Store], how: str, budgets: Sequence[int | None] = ()
) -> list[tuple[list[int], tuple[tuple[int, ...], ...]]]:
    """The numbers of stores that belong together, with each one's column of each class [M, K].

    Nothing is read of the stores but ids and right answers.

    Args:
        stores: the runs.
        how: one of ``options.ENSEMBLES``.
        budgets: numbers of train rows to learn from, if any; None is all of them.

    Raises:
        StoreError: as in ``ensembles``.
    """
    groups = _groups(stores, how)
    if None in budgets:
        for group in groups:
            _check_train_rows([stores[n] for n in group])
    return [(group, columns_of([stores[n] for n in group])) for group in groups]


def _check_train_rows(stores: Sequence[Store]) -> None:
    first, *others = stores
    for store in others:
        if store.rows("train") != first.rows("train"):
            fewest = min(one.rows("train") for one in stores)
            raise StoreError(
                f"{store.path} has {store.rows('train')} train rows and {first.path} "
                f"{first.rows('train')}: an ensemble learns from as many of each store; give "
                f"{option('n-train', fewest)}"
            )


def _groups(stores: Sequence[Store], how: str) -> list[list[int]]:
    found: dict[tuple[Any, ...], list[int]] = {}
    for number, store in enumerate(stores):
        if store.run.template is None:
            raise StoreError(
                f"{store.path} is of a prompt file, which names neither template nor seed, so "
                f"{option('ensemble', how)} cannot tell what it goes with; give stores of a task"
            )
        found.setdefault(_belongs(store.run, how), []).append(number)
    for members in found.values():
        if len(members) < 2:
            raise StoreError(_alone(stores[members[0]], how))
    return list(found.values())


def _belongs(run: RunInfo, how: str) -> tuple[Any, ...]:
    same = {"templates": (run.seed,), "seeds": (run.template,), "both": ()}
    return (run.task, *setting_of(run), *same[how])


def _alone(store: Store, how: str) -> str:
    run = store.run
    fixed = {"templates": f" and seed {run.seed}", "seeds": f" and template {run.template}"}
    varied = {"templates": "templates", "seeds": "seeds", "both": "templates or seeds"}
    return (
        f"{store.path} is the only store of task {run.task}{fixed.get(how, '')} with its model and "
        f"shots: {option('ensemble', how)} averages stores of one task that differ in their "
        f"{varied[how]}; give another, or leave this one out"
    )


def columns_of(stores: Sequence[Store]) -> tuple[tuple[int, ...], ...]:
    """[M, K] each store's column of each class of the first.

    Raises:
        StoreError: the stores' test rows, classes or right answers are not the same.
    """
    first, *others = stores
    ids, gold = tuple(first.axes.splits["test"].id), first.gold("test")
    found = [tuple(range(len(first.labels.word)))]
    for store in others:
        if tuple(store.axes.splits["test"].id) != ids:
            raise StoreError(
                f"{store.path} has other test rows than {first.path}: an ensemble predicts the "
                "same ones behind several prompts; extract both from the same data with the same "
                f"{option('limit')}"
            )
        if store.components != first.components:
            raise StoreError(
                f"{store.path} has other components than {first.path}; extract one of them again"
            )
        if list(map(len, store.answers("test"))) != list(map(len, first.answers("test"))):
            raise StoreError(
                f"{store.path} has other numbers of answers in its rows than {first.path}: an "
                "ensemble chooses among the same; extract both from the same data"
            )
        columns, theirs = _columns(first, store), store.gold("test")
        if (unlike := np.flatnonzero(np.array(columns)[gold] != theirs)).size:
            n = unlike[0]
            here, there = first.labels.word[gold[n]], store.labels.word[theirs[n]]
            raise StoreError(
                f"{store.path} has other classes than {first.path}: row {ids[n]} is {there!r} in "
                f"one and {here!r} in the other; extract both with the task's own classes"
            )
        found.append(columns)
    return tuple(found)


def _columns(first: Store, other: Store) -> tuple[int, ...]:
    ours, theirs = first.labels.word, other.labels.word
    if sorted(ours) == sorted(theirs):
        return tuple(theirs.index(word) for word in ours)
    if len(ours) == len(theirs):
        return tuple(range(len(ours)))
    raise StoreError(
        f"{other.path} has the {len(theirs)} classes {', '.join(theirs)}, and {first.path} the "
        f"{len(ours)} classes {', '.join(ours)}: an ensemble is of one set of classes"
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
    own, joint = (_size(fitted, run.rows) for fitted in (alone.fitted, together))
    return alone.temperature * joint / own


def _ensemble(
    how: str,
    members: Sequence[Fit],
    training: Sequence[Training],
    columns: tuple[tuple[int, ...], ...],
) -> Ensemble:
    sizes = [
        _size(fit.fitted, run.rows) if len(run) else 1.0
        for fit, run in zip(members, training, strict=True)
    ]
    return Ensemble(how, tuple(members), tuple(sizes), columns, len(training[0]))


def _size(fitted: Fitted, rows: Rows) -> float:
    """The size of scores; where rows have answers of their own, columns have no mean to take."""
    scores = fitted.scores(rows)
    if not rows.own_answers:
        return size_of(scores)
    own = scores[~rows.absent]
    centred = centred_over_answers(np.where(rows.absent, np.nan, scores))[~rows.absent]
    size = float(np.sqrt((centred**2).mean()))
    return size if size > SMALLEST * np.abs(own).max() else 1.0


def size_of(scores: Floats) -> float:
    """The root mean square of scores [N, K] less their means over labels and rows.

    1 where they do not vary over the rows, as nothing is known of their size then.
    """
    centred = scores - scores.mean(axis=1, keepdims=True)
    centred = centred - centred.mean(axis=0)
    size = float(np.sqrt((centred**2).mean()))
    return size if size > SMALLEST * np.abs(scores).max() else 1.0


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

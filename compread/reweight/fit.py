"""Fits methods on the train rows of stores and scores them on the test rows.

A store's test rows are read after its fits are done, their right labels only to count hits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compread.analysis.runs import normalize_key
from compread.components import Component
from compread.errors import StoreError, UsageError, option
from compread.options import DEFAULT_POOL
from compread.reweight.cost import Size, forewarnings, free_memory
from compread.reweight.method import TOGETHER_BYTES, Fitted, Method, in_turn
from compread.reweight.registry import check_own_answers, title_of
from compread.reweight.rows import (
    Training,
    check_labels,
    row_count,
    training_of,
)
from compread.reweight.scoring import HeldOutAccuracy, hits, test_scores
from compread.reweight.solvers import convex
from compread.reweight.solvers.official import train_together
from compread.reweight.temperature import temperature
from compread.reweight.threads import blas_threads
from compread.store import Store
from compread.store.schema import Labels, RunInfo


@dataclass(frozen=True)
class Fit:
    """One method fitted on the first train rows of one store."""

    store: str
    """Path of the store, as given."""
    run: RunInfo
    components: tuple[Component, ...]
    labels: Labels
    """The classes that scores are of."""
    words: Labels
    """The label words that the model was asked for, before they were pooled to classes."""
    pool: str
    """How they were pooled."""
    method: str
    recipe: str | None
    hyperparameters: dict[str, Any]
    train_ids: tuple[str, ...]
    """Ids of the rows it was fitted on."""
    train_accuracy: float | None
    """None without train rows."""
    fitted: Fitted
    test: HeldOutAccuracy | None = None
    """None until it is scored."""
    temperature: float | None = None
    """What scores are divided by before they become probabilities; None where it was not fitted."""

    @property
    def pooled_by(self) -> str | None:
        """How its words were pooled; None where each word is a class of its own."""
        return self.pool if len(self.words.word) > len(self.labels.word) else None

    @property
    def title(self) -> str:
        """The method as ``--methods`` spells it."""
        return title_of(self.method, self.recipe)

    def row(self) -> dict[str, Any]:
        """The keys and values of one line of ``compread reweight``."""
        test = self.test
        return {
            "store": self.store,
            "task": self.run.task,
            "template": self.run.template,
            "seed": self.run.seed,
            "method": self.method,
            "recipe": self.recipe,
            "n_train": len(self.train_ids),
            "accuracy": test and test.accuracy,
            "accuracy_low": test and test.accuracy_low,
            "accuracy_high": test and test.accuracy_high,
            "train_accuracy": self.train_accuracy,
            "epochs": self.fitted.epochs,
            "gap": self.fitted.gap,
            "n": test.n if test else 0,
            "temperature": self.temperature,
            **(test.keys() if test else {}),
            **normalize_key(self.run.normalize),
        }


def reweight(
    stores: Sequence[Store],
    methods: Sequence[Method],
    budgets: Sequence[int | None] = (None,),
    learn_from: str = "train",
    temperatures: bool = False,
) -> tuple[Fit, ...]:
    """Fits every method on every store with every budget of train rows, and scores it.

    Args:
        stores: the runs.
        methods: from ``compread.reweight.registry.make_methods``.
        budgets: numbers of train rows, the first ones of each store; None is all of them.
        learn_from: the split to fit on; ``test`` makes oracles (paper section 5.3).
        temperatures: fit each one's temperature too, which takes about five times as long.

    Returns:
        Fits in the order store, budget, method.

    Raises:
        UsageError: a store has too few train rows, or none for a method that is fitted.
        StoreError: a store has no test rows, fewer than two labels, or a damaged value.
    """
    for store in stores:
        _check_rows(store, methods, budgets, learn_from)
    with blas_threads(1):
        return tuple(
            fit
            for some in _groups(stores, learn_from)
            for fit in _fit_stores(some, methods, budgets, learn_from, temperatures)
        )


def _groups(stores: Sequence[Store], learn_from: str) -> Iterator[list[Store]]:
    """Stores whose train rows are in memory together: small runs are fitted side by side."""
    some: list[Store] = []
    size = 0
    for store in stores:
        own = 4 * store.rows(learn_from) * len(store.components) * len(store.labels.word)
        if some and size + own > TOGETHER_BYTES:
            yield some
            some, size = [], 0
        some.append(store)
        size += own
    if some:
        yield some


def _fit_stores(
    stores: Sequence[Store],
    methods: Sequence[Method],
    budgets: Sequence[int | None],
    learn_from: str,
    temperatures: bool,
) -> Iterator[Fit]:
    """The scored fits of stores; their train rows are gone before test rows are read."""
    unscored = _unscored(stores, methods, budgets, learn_from, temperatures)
    per_store = len(budgets) * len(methods)
    for index, store in enumerate(stores):
        fits = unscored[index * per_store : (index + 1) * per_store]
        at = [fit.temperature for fit in fits]
        found = test_scores(store, [fit.fitted for fit in fits], at)
        for fit, scores in zip(fits, found, strict=True):
            yield replace(fit, test=scores)


def _unscored(
    stores: Sequence[Store],
    methods: Sequence[Method],
    budgets: Sequence[int | None],
    learn_from: str,
    temperatures: bool,
) -> list[Fit]:
    cells = [
        (store, training)
        for store in stores
        for training in trainings_of(store, budgets, learn_from)
    ]
    training = [run for _, run in cells]
    train_together(training, [method.official_form for method in methods])
    by_method = [_fits_of_cells(method, training, len(budgets)) for method in methods]
    return [
        unscored_fit(store, run, method, fitted, temperature(method, run) if temperatures else None)
        for (store, run), of_cell in zip(cells, zip(*by_method, strict=True), strict=True)
        for method, fitted in zip(methods, of_cell, strict=True)
    ]


def _fits_of_cells(method: Method, training: Sequence[Training], budgets: int) -> list[Fitted]:
    """What a method makes of each run; it is one object for a store's budgets if it reads none."""
    if method.reads_rows:
        return list(in_turn(method, training))
    once = in_turn(method, training[::budgets])
    return [fitted for fitted in once for _ in range(budgets)]


def oracles(stores: Sequence[Store], methods: Sequence[Method]) -> tuple[Fit, ...]:
    """Those of the methods that are trained, fitted on the test rows that they are scored on."""
    trained = [method for method in methods if method.reads_rows]
    # One store after the other: all test rows of all stores may be more than memory holds.
    return tuple(fit for one in stores for fit in reweight([one], trained, learn_from="test"))


def forewarn(
    stores: Sequence[Store], methods: Sequence[Method], budgets: Sequence[int | None]
) -> tuple[str, ...]:
    """A line for each method that will take much of memory or time on the largest store.

    Raises:
        UsageError: more memory than is free.
    """
    sizes = []
    for store in stores:
        train = max(row_count(n, store.rows("train"), str(store.path)) for n in budgets)
        rows = max(train, store.rows("test"))
        sizes.append(Size(rows, len(store.components), len(store.labels.word)))
    largest = max(sizes, key=lambda size: size.numbers)
    work = [(method.title, method.work(largest)) for method in methods]
    return tuple(forewarnings(work, largest, free_memory()))


def unsolved(fits: Sequence[Fit]) -> tuple[str, ...]:
    """A line for each fit that may be far from the minimum that its method seeks."""
    return tuple(
        f"{fit.title} on {len(fit.train_ids)} rows of {fit.store}: the solver stopped where the "
        f"objective may be {fit.fitted.gap:.1%} above its minimum"
        for fit in fits
        if fit.fitted.gap is not None and fit.fitted.gap > convex.ENOUGH
    )


def _check_rows(
    store: Store, methods: Sequence[Method], budgets: Sequence[int | None], learn_from: str
) -> None:
    """Refuses what no fit can come of, before the first one is begun."""
    name, there = str(store.path), store.rows(learn_from)
    check_labels(store.labels, name)
    if store.axes.has_own_answers:
        check_own_answers(methods, name)
    if not store.rows("test"):
        raise StoreError(f"{store.path} has no test rows; extract it with a test split")
    fitted = [method.name for method in methods if method.reads_rows]
    for budget in budgets:
        if not row_count(budget, there, name) and fitted:
            why = f"{option('n-train', 0)} leaves" if there else f"{name} has"
            raise UsageError(
                f"{why} no train rows to fit {', '.join(fitted)} on; "
                + ("ask for more" if there else "extract it with train rows")
                + f", or for {option('methods', 'full')}"
            )


def trainings_of(
    store: Store, budgets: Sequence[int | None], learn_from: str = "train"
) -> Iterator[Training]:
    """The first rows of a store's split, for each number of them."""
    split, calibration = store.split(learn_from), store.split("calibration")
    gram = store.label_gram(learn_from)
    for budget in budgets:
        yield training_of(split, store.components, budget, str(store.path), calibration, gram)


def unscored_fit(
    store: Store, training: Training, method: Method, fitted: Fitted, at: float | None = None
) -> Fit:
    """What a method fitted on a store, with its temperature, and how it does on the train rows."""
    count = len(training)
    right = hits(fitted, training.rows, training.gold) if count else 0
    return Fit(
        store=str(store.path),
        run=store.run,
        components=tuple(store.components),
        labels=store.labels,
        words=store.axes.labels,
        pool=store.pooling.how if store.pooling else DEFAULT_POOL,
        method=method.name,
        recipe=method.recipe,
        hyperparameters=method.hyperparameters(),
        train_ids=training.id,
        train_accuracy=right / count if count else None,
        fitted=fitted,
        temperature=at,
    )

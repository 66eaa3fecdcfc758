"""Which stores an ensemble is of: those of one task with the same test rows and right answers.

Their label words may differ. Classes are matched by name, or, where names differ, by position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compread.errors import StoreError, option
from compread.store import Store
from compread.store.gather import setting_of


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
        if store.run.template is None and how != "templates":
            raise StoreError(
                f"{store.path} is of a prompt file, which names no seed, so "
                f"{option('ensemble', how)} cannot tell what it goes with; give "
                f"{option('ensemble', 'templates')}, to which each file is a wording"
            )
        found.setdefault(_belongs(store, how), []).append(number)
    for members in found.values():
        if len(members) < 2:
            raise StoreError(_alone(stores[members[0]], how))
    return list(found.values())


def _belongs(store: Store, how: str) -> tuple[Any, ...]:
    run = store.run
    if run.template is None:  # its task is its file; what it goes with has the same rows
        return (*setting_of(run), tuple(store.axes.splits["test"].id))
    same = {"templates": (run.seed,), "seeds": (run.template,), "both": ()}
    return (run.task, *setting_of(run), *same[how])


def _alone(store: Store, how: str) -> str:
    run = store.run
    fixed = {"templates": f" and seed {run.seed}", "seeds": f" and template {run.template}"}
    varied = {"templates": "templates", "seeds": "seeds", "both": "templates or seeds"}
    if run.template is None:
        return (
            f"{store.path} is the only store of a prompt file with its model and test rows (by "
            f"their ids): {option('ensemble', how)} averages several wordings of the same rows; "
            "give another, or leave this one out"
        )
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

"""Ensembles for people: each store alone, all of them together, and what that gains."""

from __future__ import annotations

from typing import Any

import pytest

from compread.views.ensembles import ensemble_tables

METHODS = ("full", "bc", "calib", "centroid", "comprw", "blend")


def of(store: str, method: str, n_train: int, accuracy: float, **more: Any) -> dict[str, Any]:
    """A row of one store."""
    row = {"store": store, "task": "sst2", "template": store, "seed": 0, "method": method}
    return {**row, "recipe": None, "n_train": n_train, "accuracy": accuracy, **more}


def together(method: str, n_train: int, accuracy: float, labelled: int) -> dict[str, Any]:
    """A row of two stores together."""
    row = {"ensemble": "templates", "stores": ["t1", "t2"], "task": "sst2", "method": method}
    return {**row, "recipe": None, "n_train": n_train, "accuracy": accuracy, "labelled": labelled}


def gain(method: str, p: float | None = None, tasks: int = 1) -> dict[str, Any]:
    """A row of what averaging gains."""
    ends = (None, None) if p is None else (0.01, 0.0312)
    return {"method": method, "recipe": None, "n_train": 8, "tasks": tasks, "p": p,
            "store_accuracy": 0.8, "accuracy": 0.8211, "difference": 0.0211,
            "low": ends[0], "high": ends[1]}  # fmt: skip


def document(methods: tuple[str, ...], labelled: int = 8, **gains: Any) -> dict[str, Any]:
    """Two stores under some methods, 8 rows and 1 row each."""
    return {
        "runs": [of(s, m, n, 0.5 + n / 100) for m in methods for s in ("t1", "t2") for n in (8, 1)],
        "ensembles": [together(m, n, 0.9, labelled if n == 8 else 1)
                      for m in methods for n in (8, 1)],
        "ensemble_average": [gain(m, **gains) for m in methods],
    }  # fmt: skip


def test_all_stand_below_each_store() -> None:
    """A table for each number of train rows, a line a store and one for all."""
    eight, one, _ = ensemble_tables(document(METHODS[:2], labelled=16))
    assert (eight.title, one.title) == ("8 train rows a store, 16 in all", "1 train row a store")
    (block,) = eight.blocks
    assert [(row["prompt"], row["full"], row["bc"]) for row in block] == [
        ("t1, seed 0", "58.0", "58.0"),
        ("t2, seed 0", "58.0", "58.0"),
        ("all 2 together", "90.0", "90.0"),
    ]
    assert [column.key for column in one.columns] == ["task", "prompt", "full", "bc"]


def test_methods_that_have_no_room_stand_in_a_further_table() -> None:
    """Five side by side."""
    *tables, _ = ensemble_tables(document(METHODS))
    keys = [[column.key for column in table.columns[2:]] for table in tables]
    assert keys == [[*METHODS[:5]], [*METHODS[5:]]] * 2


@pytest.mark.parametrize(
    ("gains", "difference", "columns", "title"),
    [
        ({}, "+2.1", 5, "Mean over 1 task"),
        ({"p": 0.0401, "tasks": 3}, "+2.1 [+1.0, +3.1]", 6, "Mean over 3 tasks"),
    ],
)
def test_what_averaging_gains(
    gains: dict[str, Any], difference: str, columns: int, title: str
) -> None:
    """In points, with an interval and a p value where there are tasks enough for them."""
    *_, table = ensemble_tables(document(METHODS[:1], **gains))
    cells = [column.cell(table.blocks[0][0]) for column in table.columns]
    assert cells[:5] == ["full", "8", "80.0", "82.1", difference]
    assert (len(cells), table.title) == (columns, title)

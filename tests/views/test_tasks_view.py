"""The list of tasks for people."""

from __future__ import annotations

from typing import Any

import pytest

from compread.views.tasks import task_view


def row(**changes: Any) -> dict[str, Any]:
    """A template of a task with two labels, one of two words."""
    usual = {"task": "films", "template": "a", "labels": [[" bad"], [" good", " fine"]],
             "options": None, "source": "org/films", "config": None, "subjects": [],
             "demonstrations": "films"}  # fmt: skip
    return usual | changes


def cells(*rows: dict[str, Any]) -> list[list[str]]:
    """What stands in each line of the list."""
    (table,) = task_view(rows)
    return [[column.cell(one) for column in table.columns] for of in table.blocks for one in of]


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({}, "org/films"),
        ({"source": None}, "local only"),
        ({"config": "plain"}, "org/films plain"),
        ({"config": "all", "subjects": ["law"]}, "org/films by subject"),
        ({"demonstrations": "sst2"}, "org/films, after sst2"),
    ],
)
def test_where_rows_come_from(changes: dict[str, Any], source: str) -> None:
    """The data set and what of it, and whose demonstrations stand before them."""
    assert cells(row(**changes)) == [["films", "a", "bad/good|fine", source]]


def test_a_task_is_named_once() -> None:
    """Above its other templates; labels of each row are no words."""
    lines = cells(row(), row(template="b", options="choices"), row(task="news", template="a"))
    assert [line[:3] for line in lines] == [
        ["films", "a", "bad/good|fine"], ["", "b", "row's own"], ["news", "a", "bad/good|fine"],
    ]  # fmt: skip

"""The states of a folder's runs as rows and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from compread.store.states import StoreState
from compread.views.tables import Column, Row, Table

KEYS = ("model", "checkpoint", "task", "template", "shots", "seed")
COLUMNS = [
    Column("store", justify="left", shorten="start"),
    Column("state", justify="left"),
    Column("rows", format=lambda row: f"{row['rows']}/{row['total']}"),
    Column("reason", justify="left", shorten="end", drop=1),
]


def state_rows(states: Sequence[StoreState]) -> list[dict[str, Any]]:
    """One row for each run."""
    return [
        {
            "store": str(one.path),
            "state": one.state,
            "rows": one.done,
            "total": one.total,
            **{key: one.run.get(key) for key in KEYS},
            "reason": one.reason or None,
        }
        for one in states
    ]


def status_view(rows: Sequence[Row]) -> list[Table]:
    """The table, with how many there are of each state below it."""
    counts = Counter(str(row["state"]) for row in rows)
    told = any(row["reason"] for row in rows)
    columns = [column for column in COLUMNS if told or column.key != "reason"]
    note = ", ".join(f"{n} {state}" for state, n in counts.items())
    return [Table(columns, [rows], note=f"{note}.")]

"""The states of a folder's runs as rows and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from compread.store.states import PARTIAL, StoreState
from compread.views.tables import Column, Row, Table

KEYS = ("model", "checkpoint", "task", "template", "shots", "seed")
COLUMNS = [
    Column("store", justify="left", shorten="start"),
    Column("state", justify="left"),
    Column("rows", format=lambda row: f"{row['rows']}/{row['total']}"),
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
    """The table, with how many there are of each state and what is wrong below it."""
    counts = Counter(str(row["state"]) for row in rows)
    told = [f"{', '.join(f'{n} {state}' for state, n in counts.items())}."]
    if PARTIAL in counts:
        told.append("A partial run goes on when its extract is given again.")
    # The reason begins with the path.
    told += [str(row["reason"]) for row in rows if row["reason"]]
    return [Table(COLUMNS, [rows], note=" ".join(told))]

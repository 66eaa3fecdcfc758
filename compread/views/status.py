"""The states of a folder's runs as rows and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from compread.store.run_list import RUN_KEYS
from compread.store.states import FINISHED, PARTIAL, WAITING, Outlook, StoreState
from compread.text import spoken
from compread.views.tables import Column, Row, Table

STATE = [
    Column("store", justify="left", shorten="start"),
    Column("state", justify="left"),
    Column("rows", format=lambda row: f"{row['rows']}/{row['total']}"),
]
TIMES = [
    Column("seconds", "took", format=lambda row: _took(row["seconds"]), drop=1),
    Column("ended", justify="left", format=lambda row: _moment(row["ended"]), drop=2),
]


def state_rows(states: Sequence[StoreState]) -> list[dict[str, Any]]:
    """One row for each run; times are ISO 8601 in UTC."""
    return [
        {
            "store": str(one.path),
            "state": one.state,
            "rows": one.done,
            "total": one.total,
            **{key: one.run.get(key) for key in RUN_KEYS},
            "asked": (one.asked and one.asked.at) or None,
            "began": (one.asked and one.asked.began) or None,
            "ended": (one.state == FINISHED and one.run.get("date")) or None,
            "seconds": (one.asked and one.asked.seconds) or None,
            "reason": one.reason or None,
        }
        for one in states
    ]


def status_view(rows: Sequence[Row], left: Outlook | None, now: float) -> list[Table]:
    """The table, with how many there are of each state and what is wrong below it.

    Args:
        rows: of ``state_rows``.
        left: how much there is to do.
        now: seconds since 1970.
    """
    counts = Counter(str(row["state"]) for row in rows)
    told = [f"{', '.join(f'{n} {state}' for state, n in counts.items())}."]
    if left is not None:
        told.append(_left(left, now))
    if PARTIAL in counts:
        told.append("A partial run goes on when its extract is given again.")
    if WAITING in counts:
        told.append("What waits was asked for and not begun: the same extract makes it.")
    # The reason begins with the path.
    told += [str(row["reason"]) for row in rows if row["reason"]]
    columns = STATE + [column for column in TIMES if any(row[column.key] for row in rows)]
    return [Table(columns, [rows], note=" ".join(told))]


def _left(left: Outlook, now: float) -> str:
    """How long the rest takes, and when it ends where processes are at work."""
    if not left.processes:
        return f"The rest takes one process about {spoken(left.seconds)}; none is at work."
    seconds = left.seconds / left.processes
    at_work = f"{left.processes} processes are" if left.processes > 1 else "one process is"
    until = datetime.fromtimestamp(now + seconds).strftime(MOMENT)
    return f"About {spoken(seconds)} left, until {until}; {at_work} at work."


def _took(seconds: Any) -> str:
    return spoken(seconds) if seconds else ""


def _moment(text: Any) -> str:
    """A time of a record as people here have it: ``2026-11-27 21:38``."""
    try:
        return datetime.fromisoformat(text).astimezone().strftime(MOMENT) if text else ""
    except ValueError:  # a record that other hands have written
        return ""


MOMENT = "%Y-%m-%d %H:%M"

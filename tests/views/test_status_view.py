"""What ``status`` says of runs and of what is left of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from compread.store.states import Outlook
from compread.views.status import status_view

NOW = datetime(2026, 11, 27, 21, 38).timestamp()


def row(**changes: Any) -> dict[str, Any]:
    """A finished run."""
    ended = datetime.fromtimestamp(NOW).astimezone().isoformat()
    values = {"store": "a.h5", "state": "finished", "rows": 9, "total": 9, "reason": None}
    return {**values, "seconds": 90.0, "ended": ended, **changes}


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (None, "1 finished."),
        (
            Outlook(7200.0, 0),
            "1 finished. The rest takes one process about 2 h 00 min; none is at work.",
        ),
        (
            Outlook(7200.0, 1),
            "1 finished. About 2 h 00 min left, until 2026-11-27 23:38; one process is at work.",
        ),
        (
            Outlook(7200.0, 2),
            "1 finished. About 1 h 00 min left, until 2026-11-27 22:38; 2 processes are at work.",
        ),
    ],
)
def test_what_is_left_is_shared_by_those_at_work(left: Outlook | None, said: str) -> None:
    """Where none is, it is what one would take, and no end is in sight."""
    (table,) = status_view([row()], left, NOW)
    assert table.note == said


def test_times_are_those_of_the_clock_here() -> None:
    """What is not known, or was written by other hands, is left empty."""
    rows = [row(), row(seconds=None, ended=None), row(ended="yesterday")]
    (table,) = status_view(rows, None, NOW)
    took, ended = table.columns[3:]
    assert [took.cell(one) for one in rows] == ["2 min", "", "2 min"]
    assert [ended.cell(one) for one in rows] == ["2026-11-27 21:38", "", ""]
    (bare,) = status_view([row(seconds=None, ended=None)], None, NOW)
    assert [column.key for column in bare.columns] == ["store", "state", "rows"]


def test_each_state_is_counted_and_says_what_comes_next() -> None:
    """And what is wrong stands last."""
    rows = [row(), row(state="partial"), row(state="waiting"), row(),
            row(state="damaged", reason="b.h5: the store is damaged")]  # fmt: skip
    (table,) = status_view(rows, None, NOW)
    assert table.note == (
        "2 finished, 1 partial, 1 waiting, 1 damaged. "
        "A partial run goes on when its extract is given again. "
        "What waits was asked for and not begun: the same extract makes it. "
        "b.h5: the store is damaged"
    )

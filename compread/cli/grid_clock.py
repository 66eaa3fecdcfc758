"""How far all the runs of one command are, and how long they will take yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def duration(seconds: float) -> str:
    """``duration(3723)`` is ``"1:02:03"``, ``duration(5)`` is ``"0:05"``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def pace(rows: int, seconds: float) -> str:
    """``pace(30, 10)`` is ``"3.0 rows/s"``, ``pace(10, 30)`` is ``"3.0 s/row"``."""
    if rows < seconds:
        return f"{seconds / rows:.1f} s/row"
    return f"{rows / seconds:.1f} rows/s"


class GridClock:
    """Forecasts the end of several runs from what this process has measured so far."""

    def __init__(self, works: Sequence[float], now: Callable[[], float] = time.monotonic) -> None:
        """Get ready for runs of these ``works``, one after the other; 0 for one that is done."""
        self._works, self._now = list(works), now
        self._number = 0
        self._began = now()
        self._spent = self._did = 0.0
        self._kept: float | None = None
        self._share = 0.0

    @property
    def place(self) -> str:
        """Such as ``"run 2 of 12"``; empty where there is but one run."""
        return f"run {self._number} of {len(self._works)}" if len(self._works) > 1 else ""

    def begin(self) -> None:
        """The next run begins."""
        self._number += 1
        self._began, self._kept, self._share = self._now(), None, 0.0

    def update(self, done: int, total: int) -> None:
        """``done`` of the run's ``total`` rows are kept; those of the first call from before."""
        self._share = done / total if total else 1.0
        if self._kept is None:
            self._kept = self._share

    def end(self) -> None:
        """The run is over; what it took counts for the forecast, unless nothing was run."""
        if self._kept is not None:
            self._spent += self._now() - self._began
            self._did += self._work * (self._share - self._kept)

    def seconds_left(self) -> float | None:
        """Until all runs are done, loading apart; None before anything is measured."""
        kept = self._share if self._kept is None else self._kept
        did = self._did + self._work * (self._share - kept)
        if not did:
            return None
        left = self._work * (1 - self._share) + sum(self._works[self._number :])
        return (self._spent + self._now() - self._began) / did * left

    @property
    def _work(self) -> float:
        return self._works[self._number - 1]

"""How far long runs are, told on stderr: a bar on a terminal, one line a run elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from compread.cli.output import color, note, width
from compread.text import printable, si

if TYPE_CHECKING:
    from compread.model import ModelRequest

_SECONDS_BEFORE_A_LINE = 60.0
_BESIDE_THE_NAME = 68
"""Columns that the rest of a bar's line takes."""


def hide_foreign_bars() -> None:
    """Keep the bars of tqdm, the hub and datasets off stderr; call it before any is imported.

    For a process that says itself what it is doing.
    """
    os.environ["TQDM_DISABLE"] = "1"
    for library in ("HF_HUB", "HF_DATASETS"):
        os.environ[f"{library}_DISABLE_PROGRESS_BARS"] = "1"


def say_loading(request: ModelRequest) -> None:
    """Say in one line which model is being loaded, and how large its files are."""
    from compread.model.load.sources import saved_bytes

    size = saved_bytes(request)
    name = f"{request.name} {request.revision}" if request.revision else request.name
    note(f"loading {printable(name)}" + ("" if size is None else f", {si(size, 'B')}"))


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


class RowProgress:
    """Shows rows done of rows in all; called after each batch. A context manager."""

    def __init__(self, name: str, clock: GridClock | None = None, *, quiet: bool) -> None:
        """Show progress under ``name`` unless ``quiet``; ``clock`` knows of the other runs."""
        self._name = printable(name)
        self._clock = clock or GridClock([1])
        self._quiet = quiet
        self._started = time.monotonic()
        self._before: int | None = None
        self._spoke = False
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> RowProgress:
        self._clock.begin()
        if not self._quiet and sys.stderr.isatty():
            columns = width(sys.stderr)
            self._bar = _bar(color(sys.stderr), columns)
            self._bar.start()
            name = _title(self._clock.place, self._name, columns)
            self._task = self._bar.add_task(name, total=None, speed="", left="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clock.end()
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, tokens: int) -> None:
        """Say that ``done`` of ``total`` rows are kept, and ``tokens`` have been run."""
        self._clock.update(done, total)
        if self._before is None:
            self._before, self._started = done, time.monotonic()
        rows, seconds = done - self._before, time.monotonic() - self._started
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
        if self._quiet or not rows or not seconds:
            return
        left = duration(seconds / rows * (total - done))
        everything = self._clock.seconds_left() if self._clock.place else None
        if self._bar is not None:
            left = left if everything is None else f"{left}, all {duration(everything)}"
            self._bar.update(self._task, speed=pace(rows, seconds), left=left)
        elif not self._spoke and seconds > _SECONDS_BEFORE_A_LINE:
            self._spoke = True
            place = f"{self._clock.place}, " if self._clock.place else ""
            all_left = "" if everything is None else f", all runs {duration(everything)}"
            note(
                f"{place}{self._name}: {done} of {total} rows, {pace(rows, seconds)}, "
                f"{tokens / seconds:.0f} tokens/s, {left} left{all_left}"
            )


def _title(place: str, name: str, columns: int) -> str:
    """What a bar is called: the run's place in the grid and the end of its name."""
    from compread.views.terminal import shorten

    room = max(10, columns - _BESIDE_THE_NAME - len(place))
    return f"{place} {shorten(name.removesuffix('.h5'), room, 'start')}".strip()


def _bar(colors: bool, columns: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),  # a name may have square brackets
        BarColumn(10),
        MofNCompleteColumn(),
        TextColumn("rows {task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True, no_color=not colors, width=columns),
        transient=True,
    )

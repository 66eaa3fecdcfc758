"""Progress of a long run on stderr: a bar on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from compread.cli.output import color, note

_SECONDS_BETWEEN_LINES = 60.0


class RowProgress:
    """Shows rows done of rows in all; called after each batch. A context manager."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        """Show progress under ``name`` unless ``quiet``."""
        self._name = name
        self._quiet = quiet
        self._last_line = time.monotonic()
        self._before: int | None = None
        self._started = self._last_line
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> RowProgress:
        if not self._quiet and sys.stderr.isatty():
            self._bar = _bar(color(sys.stderr))
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=None, speed="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, tokens: int) -> None:
        """Say that ``done`` of ``total`` rows are kept, and ``tokens`` have been run."""
        if self._before is None:
            self._before, self._started = done, time.monotonic()
        speed = self._speed(done - self._before, tokens)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, speed=speed)
        elif not self._quiet and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            left = self._seconds_left(done, total)
            note(f"{self._name}: {done} of {total} rows{speed}{left}")

    def _speed(self, rows: int, tokens: int) -> str:
        seconds = time.monotonic() - self._started
        if not rows or not seconds:
            return ""
        return f", {rows / seconds:.1f} rows/s, {tokens / seconds:.0f} tokens/s"

    def _seconds_left(self, done: int, total: int) -> str:
        rows = done - (self._before or 0)
        if not rows:
            return ""
        left = (time.monotonic() - self._started) / rows * (total - done)
        return f", {int(left) // 60}:{int(left) % 60:02d} left"


def _bar(colors: bool) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True, no_color=not colors),
        transient=True,
    )

"""What a method takes of a machine, from the sizes alone, before it begins.

Each method says how many bytes it needs beside the rows and how many multiplications it makes at
most (``Method.work``); how long that is, what is worth a word and what is refused is said here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from compread.errors import UsageError, option

GB = 1e9
WORTH_BYTES, WORTH_SECONDS = 1.0 * GB, 60.0
"""A method that may take more than either is told of."""
PROCESS_BYTES = 0.15 * GB
"""Python with its libraries."""
RATE = 2e9
"""Multiplications of a second: what one core does on numbers that come from memory."""


@dataclass(frozen=True)
class Size:
    """The rows of a run."""

    rows: int
    """N, of the train rows or the test rows, whichever are more."""
    components: int
    labels: int

    @property
    def numbers(self) -> float:
        """Of the contributions [N, C, K]."""
        return float(self.rows) * self.components * self.labels


@dataclass(frozen=True)
class Work:
    """What a method needs beside the rows."""

    bytes: float
    products: float
    """Multiplications at most: training may stop long before its last epoch."""


def forewarnings(work: Iterable[tuple[str, Work]], size: Size, free: int | None) -> Iterator[str]:
    """A line for each method that takes much of memory or of time.

    Args:
        work: titles of methods and what they need.
        size: the largest run.
        free: bytes of memory that are free; None where the system does not say.

    Raises:
        UsageError: a method needs more memory than is free.
    """
    rows = f"{size.labels} labels, {size.rows} rows and {size.components} components"
    for title, one in work:
        needed = PROCESS_BYTES + 4 * size.numbers + one.bytes
        seconds = one.products / RATE
        if free is not None and needed > free:
            raise UsageError(
                f"{option('methods', title)}: {rows} need about {needed / GB:.1f} GB "
                f"of memory, and {free / GB:.1f} GB are free; fit on fewer rows with "
                f"{option('n-train')}, or leave it out"
            )
        if needed > WORTH_BYTES or seconds > WORTH_SECONDS:
            yield (
                f"{title} on {rows}: about {needed / GB:.1f} GB of memory and up to "
                f"{_duration(seconds)}"
            )


def free_memory() -> int | None:
    """Bytes of memory that are free for this process; None where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"

"""Rows gone through block by block, where there are too many for a second copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from compread.store.layout import spans

BLOCK_BYTES = 8 << 20
"""What rows that are gone through block by block take at a time, as double precision."""


class Shaped(Protocol):
    """An array, or what stands for one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, C and K."""


def blocks(parts: Shaped, size: int | None = None) -> Iterator[slice]:
    """Spans of rows of parts [N, C, K] that take ``size`` bytes in double precision, or one row.

    ``size`` is ``BLOCK_BYTES`` where it is not given.

    Many labels make parts of hundreds of megabytes, of which no method needs a second copy.
    """
    rows, columns, labels = parts.shape
    row_bytes = 8 * columns * labels
    return spans(rows, max(1, (size or BLOCK_BYTES) // max(1, row_bytes)))

"""Rows gone through block by block, where there are too many for a second copy.

Many labels make parts of hundreds of megabytes, of which no method needs a second copy. Blocks are
gone through by several threads where there are several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from compread.array_types import Floats
from compread.reweight.threads import SHARES, in_threads, shares
from compread.store.layout import spans

BLOCK_BYTES = 8 << 20
"""What rows that are gone through block by block take at a time, as double precision."""


class Shaped(Protocol):
    """An array, or what stands for one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, C and K."""


def blocks(parts: Shaped, size: int | None = None, share: slice | None = None) -> Iterator[slice]:
    """Spans of rows of parts [N, C, K] that take ``size`` bytes in double precision, or one row.

    Args:
        parts: what the rows are of.
        size: ``BLOCK_BYTES`` where it is not given.
        share: the rows to go through; all of them by default.
    """
    rows, columns, labels = parts.shape
    start, stop, _ = (share or slice(None)).indices(rows)
    row_bytes = 8 * columns * labels
    for span in spans(stop - start, max(1, (size or BLOCK_BYTES) // max(1, row_bytes))):
        yield slice(start + span.start, start + span.stop)


def for_each_block(work: Callable[[slice], None], parts: Shaped) -> None:
    """Do something with each block of parts [N, C, K], whichever comes first."""
    if len(found := list(blocks(parts))) > 1:
        in_threads(work, found)
    else:  # whose products may have several threads of BLAS, which ``in_threads`` takes away
        for span in found:
            work(span)


def sum_of_blocks(work: Callable[[slice], Floats], parts: Shaped) -> Floats | float:
    """Σ of what ``work`` makes of each block of parts [N, C, K]; 0 of none.

    A sum over many rows rounds alike on every machine.
    """

    def over(share: slice) -> Floats | float:
        total: Floats | float = 0.0
        for span in blocks(parts, share=share):
            total += work(span)
        return total

    count = len(list(blocks(parts)))
    if count < 2:
        return over(slice(None))
    return sum(in_threads(over, shares(parts.shape[0], min(SHARES, count))))

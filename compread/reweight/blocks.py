"""Rows gone through block by block, where there are too many for a second copy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from compread.store.layout import spans

BLOCK_BYTES = 8 << 20
"""What rows that are gone through block by block take at a time, as double precision."""


def blocks(parts: npt.NDArray[np.floating], size: int | None = None) -> Iterator[slice]:
    """Spans of rows of parts [N, C, K] that take ``size`` bytes in double precision, or one row.

    ``size`` is ``BLOCK_BYTES`` where it is not given.

    Many labels make parts of hundreds of megabytes, of which no method needs a second copy.
    """
    row_bytes = 8 * parts.shape[1] * parts.shape[2]
    return spans(len(parts), max(1, (size or BLOCK_BYTES) // max(1, row_bytes)))

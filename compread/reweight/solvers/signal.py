"""Contributions centred over the rows and over the labels, made a block at a time.

Where rows have answers of their own, columns mean nothing in common: each row is centred over its
answers alone, and 0 stands where it has none.

Many labels make parts of hundreds of megabytes; as often as Blend goes through them, making them
anew takes less time than a copy of them in memory, whose pages are all written first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compread.array_types import Floats
from compread.reweight.blocks import BLOCK_BYTES, sum_of_blocks
from compread.reweight.rows import Rows


@dataclass(frozen=True)
class Signal:
    """What an array [N, J, K] would give for a span of rows."""

    rows: Rows
    level: Floats
    """[J, K] the mean over the rows; 0 where they have answers of their own."""

    @classmethod
    def of(cls, rows: Rows) -> Signal | Floats:
        """Of the components that carry a weight; an array where that is one block."""
        if rows.own_answers:
            level = np.zeros((int(rows.reweighted().sum()), rows.full.shape[1]))
        else:
            total = sum_of_blocks(lambda span: rows.carrying(span).sum(axis=0), rows.parts)
            level = np.asarray(total / max(1, len(rows)))
        signal = cls(rows, level)
        return signal[:] if rows.parts.size * 8 <= BLOCK_BYTES else signal

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, J and K."""
        return len(self.rows), *self.level.shape

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, span: slice) -> Floats:
        """[n, J, K] of a span; a label's components lie side by side in memory."""
        parts = self.rows.carrying(span)
        if self.rows.own_answers:
            return centred_over_answers(parts)
        parts -= self.level
        parts -= parts.mean(axis=2, keepdims=True)
        return parts


def centred_over_answers(values: Floats) -> Floats:
    """[.., K] less the mean over the answers that there are, and 0 for those that are absent."""
    absent = np.isnan(values)
    found = np.where(absent, 0.0, values)
    found -= found.sum(axis=-1, keepdims=True) / (~absent).sum(axis=-1, keepdims=True)
    return np.where(absent, 0.0, found)

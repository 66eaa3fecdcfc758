"""Rows one behind the other in one long row, without pads, each blind to the others.

A batch padded to its longest row computes pads as well, a tenth of all tokens where prompts are
short. Where attention's kernel takes rows by where they begin, rows of any lengths are one row of
the model: each token stands at the position that it has behind the shared prefix, and sees the
prefix and its own row up to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from compread.extract.batches import to_device
from compread.extract.joined import CannotLendError, Kernel
from compread.model.activations import Positions


@dataclass(frozen=True)
class PackedRows:
    """B rows of T tokens in all."""

    tokens: Tensor
    """[1, T]"""
    position: Tensor
    """[1, T] each token's place behind what all rows share."""
    starts: Tensor
    """[B + 1] where each row begins and the last one ends, in 32 bits as kernels want them."""
    longest: int
    """Tokens of the longest row."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], device: torch.device) -> PackedRows:
        """The rows, on a device.

        >>> PackedRows.of([[7, 8], [9]], torch.device("cpu")).position.tolist()
        [[0, 1, 0]]
        """
        lengths = torch.tensor([len(row) for row in rows])
        tokens = torch.tensor([token for row in rows for token in row])
        starts = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        position = torch.arange(len(tokens)) - starts[:-1].repeat_interleave(lengths)
        return cls(
            to_device(tokens[None], device),
            to_device(position[None], device),
            to_device(starts.to(torch.int32), device),
            int(lengths.max()),
        )

    @property
    def ends(self) -> Positions:
        """Each row's last token."""
        last = self.starts[1:].long() - 1
        return Positions(torch.zeros_like(last), last, 1)


def within_rows(kernel: Kernel | None, rows: PackedRows) -> Kernel:
    """The kernel, its causal attention kept within each of the rows.

    Raises:
        CannotLendError: there is none that takes such rows.
    """
    if kernel is None or kernel.by_rows is None:
        raise CannotLendError("no kernel takes rows one behind the other")
    whole, by_rows = kernel.call, kernel.by_rows

    def call(
        query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float
    ) -> tuple[Tensor, Tensor]:
        if not causal:
            return whole(query, key, value, False, scale)
        return by_rows(query, key, value, rows.starts.to(query.device), rows.longest, scale)

    return replace(kernel, call=call)

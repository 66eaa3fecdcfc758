"""What one forward pass shows of itself at the positions that are read."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Positions:
    """Where a batch of B rows is read: at Q positions, any number of them in a row."""

    row: Tensor
    """[Q]"""
    position: Tensor
    """[Q] among the tokens that were run."""
    rows: int
    """B"""


@dataclass
class Activations:
    """One forward's activations at the answer positions, in the accumulation type.

    Where a row is read at several positions (``Positions``), B counts these.

    ``embedding`` [B, D] is the residual stream before the first layer, or [B, M, D] where there are
    M of them, ``final_streams`` those behind the last; ``norm_input`` and
    ``norm_output`` [B, D] are around the final norm; ``raw_logits`` and ``logits`` [B, V] are the
    unembedding's output and what the model returned.
    """

    answer: Tensor
    """[B] position of each prompt's last token among the tokens that were run."""
    dtype: torch.dtype
    embedding: Tensor = field(default_factory=lambda: torch.empty(0))
    norm_input: Tensor = field(default_factory=lambda: torch.empty(0))
    norm_output: Tensor = field(default_factory=lambda: torch.empty(0))
    raw_logits: Tensor = field(default_factory=lambda: torch.empty(0))
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    inputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    final_streams: Tensor = field(default_factory=lambda: torch.empty(0))
    streams: dict[nn.Module, Tensor] = field(default_factory=dict)
    values: dict[nn.Module, tuple[Tensor, ...]] = field(default_factory=dict)
    """All tensors that a module returned, [B, ...]: what several streams are mixed with."""
    positions: Positions | None = None
    """Where the rows are read, if not at one position each."""
    _places: dict[torch.device, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)
    """The row and the position of each answer, once for each device."""

    @classmethod
    def at(cls, where: Tensor | Positions, dtype: torch.dtype) -> Activations:
        """Nothing seen yet: one position a row [B], or several."""
        if isinstance(where, Positions):
            return cls(where.position, dtype, positions=where)
        return cls(where, dtype)

    def input_of(self, module: nn.Module) -> Tensor:
        """[B, width] what the module was called with."""
        return self.inputs[module]

    def output_of(self, module: nn.Module) -> Tensor:
        """[B, width] what the module returned."""
        return self.outputs[module]

    def pick(self, hidden: Tensor) -> Tensor:
        """Copy the answer rows: [B, T, width] (or [B·T, width]) -> [B, width]."""
        if hidden.ndim > 3:  # heads or groups apart: [B, T, .., width]
            hidden = hidden.flatten(2)
        batch = self.positions.rows if self.positions else len(self.answer)
        return self.rows(hidden.reshape(batch, -1, hidden.shape[-1]))

    def rows(self, values: Tensor) -> Tensor:
        """Copy the answer rows: [B, T, ...] -> [B, ...]."""
        place = values.device
        if place not in self._places:
            answer = self.answer.to(place)
            row = torch.arange(len(answer), device=place)
            self._places[place] = self.positions.row.to(place) if self.positions else row, answer
        return values[self._places[place]]

"""The matrices that a token meets in a model's layers, at their true sizes also where packed."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from torch import nn

from compread.model.trace import CausalLM


class Matrix(NamedTuple):
    """One matrix, or several of one size, such as those of experts."""

    name: str
    """Of its weight in the model."""
    shape: tuple[int, ...]
    """[.., out, in], or [.., in, out] where the family keeps it so."""

    @property
    def numel(self) -> int:
        """How many weights it has."""
        return prod(self.shape)


def layer_matrices(model: CausalLM) -> Iterator[Matrix]:
    """All matrices of a model but its embeddings and its unembedding.

    Works on a model without weights (device ``meta``) as well.
    """
    looked_up = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    outer = {id(m.weight) for m in (*looked_up, model.get_output_embeddings()) if m is not None}
    for name, weight in model.named_parameters():
        if weight.ndim >= 2 and id(weight) not in outer:
            # Four bits lie several to an element, in one long column.
            true = getattr(weight, "quant_state", None) or weight
            yield Matrix(name, tuple(true.shape))

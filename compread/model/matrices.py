"""The matrices that a token meets, at their true sizes also where packed, and what they cost.

What a forward pass costs is counted in floating-point operations of matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from torch import nn

from compread.model.blocks import config_value
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


_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "top_k_experts")


def forward_flops(model: CausalLM, tokens: int, answers: int) -> float:
    """Operations for ``tokens`` through the layers and ``answers`` through the unembedding.

    Two for each weight of a matrix that a token meets, of the experts those that are chosen; the
    products of attention's scores, a few percent at the lengths of prompts, are not counted. Works
    on a model without weights (device ``meta``) as well.
    """
    inside, head = layer_weights(model)
    return 2.0 * (tokens * inside + answers * head)


def layer_weights(model: CausalLM) -> tuple[float, int]:
    """Weights of matrices that a token meets in the layers, and that an answer meets after them."""
    share = _share_of_experts(model.config.get_text_config())
    inside = 0.0
    for matrix in layer_matrices(model):
        routed = "experts" in matrix.name and "shared" not in matrix.name
        inside += matrix.numel * (share if routed else 1.0)
    head = model.get_output_embeddings()
    return inside, head.weight.numel() if head is not None else 0


def _share_of_experts(config: Any) -> float:
    count, chosen = config_value(config, _EXPERTS), config_value(config, _CHOSEN)
    return chosen / count if isinstance(count, int) and isinstance(chosen, int) and count else 1.0

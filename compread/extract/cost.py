"""What a forward pass costs: the floating-point operations of a model's matrix products."""

from __future__ import annotations

from typing import Any

from compread.model.blocks import config_value
from compread.model.matrices import layer_matrices
from compread.model.trace import CausalLM

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

"""What is known of model families by name; everything else is found by structure (``anatomy``).

A family whose blocks use other names than these, or whose config holds another multiplier, is a
line here. Nothing here is trusted: a model's anatomy is compared with what its layers really
write before a number is computed.
"""

from __future__ import annotations

MIXER_NAMES = ("self_attn", "attn", "attention", "self_attention")
"""Names, inside a layer, of the block that mixes tokens."""

MLP_NAMES = ("mlp", "feed_forward", "ffn", "block_sparse_moe")
"""Names, inside a layer, of the feed-forward block."""

LAYER_COUNT = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEAD_COUNT = ("num_attention_heads", "n_head", "n_heads", "num_heads")
CONTEXT_LENGTH = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")

RESIDUAL_MULTIPLIER = ("residual_multiplier",)
"""Config entries that scale both blocks' writes to the residual stream (Granite)."""

LOGIT_MULTIPLIER = ("logit_scale",)
"""Config entries that multiply the logits (Cohere)."""

LOGIT_DIVISOR = ("logits_scaling",)
"""Config entries that divide the logits (Granite)."""

SOFT_CAP = ("final_logit_softcapping",)
"""Config entries c of a final soft-cap, logit -> c·tanh(logit / c) (Gemma-2)."""

"""What is known of model families by name; everything else is found by structure (``anatomy``).

A family whose blocks use other names than these, or whose config holds another multiplier, is a
line here. Nothing here is trusted: a model's anatomy is compared with what its layers really
write before a number is computed.
"""

from __future__ import annotations

from compread.components import Kind

BLOCK_NAMES: dict[Kind, tuple[str, ...]] = {
    "head": ("self_attn", "attn", "attention", "self_attention", "multi_head_attention"),
    "mixer": ("mamba", "mixer", "linear_attn", "temporal_block", "conv", "short_conv"),
    "mlp": ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "mlp_block", "fc2"),
}
"""Names, inside a layer, of attention, of other token mixers, and of the feed-forward block."""

WRITES: dict[str, dict[Kind, str]] = {
    # Their blocks return the residual stream with the write added to it.
    "bloom": {"head": "self_attention.dense", "mlp": "mlp.dense_4h_to_h"},
    "mpt": {"mlp": "ffn.down_proj"},
}
"""By model type: where a write is, if not at the output of the block that makes it."""

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

TWIN_HEADS = 4
TWIN_KV_COUNT = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "n_kv_heads")
TWIN_SIZE = {
    "vocab_size": 96,
    "hidden_size": 48,
    "d_model": 48,
    "n_embd": 48,
    "embed_dim": 48,
    "word_embed_proj_dim": 48,
    "intermediate_size": 40,
    "ffn_dim": 40,
    "ffn_hidden_size": 40,
    "n_inner": 40,
    "d_ff": 40,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "num_attention_heads": TWIN_HEADS,
    "n_head": TWIN_HEADS,
    "n_heads": TWIN_HEADS,
    "num_heads": TWIN_HEADS,
    "head_dim": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 12,
    "rotary_dim": 8,
    "sliding_window": 8,
}
"""Sizes of the twin by config entry; entries that a config lacks or that are not numbers stay."""

TWIN_SIZES: dict[str, dict[str, object]] = {}
"""By model type: entries that a consistent small config of this type needs besides."""

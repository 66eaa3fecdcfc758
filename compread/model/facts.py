"""What is known of model families by name; everything else is found by structure (``anatomy``).

A family whose blocks use other names than these, or whose config holds another multiplier, is a
line here. Nothing here is trusted: a model's anatomy is compared with what its layers really
write before a number is computed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from compread.components import Kind

Names: TypeAlias = tuple[str, ...]
Step: TypeAlias = tuple[Literal["head", "mixer", "mlp", "norm", "times", "plus"], Names]

BLOCK_NAMES: tuple[Step, ...] = (
    ("head", ("self_attn", "attn", "attention", "self_attention", "multi_head_attention")),
    ("mixer", ("mamba", "mixer", "linear_attn", "temporal_block", "conv", "short_conv")),
    ("mlp", ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "mlp_block", "fc2")),
)
"""Names, inside a layer, of attention, of other token mixers, and of the feed-forward block."""

CLASS_WORDS: dict[Kind, Names] = {
    "mixer": ("mamba", "rwkv", "delta", "lightning", "linearattention", "recurrent", "conv"),
    "head": ("attention",),
    "mlp": ("mlp", "moe", "expert"),
}
"""Words in a class's name that tell its kind, where a family uses one name for several kinds."""

# Norms behind the sum of an MLP and its experts, and a second, gated write of the token's own.
_GEMMA4: tuple[Step, ...] = (
    ("head", ("self_attn",)),
    ("mlp", ("post_feedforward_layernorm",)),
    ("mlp", ("post_per_layer_input_norm",)),
    ("times", ("layer_scalar",)),
)

_GRANITE_MOE: tuple[Step, ...] = (
    ("head", ("self_attn",)),
    ("mixer", ("mamba",)),
    ("mlp", ("block_sparse_moe",)),
    ("mlp", ("shared_mlp",)),
)

# What attention and MLP return goes through a convolution over positions, which no head survives.
_INKLING: tuple[Step, ...] = (
    ("mixer", ("attn_sconv",)),
    ("mlp", ("mlp_sconv",)),
)

STEPS: dict[str, tuple[Step, ...]] = {
    # Their blocks return the residual stream with the write added to it.
    "bloom": (("head", ("self_attention.dense",)), ("mlp", ("mlp.dense_4h_to_h",))),
    "mpt": (("head", ("attn",)), ("mlp", ("ffn.down_proj",))),
    # The bias of the last layer's attention is added outside of the block.
    "gpt_neox_japanese": (
        ("head", ("attention.dense",)),
        ("plus", ("attention.dense_bias",)),
        ("mlp", ("mlp",)),
    ),
    # Learned scales of the residual stream.
    "doge": (
        ("times", ("input_residual",)),
        ("head", ("self_attn",)),
        ("times", ("post_attention_residual",)),
        ("mlp", ("mlp",)),
    ),
    # The residual stream itself is normalised, before each block ...
    "minimax": (
        ("norm", ("input_layernorm",)),
        ("times", ("attn_alpha_factor",)),
        ("head", ("self_attn",)),
        ("norm", ("post_attention_layernorm",)),
        ("times", ("mlp_alpha_factor",)),
        ("mlp", ("mlp",)),
    ),
    # ... or behind it.
    "openai-gpt": (
        ("head", ("attn",)),
        ("norm", ("ln_1",)),
        ("mlp", ("mlp",)),
        ("norm", ("ln_2",)),
    ),
    "trocr": (
        ("head", ("self_attn",)),
        ("norm", ("self_attn_layer_norm",)),
        ("mlp", ("fc2",)),
        ("norm", ("final_layer_norm",)),
    ),
    "git": (
        ("head", ("attention.output.dense",)),
        ("norm", ("attention.output.LayerNorm",)),
        ("mlp", ("output.dense",)),
        ("norm", ("output.LayerNorm",)),
    ),
    "inkling_text": _INKLING,
    "gemma4_text": _GEMMA4,
    "gemma4_unified_text": _GEMMA4,
    # Experts and an MLP beside them that all tokens share.
    "granitemoehybrid": _GRANITE_MOE,
    "granitemoeshared": _GRANITE_MOE,
    "xlstm": (("mixer", ("mlstm_layer",)), ("mlp", ("ffn",))),
    "dbrx": (("head", ("norm_attn_norm.attn",)), ("mlp", ("ffn",))),
    # Two attentions and two MLPs a layer, and the experts' output taken past the second pair.
    "longcat_flash": (
        ("head", ("self_attn.0",)),
        ("mlp", ("mlps.0",)),
        ("head", ("self_attn.1",)),
        ("mlp", ("mlps.1",)),
        ("mlp", ("mlp",)),
    ),
    "rwkv": (
        ("norm", ("pre_ln",)),
        ("mixer", ("attention",)),
        ("mlp", ("feed_forward",)),
    ),
    # Attention is a mixture of experts with an output projection each.
    "jetmoe": (("mixer", ("self_attention",)), ("mlp", ("mlp",))),
    # The shared transformer feeds the state-space block and does not write.
    "zamba": (("mixer", ("mamba_decoder.mamba", "mamba")),),
    "zamba2": (("mixer", ("mamba_decoder.mamba", "mamba")),),
}
"""By model type: what a layer does to the residual stream, in order, where it is not the usual.

``head``, ``mixer`` and ``mlp`` are writes. ``norm`` normalises the stream itself, ``times`` scales
it by a number or a vector, ``plus`` adds a constant vector. What a layer lacks is left out.
"""

_HYPER = (
    "hyper-connections keep several residual streams that every layer mixes anew, so no single "
    "residual stream is the sum of the parts"
)
_ALTUP = (
    "AltUp keeps several residual streams and mixes them in every layer with coefficients computed "
    "from them, so no single residual stream is the sum of the parts"
)

_DRAFT = "it drafts for another model from that model's hidden states, keys and values"

REFUSED: dict[str, str] = {
    "blt": "bytes are grouped into patches and three stacks hand hidden states to one another",
    "beam": "every addition scales the residual stream and the write by their depth, which is not "
    "followed yet",
    "deepseek_v4": _HYPER,
    "gemma3n_text": _ALTUP,
    "gemma4_assistant": _DRAFT,
    "gemma4_unified_assistant": _DRAFT,
    "hrm_text": "its layers are run several times in one forward, so a layer has many writes",
    "hy_v4": _HYPER,
    "inkling2_text": "the residual stream starts anew every few layers and each block reads an "
    "attention over all earlier ones",
    "modernbert-decoder": "its unembedding reads the residual stream through a nonlinear layer",
    "qwen4_exp_text": _HYPER,
    "zaya": "learned vectors scale each write and the residual stream, which is not followed yet",
    "reformer": "reversible layers keep two residual streams that are joined at the end",
}
"""By model type: why its logits are no sum of its parts."""

LAYER_COUNT = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEAD_COUNT = ("num_attention_heads", "n_head", "n_heads", "num_heads")
BY_LAYER = "per_layer_config"
"""Config entry that holds a dict by layer number."""
SHARED_KV = "num_kv_shared_layers"
"""Config entry that says how many of the last layers use earlier layers' keys and values."""
CONTEXT_LENGTH = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")

WRITE_MULTIPLIER: dict[Kind, Names] = {
    "head": ("attn_out_multiplier", "attn_beta_factor", "residual_multiplier", "residual_scale"),
    "mixer": ("ssm_out_multiplier", "attn_beta_factor", "residual_multiplier", "residual_scale"),
    "mlp": ("mlp_beta_factor", "residual_multiplier", "residual_scale"),
}
"""Entries, of the layer or the config, that scale a block's write (Granite, Falcon-H1, MiniCPM)."""

LOGIT_MULTIPLIER = ("logit_scale", "lm_head_multiplier")
"""Config entries that multiply the logits (Cohere, Falcon-H1)."""

LOGIT_DIVISOR = ("logits_scaling",)
"""Config entries that divide the logits (Granite)."""

DIVISOR_MULTIPLIES = ("hyperclovax",)
"""Types that multiply the logits by the entry that others divide them by."""

SCALED_BEFORE_UNEMBEDDING = ("minicpm3",)
"""Types whose logit divisor acts on the final norm's output, where it needs no help."""

SOFT_CAP = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""Config entries c of a final soft-cap, logit -> c·tanh(logit / c) (Gemma-2)."""

TWIN_HEADS = 4
TWIN_KV_COUNT = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "n_kv_heads")
TWIN_SIZE = {
    "vocab_size": 96,
    "vocab_size_per_layer_input": 96,
    "hidden_size_per_layer_input": 8,
    "hidden_size": 48,
    "d_model": 48,
    "n_embd": 48,
    "embed_dim": 48,
    "embedding_dim": 48,
    "lru_width": 48,
    "word_embed_proj_dim": 48,
    "intermediate_size": 40,
    "shared_intermediate_size": 40,
    "ffn_dim": 40,
    "ffn_hidden_size": 40,
    "n_inner": 40,
    "d_ff": 40,
    "moe_intermediate_size": 24,
    "expert_ffn_hidden_size": 24,
    "shared_expert_intermediate_size": 24,
    "shared_experts_intermediate_size": 24,
    "moe_shared_expert_intermediate_size": 24,
    "num_attention_heads": TWIN_HEADS,
    "n_head": TWIN_HEADS,
    "n_heads": TWIN_HEADS,
    "num_heads": TWIN_HEADS,
    "head_dim": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "num_experts_per_token": 2,
    "moe_topk": 2,
    "zero_expert_num": 2,
    "n_group": 2,
    "num_expert_group": 2,
    "d_head": 12,
    "topk_group": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "qk_head_dim": 16,
    "v_head_dim": 12,
    "swa_num_attention_heads": TWIN_HEADS,
    "swa_num_key_value_heads": 2,
    "swa_head_dim": 16,
    "index_topk": 8,
    "index_head_dim": 16,
    "index_n_heads": 2,
    "rotary_dim": 8,
    "sliding_window": 8,
    "attention_window_size": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_heads": 4,
    "linear_head_dim": 8,
    # State-space blocks are twice as wide as the stream: 8 heads of 12.
    "mamba_expand": 2,
    "mamba_n_heads": 8,
    "mamba_num_heads": 8,
    "n_mamba_heads": 8,
    "mamba_d_head": 12,
    "mamba_head_dim": 12,
    "mamba_headdim": 12,
    "mamba_d_ssm": 96,
    "mamba_d_state": 8,
    "state_size": 8,
    "ssm_state_size": 8,
    "mamba_dt_rank": 4,
    "time_step_rank": 4,
    "mamba_chunk_size": 8,
    "chunk_size": 8,
    "n_groups": 2,
    "attention_hidden_size": 48,
    "router_hidden_size": 16,
    "num_blocks": 3,
}
"""Sizes of the twin by config entry; those that a config lacks or has smaller stay."""

TWIN_NONE = {"num_key_value_heads": 2, "num_experts_per_tok": 2, "final_logit_softcapping": 8.0}
"""What an entry that the config leaves open becomes."""

TWIN_LOUD: dict[str, object] = {
    "embedding_multiplier": 1.7,
    "residual_multiplier": 0.6,
    "logits_scaling": 2.3,
    "logit_scale": 0.4,
    "lm_head_multiplier": 0.6,
    "attention_in_multiplier": 0.9,
    "attention_out_multiplier": 0.7,
    "ssm_in_multiplier": 1.2,
    "ssm_out_multiplier": 0.8,
    "key_multiplier": 0.9,
    "mlp_multipliers": [0.9, 0.8],
    "ssm_multipliers": [0.9, 0.8, 1.1, 0.7, 1.2],
    "linear_attn_alpha_factor": 1.3,
    "linear_attn_beta_factor": 0.7,
    "full_attn_alpha_factor": 1.2,
    "full_attn_beta_factor": 0.8,
    "mlp_alpha_factor": 1.1,
    "mlp_beta_factor": 0.9,
}
"""Values of constants that a config leaves at one, where nobody would miss them."""

LOUD_BUFFERS = ("layer_scalar",)
"""Trained values that are kept as buffers."""

_ZAMBA = ["linear_attention", "linear_attention", "hybrid", "linear_attention", "hybrid"]

TWIN_SIZES: dict[str, dict[str, object]] = {
    "bamba": {"num_hidden_layers": 3, "attn_layer_indices": [1]},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    },
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
        "ffn_config": {
            "hidden_size": 48,
            "ffn_hidden_size": 40,
            "moe_num_experts": 4,
            "moe_top_k": 2,
        },
    },
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1},
    "falcon_mamba": {"intermediate_size": 96},
    "helium": {"head_dim": 12},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "jamba": {
        "num_hidden_layers": 5,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 3,
        "expert_layer_offset": 1,
    },
    "lfm2_moe": {
        "num_hidden_layers": 3,
        "layer_types": ["conv", "full_attention", "conv"],
        "num_dense_layers": 1,
    },
    "mamba": {"intermediate_size": 96},
    "mamba2": {"num_heads": 8, "head_dim": 12},
    "ministral": {"head_dim": 16},
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_d_head": 8},
    "granitemoehybrid": {
        "num_hidden_layers": 3,
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    },
    "xmod": {"default_language": "en_XX"},
    "rwkv": {"rescale_every": 2},
    "stablelm": {"num_attention_heads": 3, "num_key_value_heads": 3},
    "zamba": {
        "num_hidden_layers": 5,
        "layers_block_type": _ZAMBA,
        "attention_hidden_size": 96,
        "attention_head_dim": 24,
        "n_mamba_heads": 2,
    },
    "zamba2": {
        "num_hidden_layers": 5,
        "layers_block_type": _ZAMBA,
        "hybrid_layer_ids": [2, 4],
        "attention_hidden_size": 96,
        "attention_head_dim": 24,
        "kv_channels": 12,
        "num_query_groups": 4,
        "adapter_rank": 4,
    },
}
"""By model type: entries that a consistent small config of this type needs besides."""

"""How the twin of a model is made small and loud: data only, read by ``twin``."""

from __future__ import annotations

FILE = "compread/check/twin_sizes.py"
"""This file, for messages that say what is missing in it."""

TWIN_HEADS = 4
TWIN_SWITCH = 16
"""Length beyond which the twin of a model that computes long prompts otherwise does so."""
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
    "keep_window_size": 8,
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
    "original_max_position_embeddings": TWIN_SWITCH,
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

TWIN_ROPE = {"original_max_position_embeddings": TWIN_SWITCH, "long_mscale": 0.8}
"""Values of a rotation that changes with a batch's length."""

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
    "deepseek_v4": {"index_topk": 4},
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
    "laguna": {"num_attention_heads_per_layer": [4, 8, 2]},
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
    # Heads of 16, of which three quarters are rotated, in pairs.
    "phi3": {"hidden_size": 64},
    # Towers that a text never meets.
    "phi4_multimodal": {
        "hidden_size": 64,
        "vision_config": {
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_attention_heads": 2,
            "crop_size": 28,
            "image_size": 28,
        },
        "audio_config": {
            "num_blocks": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_attention_heads": 2,
            "ext_pw_out_channel": 32,
            "nemo_conv_channels": 32,
        },
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

"""What is known of model families by name; everything else is found by structure (``anatomy``).

A family whose blocks use other names than these, or whose config holds another multiplier, is a
line here. Nothing here is trusted: a model's anatomy is compared with what its layers really
write before a number is computed.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from compread.components import Kind

FILE = "compread/model/facts.py"
"""This file, for messages that say what is missing in it."""

Names: TypeAlias = tuple[str, ...]
Step: TypeAlias = tuple[
    Literal["head", "mixer", "mlp", "norm", "times", "plus", "depth", "affine", "hyper", "altup"],
    Names,
]

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

_HYPER: tuple[Step, ...] = (
    ("hyper", ("attn_hc",)),
    ("head", ("self_attn",)),
    ("hyper", ("ffn_hc",)),
    ("mlp", ("mlp",)),
)

STEPS: dict[str, tuple[Step, ...]] = {
    # Several residual streams.
    "deepseek_v4": _HYPER,
    "hy_v4": _HYPER,
    "gemma3n_text": (
        ("altup", ("altup",)),
        ("head", ("self_attn",)),
        ("mlp", ("laurel",)),
        ("mlp", ("post_feedforward_layernorm",)),
        ("mlp", ("post_per_layer_input_norm",)),
    ),
    # The n-th addition is of √(1 - 1/n) of the stream and √(1/n) of the write.
    "beam": (
        ("depth", ("attn_residual_add_idx",)),
        ("head", ("self_attn",)),
        ("depth", ("mlp_residual_add_idx",)),
        ("mlp", ("mlp",)),
    ),
    # Learned scales and shifts of the stream and of each write.
    "zaya": (
        ("affine", ("post_attention_residual_scale",)),
        ("head", ("self_attn",)),
        ("affine", ("post_mlp_residual_scale",)),
        ("mlp", ("mlp",)),
    ),
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
it by a number or a vector, ``plus`` adds a constant vector; ``depth`` and ``affine`` scale the
stream and the write behind them. ``hyper`` and ``altup`` mix several streams. What a layer lacks is
left out.
"""

_LOOP = "its layers are run several times in one forward, so a layer has many writes"
_DRAFT = "it drafts for another model from that model's hidden states, keys and values"

REFUSED: dict[str, str] = {
    "blt": "bytes are grouped into patches and three stacks hand hidden states to one another",
    "gemma4_assistant": _DRAFT,
    "gemma4_unified_assistant": _DRAFT,
    "dory": _LOOP,
    "hrm_text": _LOOP,
    "inkling2_text": "the residual stream starts anew every few layers and each block reads an "
    "attention over all earlier ones",
    "inkling2_loop_text": _LOOP,
    "modernbert-decoder": "its unembedding reads the residual stream through a nonlinear layer",
    "qwen4_exp_text": "hyper-connections scale every feature of every stream anew before they "
    "mix them",
    "reformer": "reversible layers keep two residual streams that are joined at the end",
}
"""By model type: why its logits are no sum of its parts."""

LAYER_COUNT = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HEAD_COUNT = ("num_attention_heads", "n_head", "n_heads", "num_heads")
ALTUP = ("gemma3n_text",)
"""Types whose layers correct several streams by what they do to one of them."""
GROUPED_BEFORE_PROJECTION = ("o_a_proj",)
"""Modules, of attention, that project groups of heads in front of the output projection."""
HEAD_COUNT_BY_LAYER = ("num_attention_heads_per_layer",)
"""Config entries that hold a number of heads for each layer (Laguna)."""
ATTENTIONS_OF_A_HEAD = {"diffllama": 2}
"""Types whose heads are each made of several attentions: here one less the other."""
BY_LAYER = "per_layer_config"
"""Config entry that holds a dict by layer number."""
SHARED_KV = "num_kv_shared_layers"
"""Config entry that says how many of the last layers use earlier layers' keys and values."""
CONTEXT_LENGTH = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
ROPE = "rope_parameters"
"""Entry that says all of a rotation since transformers 5; of 4.57 no family reads it."""
LONG_ROPE = ("longrope", "su")
"""Types of rotation with one table for short batches and one for long."""
LONG_FROM = "original_max_position_embeddings"
"""Entry, of the rotation or the config, that says up to which length the short table is taken."""
GROWING_ROPE = "dynamic"
"""Types of rotation whose table is made anew for each batch beyond the model's length."""
BEST_KEYS = ("index_topk", "keep_window_size")
"""Config entries that say how many keys sparse attention keeps (DeepSeek-V3.2, Doge)."""
KEYS_IN_ONE = "compress_rates"
"""Config entry that says how many tokens make one such key, by kind of layer (DeepSeek-V4)."""

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

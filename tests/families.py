"""The model types that are certified, kept as data: one that falls out of it is a regression."""

from __future__ import annotations

import transformers
from transformers import CONFIG_MAPPING

QUICK = (
    "gpt2", "llama", "gemma2", "granite", "falcon", "bloom", "doge", "openai-gpt", "mixtral",
    "deepseek_v3", "falcon_h1", "gemma4_text", "mamba", "rwkv", "minimax", "gemma3n_text",
    "deepseek_v4", "zaya", "minicpm3", "hyperclovax",
)  # fmt: skip
"""A few that differ as much as families do, for the ordinary suite."""

CERTIFIED = (
    "afmoe", "apertus", "apertus1p5_text", "arcee", "aria_text", "axk1", "axk2",
    "bailing_hybrid", "bamba", "beam", "biogpt", "bitnet", "bloom", "codegen", "cohere",
    "cohere2", "cohere2_moe", "cohere_compass_text", "ctrl", "cwm", "dbrx", "deepseek_v2",
    "deepseek_v3", "deepseek_v32", "deepseek_v4", "diffllama", "doge", "dots1", "dots3_note",
    "dots3_note_text", "emu3", "ernie4_5", "ernie4_5_moe", "exaone", "exaone4", "exaone_moe",
    "falcon", "falcon_h1", "falcon_mamba", "flex_olmo", "flint", "fuyu", "gemma", "gemma2",
    "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "gemma4", "gemma4_text",
    "gemma4_unified", "gemma4_unified_text", "git", "glm", "glm4", "glm4_moe", "glm4_moe_lite",
    "glm_moe_dsa", "got_ocr2", "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox",
    "gpt_neox_japanese", "gpt_oss", "gptj", "granite", "granite_swa", "granitemoe",
    "granitemoe_swa", "granitemoehybrid", "granitemoeshared", "helium", "hunyuan_v1_dense",
    "hunyuan_v1_moe", "hy_v3", "hy_v4", "hyperclovax", "inkling_text", "internlm3",
    "iquestcoder", "jais2", "jamba", "jetmoe", "kimi_linear", "kolibri1", "laguna", "lara_mini",
    "lfm2", "lfm2_moe", "lfm3", "llama", "llama4", "llama4_text", "longcat_flash", "mamba",
    "mamba2", "mellum", "mimo_v2_flash", "minicpm3", "minimax", "minimax_m2",
    "minimax_m3_vl_text", "ministral", "ministral3", "mistral", "mixtral", "mllama", "moshi",
    "moss_transcribe_diarize", "mpt", "nanochat", "nemotron", "nemotron_h", "olmo", "olmo2",
    "olmo3", "olmo_hybrid", "olmoe", "openai-gpt", "opt", "persimmon", "phi", "phi3",
    "phi4_multimodal", "phimoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_5", "qwen3_5_moe",
    "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe", "qwen3_next", "recurrent_gemma", "rwkv",
    "sarvam_mla", "sarvam_moe", "seed_oss", "smollm3", "solar_open", "stablelm", "starcoder2",
    "trocr", "vaultgemma", "xglm", "xlstm", "youtu", "zamba", "zamba2", "zaya",
)  # fmt: skip
"""All of them, with transformers 5.24."""

READABLE_FROM = {"doge": (5, 20), "minimax": (5, 0), "recurrent_gemma": (5, 0)}
"""Types whose code in transformers before that is not causal, writes what its blocks do not
explain, or fails with heads of any width: they are refused there."""


def lacking(kind: str) -> str | None:
    """Why the transformers that is installed cannot certify a type of ``CERTIFIED``, if so."""
    version = transformers.__version__
    if kind not in CONFIG_MAPPING:
        return f"transformers {version} has no {kind}"
    installed = tuple(map(int, version.split(".")[:2]))
    if installed < READABLE_FROM.get(kind, installed):
        return f"{kind} is refused with transformers {version}"
    return None

"""The model types that are certified, kept as data: one that falls out of it is a regression."""

from __future__ import annotations

QUICK = (
    "gpt2", "llama", "gemma2", "granite", "falcon", "bloom", "doge", "openai-gpt", "mixtral",
    "deepseek_v3", "falcon_h1", "gemma4_text", "mamba", "rwkv", "minimax",
)  # fmt: skip
"""A few that differ as much as families do, for the ordinary suite."""

CERTIFIED: tuple[str, ...] = ()

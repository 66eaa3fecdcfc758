"""A tiny loud Llama in a folder, with a byte-level tokenizer made here: a model to run extract on.

The tokenizer knows all bytes and, as single tokens, the words below; any other word is as many
tokens as it has bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from loud import Family, loud_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = (" negative", " positive", "Review", "Sentiment", " good", " bad", " film")
LABELS = (" negative", " positive")
CONTEXT = 256


def byte_tokenizer(*, lower: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer that puts <s> in front; ``lower`` makes it deaf to case."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: n for n, token in enumerate(["<s>", "</s>", *alphabet])}
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        letters = word.replace(" ", "Ġ")
        for end in range(1, len(letters)):
            pair = (letters[:end], letters[end])
            if pair not in merges:
                merges.append(pair)
                vocabulary.setdefault(letters[: end + 1], len(vocabulary))
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    if lower:
        backend.normalizer = normalizers.Lowercase()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", add_prefix_space=False
    )


TINY = Family(
    "LlamaConfig",
    {"vocab_size": 320, "num_hidden_layers": 2, "hidden_size": 24, "num_attention_heads": 4,
     "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 20, "bos_token_id": 0,
     "eos_token_id": 1, "max_position_embeddings": CONTEXT, "tie_word_embeddings": False,
     "attention_bias": True},
)  # fmt: skip


WIDE = replace(
    TINY,
    options={**TINY.options, "hidden_size": 64, "head_dim": 16, "intermediate_size": 128},
)
"""As wide as packed weights must be: kernels pack blocks of 64 inputs."""


def save_tiny(
    folder: Path,
    *,
    family: Family = TINY,
    tokenizer: bool = True,
    lower: bool = False,
    seed: int = 0,
) -> Path:
    """Save the model and its tokenizer to a folder."""
    loud_model(family, torch.float32, seed).save_pretrained(folder)
    if tokenizer:
        byte_tokenizer(lower=lower).save_pretrained(folder)
    return folder


def review_rows(n: int, n_train: int = 0, labels: Sequence[str] = LABELS) -> list[dict[str, Any]]:
    """Rows of a prompt file behind one shared prefix, of different lengths."""
    prefix = "Review: a good film\nSentiment: positive\n"
    return [
        {
            "prompt": f"{prefix}Review: {'so ' * (i % 7)}good {i}\nSentiment:",
            "label": labels[i % len(labels)],
            "options": list(labels),
            "split": "train" if i < n_train else "test",
            "id": f"r{i}",
        }
        for i in range(n)
    ]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

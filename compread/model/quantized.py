"""Weights of eight or four bits, through transformers' own quantization configs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from compread.errors import ModelError

BITS = {"8bit": "load_in_8bit", "4bit": "load_in_4bit"}
"""The names of ``ModelRequest.quantize``, and what transformers calls them."""


def quantization(bits: str | None, dtype: torch.dtype | None) -> dict[str, Any]:
    """Options of ``from_pretrained`` that quantize weights while they are loaded."""
    if bits is None:
        return {}
    from transformers import BitsAndBytesConfig

    computes_in = {"bnb_4bit_compute_dtype": dtype} if dtype and bits == "4bit" else {}
    config: Any = BitsAndBytesConfig
    return {"quantization_config": config(**{BITS[bits]: True}, **computes_in)}


def bits_to_load(asked: str | None, config: Any) -> str | None:
    """``8bit``, ``4bit`` or None: what was asked for, else what the model's own config says.

    Raises:
        ModelError: the config names another way of packing weights.
    """
    own = getattr(config, "quantization_config", None)
    if asked or own is None:
        return asked
    entries = own if isinstance(own, dict) else own.to_dict()
    for bits, name in BITS.items():
        if entries.get(name):
            return bits
    raise ModelError(
        f"what weights packed by {entries.get('quant_method', 'an unnamed way')} take is not known "
        "beforehand; expected whole ones, or bitsandbytes' of 8 or 4 bits: leave --dry-run out"
    )


def is_quantized(model: nn.Module) -> bool:
    """Whether kernels of few bits run in this model; one that was unpacked has none."""
    return bool(getattr(model, "is_quantized", False))

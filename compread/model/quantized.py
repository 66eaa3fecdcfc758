"""Weights of eight or four bits, through transformers' own quantization configs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from compread.errors import UsageError

_BITS = {"8bit": "load_in_8bit", "4bit": "load_in_4bit"}


def quantization(bits: str | None, dtype: torch.dtype | None) -> dict[str, Any]:
    """Options of ``from_pretrained`` that quantize weights while they are loaded.

    Raises:
        UsageError: no such number of bits.
    """
    if bits is None:
        return {}
    if bits not in _BITS:
        raise UsageError(f"no quantization `{bits}`: expected {' or '.join(_BITS)}")
    from transformers import BitsAndBytesConfig

    computes_in = {"bnb_4bit_compute_dtype": dtype} if dtype and bits == "4bit" else {}
    config: Any = BitsAndBytesConfig
    return {"quantization_config": config(**{_BITS[bits]: True}, **computes_in)}


def is_quantized(model: nn.Module) -> bool:
    """Whether kernels of few bits run in this model; one that was unpacked has none."""
    return bool(getattr(model, "is_quantized", False))

"""Weights of eight or four bits, through transformers' own quantization configs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compread.errors import ModelError, flag, option

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


def packing(asked: str | None, config: Any) -> Any:
    """The ``BitsAndBytesConfig`` that a model is loaded with, its own before one that is asked for.

    None where its weights stay whole.

    Raises:
        ModelError: the model's config names another way of packing weights.
    """
    own = getattr(config, "quantization_config", None)
    if own is None:
        return quantization(asked, None).get("quantization_config")
    from transformers import BitsAndBytesConfig

    known: Any = BitsAndBytesConfig
    entries = own if isinstance(own, dict) else own.to_dict()
    if any(entries.get(name) for name in BITS.values()):
        return known.from_dict(entries)
    raise ModelError(
        f"what weights packed by {entries.get('quant_method', 'an unnamed way')} take is not known "
        "beforehand; expected whole ones, or bitsandbytes' of 8 or 4 bits: leave "
        f"{flag('dry-run')} out"
    )


def maps_to_pack(skeleton: nn.Module, settings: Any) -> list[str]:
    """The names of the linear maps that are packed: transformers' own choice, tried on a skeleton.

    The skeleton, a model on the ``meta`` device, is of no further use.

    Raises:
        ImportError: bitsandbytes is not installed.
    """
    import bitsandbytes
    from transformers.quantizers.auto import AutoHfQuantizer

    kernels: Any = bitsandbytes.nn
    chooser: Any = AutoHfQuantizer
    chooser.from_config(settings, pre_quantized=False).preprocess_model(skeleton, device_map=None)
    packed = (kernels.Linear4bit, kernels.Linear8bitLt)
    return [name for name, module in skeleton.named_modules() if isinstance(module, packed)]


def check_storage(model: nn.Module, name: str) -> None:
    """Refuse four-bit weights whose bytes were converted as if they were numbers.

    Transformers before 5 does that to those kept under the name of a floating type, where the model
    takes another.

    Raises:
        ModelError: they are not of the type that the model's config says.
    """
    settings = getattr(getattr(model, "config", None), "quantization_config", None)
    said = getattr(settings, "bnb_4bit_quant_storage", None)
    packed = (w for w in model.parameters() if getattr(w, "quant_state", None) is not None)
    if isinstance(said, torch.dtype) and any(w.dtype != said for w in packed):
        plain = str(said).removeprefix("torch.")
        raise ModelError(
            f"{name} keeps its four-bit weights as {plain}, and this version of transformers has "
            f"spoiled them by conversion: load it with {option('dtype', plain)} or "
            "with transformers 5"
        )


def is_quantized(model: nn.Module) -> bool:
    """Whether kernels of few bits run in this model; one that was unpacked has none."""
    return bool(getattr(model, "is_quantized", False))


def holds_packed(weight: Tensor) -> bool:
    """Whether a tensor holds weights of few bits, be it under the name of a floating type."""
    return not weight.is_floating_point() or getattr(weight, "quant_state", None) is not None

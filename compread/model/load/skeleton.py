"""A model without weights: what can be said of it before any is loaded."""

from __future__ import annotations

from typing import Any

import torch

from compread.components import LayerShape, component_axis
from compread.errors import ModelError
from compread.model import facts
from compread.model.blocks import config_value
from compread.model.trace import CausalLM
from compread.text import one_line

_LAYER_KINDS = ("layer_types", "layers_block_type", "layer_types_list")
_UNSPLIT = ("linear", "mamba", "conv", "recurrent", "ssm")


def build_skeleton(config: Any, dtype: torch.dtype, trust_remote_code: bool = False) -> CausalLM:
    """The model that a config describes, on the ``meta`` device, where tensors have shapes only.

    Raises:
        ModelError: the config is not that of a causal language model.
    """
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            auto: Any = AutoModelForCausalLM
            model: CausalLM = auto.from_config(
                config, dtype=dtype, trust_remote_code=trust_remote_code
            )
    except Exception as error:  # a family's own code may fail in any way
        reason = one_line(error)
        raise ModelError(
            f"model type `{config.model_type}` cannot be built from its config: "
            f"{type(error).__name__}: {reason}"
        ) from error
    return model.eval()


def expected_components(config: Any) -> int:
    """C as the config tells it; ``anatomy`` finds the true axis on the loaded model."""
    text = config.get_text_config(decoder=True)
    layers, heads = config_value(text, facts.LAYER_COUNT), config_value(text, facts.HEAD_COUNT, 0)
    kinds = config_value(text, _LAYER_KINDS) or [""] * layers
    mixers = [any(word in str(kind) for word in _UNSPLIT) or not heads for kind in kinds]
    shapes = [LayerShape(0, mixer=True) if mixer else LayerShape(heads) for mixer in mixers]
    return len(component_axis(shapes))


def dtype_to_load(name: str, config: Any) -> torch.dtype:
    """The type that a model's weights take: the one asked for, else the one it was saved in."""
    asked: torch.dtype | None = getattr(torch, name, None) if name != "auto" else None
    return asked or saved_dtype(config) or torch.float32


def saved_dtype(config: Any) -> torch.dtype | None:
    """The type that a config says its weights were saved in, if it says one."""
    saved = getattr(config.get_text_config(), "dtype", None)
    found: torch.dtype | None = getattr(torch, saved, None) if isinstance(saved, str) else saved
    return found

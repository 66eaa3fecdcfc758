"""A model without weights: what is said of it before any is loaded, such as the memory it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from compread.components import LayerShape, component_axis
from compread.errors import ModelError
from compread.model import facts
from compread.model.blocks import config_value
from compread.model.load.adapters import load_adapter_config, with_blank_adapter
from compread.model.load.failures import as_model_error
from compread.model.load.kinds import check_kind
from compread.model.load.quantized import maps_to_pack, packing
from compread.model.load.request import ModelRequest
from compread.model.trace import CausalLM
from compread.text import one_line

_LAYER_KINDS = ("layer_types", "layers_block_type", "layer_types_list")
_UNSPLIT = ("linear", "mamba", "conv", "recurrent", "ssm")
# Beside its own bits a packed weight has scales of four bytes: one for each output with eight bits,
# one for each block of 64 weights with four.
_SCALE, _BLOCK = 4, 64


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


@dataclass(frozen=True)
class Footprint:
    """A model as it will be loaded, without its weights."""

    model: CausalLM
    """On the ``meta`` device, its adapter included; weights that will be packed are whole in it."""
    tensors: int
    """Bytes of all weights and buffers, packed ones packed."""
    replaced: int
    """Bytes of saved weights that packed or merged ones stand in for. On a CPU, where a model uses
    its weights right from the mapped files, they stay in the process's memory beside the others."""


def footprint(request: ModelRequest, config: Any) -> Footprint:
    """The model that a request asks for and a config describes.

    Raises:
        ModelError: the config is not that of a causal language model, its weights are packed in
            another way than ours, the adapter cannot be read or does not fit, or a package is
            missing.
    """
    check_kind(config, request.name, request.trust_remote_code)
    saved, dtype = saved_dtype(config), dtype_to_load(request.dtype, config)
    # Before a model is built: transformers before 5 writes its choice into the config it is given.
    saved_packed = getattr(config, "quantization_config", None) is not None
    model = build_skeleton(config, dtype, request.trust_remote_code)
    tensors, replaced = _all_bytes(model), 0
    if settings := packing(request.quantize, config):
        with as_model_error(request.name, "model"):  # its imports are part of what a process takes
            names = maps_to_pack(build_skeleton(config, dtype), settings)
        maps = [model.get_submodule(name) for name in names]
        whole = _bytes(linear.weight for linear in maps)
        tensors += int(sum(_packed_bytes(linear, settings.load_in_8bit) for linear in maps)) - whole
        replaced = 0 if saved_packed else whole
    if request.adapter:
        adapter = load_adapter_config(request.adapter, request.offline)
        adapted = with_blank_adapter(build_skeleton(config, dtype), adapter)
        if request.merge_adapter:
            merged = _bytes(
                w for name, w in adapted.named_parameters() if name.endswith(".base_layer.weight")
            )
            replaced = max(replaced, merged)  # where both are, what is packed is merged into
        else:
            tensors += _all_bytes(adapted) - _all_bytes(model)
            model = adapted
    mapped = dtype == saved and not request.name.endswith(".gguf")
    return Footprint(model, tensors, replaced if mapped else 0)


def _packed_bytes(linear: Any, eight: bool) -> float:
    weights: int = linear.weight.numel()
    if eight:
        outputs: int = linear.nf if isinstance(linear, Conv1D) else linear.out_features
        return weights + _SCALE * outputs
    return weights * (1 / 2 + _SCALE / _BLOCK)


def _all_bytes(model: CausalLM) -> int:
    tied = {id(w): w for w in (*model.parameters(), *model.buffers())}
    return _bytes(tied.values())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

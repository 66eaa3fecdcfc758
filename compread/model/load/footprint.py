"""What a model's weights will take in memory, told from its config before any is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.pytorch_utils import Conv1D

from compread.model.load.adapters import load_adapter_config, with_blank_adapter
from compread.model.load.failures import as_model_error
from compread.model.load.kinds import check_kind
from compread.model.load.quantized import maps_to_pack, packing
from compread.model.load.request import ModelRequest
from compread.model.load.skeleton import build_skeleton, dtype_to_load, saved_dtype
from compread.model.trace import CausalLM

# Beside its own bits a packed weight has scales of four bytes: one for each output with eight bits,
# one for each block of 64 weights with four.
_SCALE, _BLOCK = 4, 64


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

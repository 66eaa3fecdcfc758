"""Weights of linear layers laid out once as a CPU multiplies with them.

Every product with a weight as it is stored lays the weight out in blocks first. Here that is done
once, by oneDNN, into copies beside the weights that the model keeps, and while the model runs each
linear layer multiplies with its copy; hooks, modules and weights are the model's own. That is the
same product but for rounding, and it is held to that when the copy is made. The unembedding is left
out: few positions reach it, and its copy would grow with the vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from compread.extract.memory import free_memory
from compread.model.linear import device_of
from compread.model.trace import CausalLM

Copies: TypeAlias = Mapping[nn.Linear, Tensor]
"""The weight of each linear layer, laid out; empty where the weights are multiplied as they are."""

# Of the free memory, for all processes of this machine together.
_SHARE = 0.25
# Rows for which the layout is best; others are multiplied with it as well.
_ROWS = 1024
_PROBE_ROWS = 16
# The largest difference from the layer's own product, as a share of the largest number in it.
_ROUNDING = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 2e-2}


def lay_out(model: CausalLM) -> Copies:
    """Copies of the weights, where they fit, the processor has such products and they are right."""
    if not copied_bytes(model, device_of(model)):
        return {}
    copies = {}
    try:
        with torch.no_grad():
            for layer in _linear_layers(model):
                weight = layer.weight.detach()
                copies[layer] = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
                if not _is_right(layer, copies[layer]):
                    return {}
    except (AttributeError, RuntimeError):  # this torch or processor has none, or no memory is left
        return {}
    return copies


def copied_bytes(model: CausalLM, device: torch.device, taken: int = 0) -> int:
    """What the copies take: nothing where there are none.

    Args:
        model: the model, or its skeleton.
        device: where the model is or will be.
        taken: bytes that are free now and will not be when the copies are made.
    """
    free = free_memory(device) if device.type == "cpu" else None
    if free is None:
        return 0
    needed = sum(m.weight.numel() * m.weight.element_size() for m in _linear_layers(model))
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return needed if needed * processes <= (free - taken * processes) * _SHARE else 0


@contextmanager
def multiplying_with(copies: Copies) -> Iterator[None]:
    """Let each layer's ``forward`` multiply with its copy."""
    try:
        for layer, copy in copies.items():
            layer.__dict__["forward"] = partial(_multiply, copy, layer.bias)
        yield
    finally:
        for layer in copies:
            layer.__dict__.pop("forward", None)


def _multiply(copy: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, copy, bias, "none", [], "")
    return product


def _linear_layers(model: CausalLM) -> list[nn.Linear]:
    """Those that are nothing but linear, in a type that oneDNN multiplies in."""
    head = model.get_output_embeddings()
    return [
        module
        for module in model.modules()
        # A subclass, or a layer whose forward was replaced, may do more than multiply.
        if type(module) is nn.Linear and module is not head and "forward" not in module.__dict__
        if module.weight.dtype in _ROUNDING
    ]


def _is_right(layer: nn.Linear, copy: Tensor) -> bool:
    dtype = layer.weight.dtype
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(_PROBE_ROWS, layer.in_features, generator=draw).to(dtype)
    own = linear(x, layer.weight, layer.bias).float()
    misfit = (_multiply(copy, layer.bias, x).float() - own).abs().max()
    return bool(misfit <= _ROUNDING[dtype] * own.abs().max())

"""Reading a module's linear map by running it, whatever holds its weights.

A projection is read through vector-Jacobian products of the module itself, so that ``Linear``,
``Conv1D``, adapter-wrapped and quantized modules are all the same to the callers: none of them
knows a weight's name or orientation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type that attributions are accumulated in: float64 for float64 models, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def device_of(module: nn.Module) -> torch.device:
    """Where a module's inputs are expected; the execution device where weights are offloaded."""
    hook = getattr(module, "_hf_hook", None)
    placed = getattr(hook, "execution_device", None)
    if placed is not None:
        return torch.device(placed)
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def dtype_of(module: nn.Module) -> torch.dtype:
    """The floating-point type of a module's first floating-point weight (float32 without one)."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def run_precisely(module: nn.Module, x: Tensor) -> Tensor:
    """``module(x)`` with the module's half-precision weights widened to the type of ``x``.

    The module's own weights stay as they are. Offloaded weights are materialised by the module's
    own hooks, so those modules run in the type they have.
    """
    weights = dict(module.named_parameters())
    if any(w.is_meta for w in weights.values()):
        return _first(module(x.to(dtype_of(module)))).to(x.dtype)
    wide = {name: w.to(x.dtype) for name, w in weights.items() if w.is_floating_point()}
    return _first(functional_call(module, wide, (x,)))


def bias_of(module: nn.Module, width: int, like: Tensor) -> Tensor:
    """``module(0)``: what an affine module adds whatever its input, [D], typed as ``like``."""
    zero = torch.zeros(1, width, dtype=like.dtype, device=device_of(module))
    with torch.no_grad():
        return run_precisely(module, zero)[0].to(like.device)


def pull_back(module: nn.Module, width: int, directions: Tensor) -> Tensor:
    """Directions at a module's output, seen from its input: v -> Wᵀv.

    Args:
        module: an affine map from ``width`` inputs to D outputs.
        width: number of inputs.
        directions: [K, D].

    Returns:
        [K, width], in the type and on the device of ``directions``.
    """
    place = device_of(module)
    with torch.inference_mode(False), torch.enable_grad():
        point = torch.zeros(
            len(directions), width, dtype=directions.dtype, device=place, requires_grad=True
        )
        out = run_precisely(module, point)
        (pulled,) = torch.autograd.grad(out, point, directions.clone().to(out))
    return pulled.to(directions)


def unembedding_rows(head: nn.Module, width: int, token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and biases of an unembedding for K tokens: [K, D] and [K].

    A one-hot cotangent picks a row without rounding, so the head runs in its own type and no
    widened copy of a [V, D] matrix is made.
    """
    place, dtype = device_of(head), dtype_of(head)
    with torch.inference_mode(False), torch.enable_grad():
        point = torch.zeros(len(token_ids), width, dtype=dtype, device=place, requires_grad=True)
        out = _first(head(point))  # [K, V]
        pick = torch.zeros_like(out)
        pick[torch.arange(len(token_ids)), token_ids.to(place)] = 1
        (rows,) = torch.autograd.grad(out, point, pick)
    bias = out.detach()[0, token_ids.to(place)]
    wide = accumulation_dtype(dtype)
    return rows.to(wide), bias.to(wide)


def _first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output

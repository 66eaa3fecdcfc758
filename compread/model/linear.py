"""Reading a module's linear map by running it, whatever holds its weights.

A projection is read through vector-Jacobian products of the module itself, so that ``Linear``,
``Conv1D``, adapter-wrapped and quantized modules are all the same to the callers: none of them
knows a weight's name or orientation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from compread.model.load.quantized import holds_packed

_UNITS_AT_A_TIME = 512
_ROWS_AT_A_TIME = 4096
# Types whose weight is their matrix, and whether it lies [in, out].
_PLAIN = {"Linear": False, "Conv1D": True}


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type that attributions are accumulated in: float64 for float64 models, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def device_of(module: nn.Module) -> torch.device:
    """Where a module's inputs are expected; the execution device where weights are offloaded."""
    for part in module.modules():
        placed = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if isinstance(placed, int | str | torch.device):
            return torch.device(placed)
        own = (*part.parameters(recurse=False), *part.buffers(recurse=False))
        if own:
            return own[0].device
    return torch.device("cpu")


def dtype_of(module: nn.Module) -> torch.dtype:
    """The floating-point type of a module's first floating-point weight (float32 without one)."""
    for tensor in (*module.parameters(), *module.buffers()):
        if not holds_packed(tensor):
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
    wide = {name: w.to(x.dtype) for name, w in weights.items() if not holds_packed(w)}
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
    if (matrix := plain_matrix(module)) is not None:
        return (directions.to(matrix.device) @ matrix.to(directions.dtype)).to(directions)
    if is_packed(module):
        return _by_unit_vectors(module, width, directions)
    place = device_of(module)
    with torch.inference_mode(False), torch.enable_grad():
        point = torch.zeros(
            len(directions), width, dtype=directions.dtype, device=place, requires_grad=True
        )
        out = run_precisely(module, point)
        pulled = _gradient(out, point, directions.clone().to(out))
    return pulled.to(directions)


def plain_matrix(module: nn.Module) -> Tensor | None:
    """The matrix [D, width] of a module that is only that and a bias; None: run it to know.

    No copy is made. A subclass, an adapter, packed or offloaded weights, or code that was hung on
    the module from outside may do more than its weight says.
    """
    kind = type(module).__name__
    known = kind in _PLAIN and type(module).__module__.startswith(("torch.nn.", "transformers."))
    if not known or "forward" in vars(module) or any(_hooks_of(module)):
        return None
    weight: Any = module.weight
    if type(weight) not in (Tensor, nn.Parameter) or weight.is_meta or holds_packed(weight):
        return None
    matrix: Tensor = weight.detach()
    return matrix.T if _PLAIN[kind] else matrix


def _hooks_of(module: nn.Module) -> tuple[Any, ...]:
    return module._forward_hooks, module._forward_pre_hooks, getattr(module, "_hf_hook", None)


def _gradient(out: Tensor, point: Tensor, cotangent: Tensor) -> Tensor:
    """The cotangent at ``out``, seen from ``point``."""
    # In this thread: one of autograd's own has no CUDA context yet, and torch warns of that.
    with torch.autograd.set_multithreading_enabled(False):
        (pulled,) = torch.autograd.grad(out, point, cotangent)
    return pulled


def is_packed(module: nn.Module) -> bool:
    """Whether weights are packed into few bits, whose kernels may have no gradient."""
    tensors = (*module.parameters(), *module.buffers())
    return any(map(holds_packed, tensors))


def _by_unit_vectors(module: nn.Module, width: int, directions: Tensor) -> Tensor:
    """``pull_back`` through what the module makes of each input alone."""
    place = device_of(module)
    nothing = bias_of(module, width, directions).to(place)
    pulled = directions.new_empty(len(directions), width)
    for start in range(0, width, _UNITS_AT_A_TIME):
        count = min(_UNITS_AT_A_TIME, width - start)
        units = torch.zeros(count, width, dtype=directions.dtype, device=place)
        units[torch.arange(count), start + torch.arange(count)] = 1
        with torch.no_grad():
            out = run_precisely(module, units) - nothing  # [n, D]
        pulled[:, start : start + count] = directions @ out.to(directions).T
    return pulled


def unembedding_rows(head: nn.Module, width: int, token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and biases of an unembedding for K tokens: [K, D] and [K].

    A one-hot cotangent picks a row without rounding, so the head runs in its own type and no
    widened copy of a [V, D] matrix is made.
    """
    place, dtype = device_of(head), dtype_of(head)
    wide = accumulation_dtype(dtype)
    if (matrix := plain_matrix(head)) is not None:
        chosen = token_ids.to(matrix.device)
        own: Any = head.bias
        own = matrix.new_zeros(len(matrix)) if own is None else own.detach()
        return matrix[chosen].to(wide), own[chosen].to(wide)
    if is_packed(head):
        return _packed_rows(head, width, token_ids, wide)
    with torch.inference_mode(False), torch.enable_grad():
        point = torch.zeros(len(token_ids), width, dtype=dtype, device=place, requires_grad=True)
        out = _first(head(point))  # [K, V]
        pick = torch.zeros_like(out)
        pick[torch.arange(len(token_ids)), token_ids.to(place)] = 1
        rows = _gradient(out, point, pick)
    bias = out.detach()[0, token_ids.to(place)]
    return rows.to(wide), bias.to(wide)


def unembedding_mean(head: nn.Module, width: int) -> tuple[Tensor, Tensor]:
    """The mean of an unembedding's rows [D] and of its biases [], over the whole vocabulary.

    No widened copy of a [V, D] matrix is made.
    """
    wide = accumulation_dtype(dtype_of(head))
    nothing = torch.zeros(1, width, dtype=dtype_of(head), device=device_of(head))
    with torch.no_grad():
        bias = _first(head(nothing))[0].to(wide)  # [V]
        if (matrix := plain_matrix(head)) is not None:
            blocks = [rows.to(wide).sum(0) for rows in torch.split(matrix, _ROWS_AT_A_TIME)]
            return torch.stack(blocks).sum(0) / len(matrix), bias.mean()
        mean = torch.empty(width, dtype=wide, device=bias.device)
        for units in torch.split(torch.arange(width, device=bias.device), _UNITS_AT_A_TIME // 8):
            one = nothing.repeat(len(units), 1)
            one[torch.arange(len(units)), units] = 1
            mean[units] = (_first(head(one)).to(wide) - bias).mean(-1)
    return mean, bias.mean()


def _packed_rows(
    head: nn.Module, width: int, token_ids: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    bias = bias_of(head, width, torch.empty(0, dtype=dtype, device=device_of(head)))
    pick = torch.zeros(len(token_ids), len(bias), dtype=dtype, device=bias.device)
    pick[torch.arange(len(token_ids)), token_ids.to(bias.device)] = 1
    return _by_unit_vectors(head, width, pick), bias[token_ids.to(bias.device)]


def _first(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output[0] if isinstance(output, tuple) else output

"""A model that runs with a weight on each component's write: by hooks, or in its own weights.

    head h of a layer      W_O[:, columns of h] · w       (the projection's bias is no head's)
    MLP or mixer           (W x + b) · w

Both are linear for weights of any sign, and with grouped-query attention too, as heads share keys
and values and never columns of W_O. What the model then computes is no weighted sum of what it
computed before: later layers read the changed stream. Only the weights of the last layer's writes
change nothing but the sum, and the final norm's scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compread.components import Component
from compread.errors import ModelError
from compread.model.anatomy import Anatomy, Write
from compread.model.blocks import kind_of
from compread.model.find import find_anatomy
from compread.model.linear import is_packed
from compread.model.trace import CausalLM, Trace, hooked, probe_tokens, trace_forward

Weighting = Mapping[Component, float]
"""A weight for each head, mixer and MLP; what is left out has 1."""
MARK = "_compread_weighted"
"""What a model has while its components are weighted by hooks."""
_MISFIT = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@contextmanager
def weighted(model: CausalLM, weights: Weighting) -> Iterator[None]:
    """Weights on a loaded model for the length of a block, which changes none of its own.

    It works where a component's output is made by several matrices, such as a mixture of experts,
    and where these are packed.

    Raises:
        ModelError: the model cannot be read, or a norm stands behind a block's output.
    """
    anatomy = find_anatomy(model)
    _check_no_norm(model, anatomy)
    handles = []
    for layer, write in _writes(anatomy):
        if write.kind == "head":
            factors = torch.tensor(_of_heads(weights, layer, write))
            handles.append(write.reads.register_forward_pre_hook(_scale_input(factors)))
        else:
            w = weights.get(Component(write.kind, layer), 1.0)
            handles.append(write.module.register_forward_hook(_scale_output(w)))
    setattr(model, MARK, True)
    try:
        with hooked(handles):
            yield
    finally:
        delattr(model, MARK)


def scale_weights(model: CausalLM, weights: Weighting) -> None:
    """Multiply the weights into the model's own matrices, in place.

    The model is then run beside the unchanged one with hooks on a few tokens; where the two differ
    by more than rounding, its matrices are something else than they look, and it is refused.

    Raises:
        ModelError: as in ``weighted``, or a component's output is no single matrix's.
    """
    anatomy = find_anatomy(model)
    _check_no_norm(model, anatomy)
    blocks = [layer.block for layer in anatomy.layers]
    trace = trace_forward(model, blocks, anatomy.unembedding)
    tokens = probe_tokens(model)
    with weighted(model, weights), torch.inference_mode():
        wanted = model(input_ids=tokens, use_cache=False).logits.double()
    maps = [
        (layer, write, _map_of(model, layer, write, trace)) for layer, write in _writes(anatomy)
    ]
    with torch.no_grad():
        for layer, write, matrix in maps:
            if write.kind == "head":
                _scale_heads(matrix, _of_heads(weights, layer, write))
                continue
            w = weights.get(Component(write.kind, layer), 1.0)
            matrix.weight.mul_(w)
            if matrix.bias is not None:
                matrix.bias.mul_(w)
        found = model(input_ids=tokens, use_cache=False).logits.double()
    off = float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30))
    # A NaN must fail too, so the comparison is for what is good.
    if not off <= _MISFIT[trace.dtype]:
        raise ModelError(
            f"{kind_of(model)}: with its matrices scaled it does not compute what it does with its "
            f"outputs scaled (off by {off:.1e} of the logits); the model is refused"
        )


def _writes(anatomy: Anatomy) -> Iterator[tuple[int, Write]]:
    for index, layer in enumerate(anatomy.layers):
        for write in layer.writes:
            yield index, write


def _of_heads(weights: Weighting, layer: int, write: Write) -> list[float]:
    return [weights.get(Component("head", layer, head), 1.0) for head in range(write.heads)]


def _check_no_norm(model: CausalLM, anatomy: Anatomy) -> None:
    """A norm behind a block takes the size of its output away, and with it the weights."""
    for layer, write in _writes(anatomy):
        if write.norm is not None:
            raise ModelError(
                f"{kind_of(model)}: layer {layer} has a norm behind its {write.kind} output, which "
                "would undo a weight; expected a model whose blocks write to the stream directly"
            )


def _scale_input(factors: Tensor) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> Any:
        x = args[0]
        by_head = x.reshape(*x.shape[:-1], len(factors), -1) * factors.to(x)[:, None]
        return (by_head.reshape(x.shape), *args[1:])

    return hook


def _scale_output(weight: float) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] * weight, *output[1:])
        return output * weight

    return hook


def _map_of(model: CausalLM, layer: int, write: Write, trace: Trace) -> Any:
    """The matrix whose output is the component's, a ``Linear`` or a ``Conv1D``.

    Raises:
        ModelError: there is none, or its weights are packed.
    """
    out = trace.outputs.get(write.module)
    inside = [m for m in write.module.modules() if write.chain is None and _is_matrix(m)]
    found = [m for m in reversed(inside) if trace.same(trace.outputs.get(m), out)]
    if found and not is_packed(found[0]):
        return found[0]
    why = "is packed in few bits" if found else "is not that of one matrix"
    raise ModelError(
        f"{kind_of(model)}: what layer {layer}'s {write.kind} writes {why}, so no weight can be "
        "multiplied into it; run the model with compread.reweighted in Python, or give a whole one"
    )


def _is_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ in ("Linear", "Conv1D")


def _scale_heads(matrix: Any, factors: list[float]) -> None:
    """Scale what a matrix reads of each head."""
    inputs_first = type(matrix).__name__ == "Conv1D"  # [in, out]; Linear has [out, in]
    width = matrix.weight.shape[0 if inputs_first else 1] // len(factors)
    each = torch.tensor(factors).repeat_interleave(width).to(matrix.weight)
    matrix.weight.mul_(each[:, None] if inputs_first else each)

"""Where a model's numbers stop being finite, and whether its weights or its type are to blame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from compread.errors import option
from compread.model.decompose import BatchParts
from compread.model.linear import device_of, dtype_of
from compread.model.trace import CausalLM, first_tensor, hooked

_WIDER = {
    torch.float16: f"float16 holds numbers up to 65504: try {option('dtype', 'bfloat16')} or "
    "float32",
    torch.bfloat16: f"try {option('dtype', 'float32')}",
}
_DAMAGED = "the weights do not belong to this config, or are damaged: fetch the model again"


def finite_rows(parts: BatchParts) -> Tensor:
    """[B] whether all that a row says is finite."""
    numbers = (parts.parts.flatten(1), parts.full, parts.label_mass[:, None])
    return torch.cat([torch.isfinite(one).all(1, keepdim=True) for one in numbers], 1).all(1)


def why_not_finite(model: CausalLM, tokens: Sequence[int]) -> str:
    """Why the numbers of a prompt are NaN or infinite: the place, the reason and the next step.

    Runs the prompt once more.
    """
    if spoiled := spoiled_weights(model):
        return spoiled
    place = first_not_finite(model, tokens)
    where = f"at {place}" if place else "in the logits"
    advice = _WIDER.get(dtype_of(model), _DAMAGED)
    return f"its numbers stop being finite {where}; every weight is finite, {advice}"


def spoiled_weights(model: nn.Module) -> str | None:
    """Which weights hold NaN or infinity and what to do; None where none does."""
    bad = {name: w for name, w in model.named_parameters() if not _is_finite(w)}
    if not bad:
        return None
    name, weight = next(iter(bad.items()))
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    if weight.dtype == torch.float16 and not any(bool(w.isnan().any()) for w in bad.values()):
        return f"its weight {name}{more} does not fit into float16; {_WIDER[torch.float16]}"
    return (
        f"its weight {name}{more} holds NaN or infinity: the file is damaged, or was saved so by "
        "a training that diverged; fetch the model again, or take another checkpoint"
    )


def first_not_finite(model: CausalLM, tokens: Sequence[int]) -> str | None:
    """The module whose output is the first that is not finite, inside the first such layer.

    Layers come first: a router's own output may be infinite where it turns experts off.
    """
    names = {module: name for name, module in model.named_modules()}
    layers = {
        layer for m in model.modules() if isinstance(m, nn.ModuleList) for layer in m.children()
    }
    bad: list[nn.Module] = []

    def after(module: nn.Module, args: Any, output: Any) -> None:
        value = first_tensor(output)
        if value is not None and not _is_finite(value):
            bad.append(module)

    handles = [module.register_forward_hook(after) for module in names if module is not model]
    ids = torch.tensor([list(tokens)], device=device_of(model))
    with hooked(handles), torch.inference_mode():
        model(input_ids=ids, use_cache=False)
    layer = next((module for module in bad if module in layers), None)
    inside = set(layer.modules()) if layer is not None else set(bad)
    first = next((module for module in bad if module in inside), None)
    return f"{names[first]} ({type(first).__name__})" if first is not None else None


def _is_finite(value: Tensor) -> bool:
    if value.is_meta or not value.is_floating_point():
        return True
    return bool(torch.isfinite(value).all())

"""A tiny loud random model with the structure of a real one, from the config alone.

Tiny: few layers, narrow, on the CPU in float64. Same structure: every kind of layer that the real
model has, its norms, biases, multipliers, grouped heads and experts. Loud: a freshly initialised
model proves nothing, since with norm weights at one and biases at zero the parts add up even
where those are forgotten.
"""

from __future__ import annotations

from typing import Any

import torch

from compread.errors import ModelError
from compread.model import facts
from compread.model.trace import CausalLM

_SEED = 0
_LEAST_LAYERS = 3
_MOST_LAYERS = 8


def build_twin(config: Any, dtype: torch.dtype = torch.float64) -> CausalLM:
    """Build the twin of the model that a config describes.

    Raises:
        ModelError: the shrunken model cannot be built.
    """
    from transformers import AutoModelForCausalLM

    text = config.get_text_config(decoder=True)
    try:
        small = shrink(text)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            auto: Any = AutoModelForCausalLM
            model: CausalLM = auto.from_config(small, dtype=torch.float32, **_slow_but_exact(small))
            make_loud(model)
    except Exception as error:  # a family's own code may fail in any way on sizes it never saw
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"no tiny twin of `{text.model_type}` can be built: {type(error).__name__}: {reason}"
        ) from error
    model.to(dtype).eval()
    return model


def _slow_but_exact(config: Any) -> dict[str, str]:
    """Options for kernels that know float64: the grouped ones of experts do not."""
    known = hasattr(config, "_experts_implementation")
    return {"experts_implementation": "eager"} if known else {}


def make_loud(model: CausalLM) -> None:
    """Give matrices a spread that matters, norm weights and biases values that are missed.

    Weights are drawn in the model's order, so that one seed gives one model.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.is_floating_point():
                continue
            if weight.ndim >= 2:
                weight.normal_(0, 0.8 / max(weight.shape[-1], 4) ** 0.5)
                if "embed" in name or "wte" in name:
                    weight.normal_(0, 1)
            elif name.endswith("bias"):
                weight.normal_(0, 0.3)
            else:
                weight.uniform_(0.5, 1.5)


def shrink(config: Any) -> Any:
    """A config of the same class with small sizes and one layer of each kind."""
    values = config.to_dict()
    for volatile in ("quantization_config", "dtype", "torch_dtype", "transformers_version"):
        values.pop(volatile, None)
    layers = _layers_to_keep(values)
    small: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, list) and layers and len(value) == layers[0]:
            small[name] = [value[i] for i in layers[1]]
        else:
            small[name] = _small(name, value, values)
    for name in facts.LAYER_COUNT:
        if isinstance(values.get(name), int):
            small[name] = len(layers[1]) if layers else _LEAST_LAYERS
    small |= facts.TWIN_SIZES.get(config.model_type, {})
    return type(config)(**small)


def _layers_to_keep(values: dict[str, Any]) -> tuple[int, list[int]] | None:
    """How many layers there are, and those that show every kind; None where all are alike."""
    count = next((values[n] for n in facts.LAYER_COUNT if isinstance(values.get(n), int)), 0)
    lists = [v for v in values.values() if isinstance(v, list) and len(v) == count and count > 1]
    if not lists:
        return None
    kinds = [str([v[i] for v in lists]) for i in range(count)]
    first = sorted({kinds.index(kind) for kind in kinds})[:_MOST_LAYERS]
    more = [i for i in range(count) if i not in first]
    return count, sorted(first + more[: max(0, _LEAST_LAYERS - len(first))])


def _small(name: str, value: Any, values: dict[str, Any]) -> Any:
    if name in facts.TWIN_KV_COUNT and isinstance(value, int):
        heads = next((values[n] for n in facts.HEAD_COUNT if isinstance(values.get(n), int)), 0)
        return 1 if value == 1 else facts.TWIN_HEADS if value == heads else 2
    if name.endswith("_token_id") and isinstance(value, int):
        return value % facts.TWIN_SIZE["vocab_size"]
    size = facts.TWIN_SIZE.get(name)
    if size is not None and isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return size
    return value

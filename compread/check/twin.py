"""A tiny loud random model with the structure of a real one, from the config alone.

Tiny: few layers, narrow, on the CPU in float64. Same structure: every kind of layer that the real
model has, its norms, biases, multipliers, grouped heads and experts. Loud: a freshly initialised
model proves nothing, since with norm weights at one and biases at zero the parts add up even
where those are forgotten.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from compread.check import twin_sizes
from compread.errors import ModelError
from compread.model import facts
from compread.model.blocks import config_value
from compread.model.load.adapters import with_random_adapter
from compread.model.switches import rope_settings, rope_type, short_ends
from compread.model.trace import CausalLM
from compread.text import one_line

_SEED = 0
_LEAST_LAYERS = 3
_MOST_LAYERS = 8


def build_twin(
    config: Any,
    dtype: torch.dtype = torch.float64,
    adapter: Any = None,
    trust_remote_code: bool = False,
) -> CausalLM:
    """Build the twin of the model that a config describes, and of an adapter on it if given.

    Where its code is trusted, the twin of a model that brings its own runs that.

    Raises:
        ModelError: the shrunken model cannot be built.
    """
    text = config.get_text_config(decoder=True)
    try:
        small = shrink(text)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            options = {"dtype": torch.float32, **_slow_but_exact(small)}
            if trust_remote_code and _own_class(config):
                model = _from_own_code(config, small, options)
            else:
                model = _class_of(config, small)._from_config(small, **options)
            if adapter is not None:
                model = with_random_adapter(model, adapter)
            make_loud(model)
    except ModelError:
        raise
    except Exception as error:  # a family's own code may fail in any way on sizes it never saw
        reason = one_line(error)
        raise ModelError(
            f"no tiny twin of `{text.model_type}` can be built: {type(error).__name__}: {reason}; "
            f"expected sizes that it takes in {twin_sizes.FILE}"
        ) from error
    model.to(dtype).eval()
    return model


def _own_class(config: Any) -> str | None:
    """Where the model's own code has its class, if it brings any."""
    own: str | None = (getattr(config, "auto_map", None) or {}).get("AutoModelForCausalLM")
    return own


def _from_own_code(config: Any, small: Any, options: dict[str, Any]) -> CausalLM:
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    # Where the code is looked for.
    small.auto_map, small._name_or_path = config.auto_map, config._name_or_path
    return auto.from_config(small, trust_remote_code=True, **options)


def _class_of(config: Any, text: Any) -> Any:
    """The causal language model of a text config, or of the shell that it was taken from."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING as classes

    return classes[type(text) if type(text) in classes else type(config)]


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
        for name, value in model.named_buffers():
            if name.endswith(twin_sizes.LOUD_BUFFERS):
                value.uniform_(0.5, 1.5)


def shrink(config: Any) -> Any:
    """A config of the same class with small sizes and one layer of each kind."""
    values = copy.deepcopy(config.to_dict())
    for volatile in ("quantization_config", "dtype", "torch_dtype", "transformers_version"):
        values.pop(volatile, None)
    count = int(config_value(config, facts.LAYER_COUNT, 0))
    kept = _layers_to_keep(values, count)
    small: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, list) and len(value) == count > 1:
            small[name] = [value[i] for i in kept]
        elif name == facts.BY_LAYER and value:
            by_layer = {int(i): _small_all(own) for i, own in value.items()}
            small[name] = {new: by_layer[old] for new, old in enumerate(kept) if old in by_layer}
        elif name == facts.SHARED_KV and value:
            small[name] = sum(i >= count - value for i in kept)
        else:
            small[name] = _small(name, value, values)
    small |= {name: len(kept) for name in facts.LAYER_COUNT if isinstance(values.get(name), int)}
    small |= twin_sizes.TWIN_SIZES.get(config.model_type, {})
    _bring_near(small)
    return type(config)(**small)


def _bring_near(small: dict[str, Any]) -> None:
    """Rotations that change with a batch's length: change them within a few tokens, and loudly."""
    heads = next((small[n] for n in facts.HEAD_COUNT if isinstance(small.get(n), int)), 1)
    width = small.get("head_dim") or small.get("hidden_size", 0) // heads
    for rope in rope_settings(small):
        long = rope_type(rope) in facts.LONG_ROPE
        if facts.GROWING_ROPE in rope_type(rope) or (long and None in short_ends(rope, small)):
            small["max_position_embeddings"] = twin_sizes.TWIN_SWITCH
        if not long:
            continue
        share = rope.get("partial_rotary_factor") or small.get("partial_rotary_factor") or 1
        count = len(range(0, int(width * share), 2))
        for name in ("short_factor", "long_factor"):
            rope[name] = _resampled(rope[name], count)
        rope |= {name: v for name, v in twin_sizes.TWIN_ROPE.items() if name in rope}


def _resampled(values: list[float], count: int) -> list[float]:
    """So many values, spread evenly over those there are."""
    step = (len(values) - 1) / max(count - 1, 1)
    return [values[round(i * step)] for i in range(count)]


def _layers_to_keep(values: dict[str, Any], count: int) -> list[int]:
    """The layers that show every kind there is, and a few more."""
    lists = [v for v in values.values() if isinstance(v, list) and len(v) == count > 1]
    own = {int(i): str(v) for i, v in (values.get(facts.BY_LAYER) or {}).items()}
    shared = count - (values.get(facts.SHARED_KV) or 0)
    kinds = [str(([v[i] for v in lists], own.get(i), i >= shared)) for i in range(count)]
    first = sorted({kinds.index(kind) for kind in kinds})[:_MOST_LAYERS]
    more = [i for i in range(count) if i not in first]
    return sorted(first + more[: max(0, _LEAST_LAYERS - len(first))])


def _small_all(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _small(name, value, values) for name, value in values.items()}


def _small(name: str, value: Any, values: dict[str, Any]) -> Any:
    """A small value for one entry of a config."""
    if value is None:
        return twin_sizes.TWIN_NONE.get(name)
    if name in twin_sizes.TWIN_LOUD and (value == 1 or isinstance(value, list | tuple)):
        return twin_sizes.TWIN_LOUD[name]
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return value
    if name in twin_sizes.TWIN_KV_COUNT:
        heads = next((values[n] for n in facts.HEAD_COUNT if isinstance(values.get(n), int)), 0)
        return 1 if value == 1 else twin_sizes.TWIN_HEADS if value == heads else 2
    if name.endswith("_token_id"):
        return value % twin_sizes.TWIN_SIZE["vocab_size"]
    if name == "head_dim" and value == values.get("qk_rope_head_dim"):
        name = "qk_rope_head_dim"
    return min(value, twin_sizes.TWIN_SIZE.get(name, value))

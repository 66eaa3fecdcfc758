"""Adapters that were trained on top of a model (``peft``: LoRA, rsLoRA, DoRA and their like)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from compread.errors import ModelError
from compread.model.load.failures import as_model_error
from compread.model.load.folders import refuse_pointers
from compread.model.trace import CausalLM


def load_adapter_config(name: str, offline: bool = False) -> Any:
    """The config of an adapter: a folder or a hub id.

    Raises:
        ModelError: there is none, ``peft`` is not installed, or it is not one that changes layers.
    """
    refuse_pointers(sorted(Path(name).expanduser().glob("adapter_*")), name)
    with as_model_error(name, "adapter"):
        from peft import PeftConfig

        config: Any = PeftConfig.from_pretrained(name, local_files_only=offline)
    if getattr(config, "is_prompt_learning", False):
        raise ModelError(
            f"{name} is a {config.peft_type.value} adapter, which puts learned tokens before the "
            "prompt; expected one that changes the layers, such as LoRA or DoRA"
        )
    if getattr(config, "megatron_config", None):
        raise ModelError(
            f"{name} is an adapter of Megatron's layers, and names a module to import for them; "
            "expected one of transformers' layers"
        )
    return config


def with_adapter(model: CausalLM, name: str, *, merge: bool, offline: bool = False) -> CausalLM:
    """The model with an adapter in its layers, or added to its weights (``merge``).

    Raises:
        ModelError: the adapter cannot be read or does not fit the model.
    """
    config = load_adapter_config(name, offline)
    with as_model_error(name, "adapter"), _quiet():
        from peft import PeftModel

        wrapped: Any = PeftModel.from_pretrained(
            model, name, config=config, local_files_only=offline
        )
        # The model itself, whose layers peft has wrapped: its forward is the stock one.
        found: CausalLM = (
            wrapped.merge_and_unload(safe_merge=True) if merge else wrapped.get_base_model()
        )
    return found.eval()


def with_random_adapter(model: CausalLM, config: Any) -> CausalLM:
    """A twin with an adapter of the same kind, on every layer that the adapter's modules name.

    Raises:
        ModelError: the adapter does not fit the model.
    """
    # The twin has fewer layers than those which these entries number.
    everywhere = {"layers_to_transform": None, "layer_replication": None}
    return _wrapped(model, config, {**everywhere, "rank_pattern": {}, "alpha_pattern": {}})


def with_blank_adapter(model: CausalLM, config: Any) -> CausalLM:
    """A model without weights (device ``meta``) with an adapter that has none either.

    Raises:
        ModelError: the adapter does not fit the model.
    """
    # Some ways to begin an adapter read the model's weights.
    return _wrapped(model, config, {"init_lora_weights": False}, low_cpu_mem_usage=True)


def _wrapped(model: CausalLM, config: Any, changes: dict[str, Any], **options: Any) -> CausalLM:
    """The model with a new adapter whose config has these entries changed, where it has them."""
    config = deepcopy(config)
    # peft warns where this is not the name that the model has.
    for name, value in {**changes, "base_model_name_or_path": None}.items():
        if hasattr(config, name):
            setattr(config, name, value)
    with as_model_error(str(config.peft_type.value), "adapter"), _quiet():
        from peft import get_peft_model

        wrapped: Any = get_peft_model(model, config, **options)
    found: CausalLM = wrapped.get_base_model()
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers tells peft that it will rename, and peft of packing again.

    That a merge into packed weights rounds them anew is what ``merge`` asks for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        again = r"Merge \w+ module to [48]-bit linear may get different"
        warnings.filterwarnings("ignore", message=again, category=UserWarning)
        yield

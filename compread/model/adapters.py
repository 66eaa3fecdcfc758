"""Adapters that were trained on top of a model (``peft``: LoRA, rsLoRA, DoRA and their like)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from compread.errors import ModelError
from compread.model.failures import said_plainly
from compread.model.trace import CausalLM


def load_adapter_config(name: str, offline: bool = False) -> Any:
    """The config of an adapter: a folder or a hub id.

    Raises:
        ModelError: there is none, ``peft`` is not installed, or it is not one that changes layers.
    """
    with said_plainly(name, "adapter"):
        from peft import PeftConfig

        config: Any = PeftConfig.from_pretrained(name, local_files_only=offline)
    if getattr(config, "is_prompt_learning", False):
        raise ModelError(
            f"{name} is a {config.peft_type.value} adapter, which puts learned tokens before the "
            "prompt; expected one that changes the layers, such as LoRA or DoRA"
        )
    return config


def with_adapter(
    model: CausalLM, name: str, *, merge: bool = False, offline: bool = False
) -> CausalLM:
    """The model with an adapter in its layers, or added to its weights (``merge``).

    Raises:
        ModelError: the adapter cannot be read or does not fit the model.
    """
    config = load_adapter_config(name, offline)
    with said_plainly(name, "adapter"), _quiet():
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
    from copy import deepcopy

    config = deepcopy(config)
    # The twin has fewer layers than those which these entries number.
    for name in ("layers_to_transform", "layer_replication"):
        if hasattr(config, name):
            setattr(config, name, None)
    for name in ("rank_pattern", "alpha_pattern"):
        if hasattr(config, name):
            setattr(config, name, {})
    with said_plainly(str(config.peft_type.value), "adapter"), _quiet():
        from peft import get_peft_model

        wrapped: Any = get_peft_model(model, config)
    found: CausalLM = wrapped.get_base_model()
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings in which transformers tells peft what it will rename."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield

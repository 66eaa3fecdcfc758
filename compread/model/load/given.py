"""A model that somebody has loaded already, as ``load_model`` would give it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from compread.errors import ModelError
from compread.model.load.fingerprint import fingerprint
from compread.model.load.kinds import check_kind
from compread.model.load.loading import LoadedModel
from compread.model.load.quantized import check_storage
from compread.model.load.request import ModelRequest
from compread.model.weighted import MARK


@contextmanager
def given_model(model: Any, tokenizer: Any) -> Iterator[LoadedModel]:
    """A model in memory with its tokenizer, read only; afterwards it is as it was.

    While it is read it is in evaluation mode and its weights want no gradients, as dropout would
    make the sums of no forward, and gradients would keep every activation.

    Args:
        model: a causal language model of ``transformers``, on any device, in any type.
        tokenizer: the tokenizer that its prompts are for.

    Raises:
        ModelError: it is no such model.
    """
    if not isinstance(model, nn.Module) or not hasattr(model, "config"):
        raise ModelError(
            f"a {type(model).__name__} is no model that can be read: expected a causal language "
            "model of transformers, a hub id, a folder or a .gguf file"
        )
    if getattr(model, MARK, False):
        raise ModelError(
            "this model runs with weights on its components, and its store would say that they are "
            "its own; leave the block of compread.reweighted, or load the folder that they were "
            "exported to"
        )
    config: Any = model.config
    name = str(getattr(config, "_name_or_path", "") or config.model_type)
    check_kind(config, name)
    check_storage(model, name)
    modes = {module: module.training for module in model.modules()}
    wanting = [weight for weight in model.parameters() if weight.requires_grad]
    revision = getattr(config, "_commit_hash", None)
    model.eval().requires_grad_(False)
    try:
        yield LoadedModel(ModelRequest(name), revision, model, tokenizer, fingerprint(model))
    finally:
        for module, mode in modes.items():
            module.training = mode
        for weight in wanting:
            weight.requires_grad_(True)

"""A model with weights multiplied into it, saved as a folder that anything can load."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compread.errors import ModelError, TargetError
from compread.model.load.loading import LoadedModel, load_model
from compread.model.load.quantized import is_quantized
from compread.model.load.request import ModelRequest
from compread.model.weighted import Weighting, scale_weights
from compread.output_files import MADE_FOLDER, permit


@dataclass(frozen=True)
class Origin:
    """What an exported model is made of."""

    model: str
    fingerprint: str
    """Of the model before."""
    method: str
    n_train: int
    fits: int
    """The weights are the mean of so many fits."""


def export_model(
    request: ModelRequest,
    weights: Weighting,
    origin: Origin,
    folder: Path,
    check: Callable[[LoadedModel], None],
) -> None:
    """Load a model, multiply weights into it and save it with its tokenizer.

    Args:
        request: which model.
        weights: of its components.
        origin: what is said of them in the folder.
        folder: where to; as ``check_made_folder`` lets it through.
        check: called with the loaded model; raises if the weights are not of it.

    Raises:
        ModelError: it cannot be loaded, its weights are packed, or it has an adapter beside them.
        TargetError: the folder cannot be written.
    """
    if request.adapter:
        raise ModelError(
            f"{request.name} runs with the adapter {request.adapter} beside its weights; merge it "
            "into them, save that model, and extract and fit on it"
        )
    loaded = load_model(request)
    check(loaded)
    if is_quantized(loaded.model):
        raise ModelError(
            f"{request.name} has weights packed in few bits, which cannot be multiplied; give the "
            "whole model, or run this one with compread.reweighted in Python"
        )
    scale_weights(loaded.model, weights)
    _forget_packing(loaded.model)
    said = {**asdict(origin), "weights": {c.name: w for c, w in weights.items()}}
    _save(loaded, folder, json.dumps(said, indent=1) + "\n")


def _forget_packing(model: Any) -> None:
    """The weights of a ``.gguf`` file are whole in memory, and so they are saved."""
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    for name in ("hf_quantizer", "quantization_method"):
        if getattr(model, name, None) is not None:
            delattr(model, name)


def _save(loaded: LoadedModel, folder: Path, said: str) -> None:
    """Write beside the target, so that it is there whole or not."""
    from safetensors import SafetensorError

    made = Path(tempfile.mkdtemp(prefix=".compread-", dir=folder.parent))
    before = made.with_name(f"{made.name}-before")
    try:
        loaded.model.save_pretrained(made)
        loaded.tokenizer.save_pretrained(made)
        (made / MADE_FOLDER).write_text(said, encoding="utf-8")
        for path in (made, *made.rglob("*")):
            permit(path)
        if folder.exists():  # stays beside until the new one stands in its place
            folder.rename(before)
        made.rename(folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"{folder} cannot be written: {reason}") from error
    finally:
        if before.exists() and not folder.exists():
            before.rename(folder)
        for left in (made, before):
            shutil.rmtree(left, ignore_errors=True)

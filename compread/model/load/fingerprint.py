"""A hash that tells two models apart."""

from __future__ import annotations

import hashlib

import torch

from compread.model.trace import CausalLM

# Enough of each weight to tell two models apart without reading all of a large one.
_SAMPLES = 64


def fingerprint(model: CausalLM) -> str:
    """A hash that tells two models apart: the type, and a spread sample of every weight's bytes.

    The rest of the config is left out: other versions of transformers fill in other defaults.
    """
    digest = hashlib.sha256(str(model.config.model_type).encode())
    for name, weight in sorted(model.named_parameters()):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        weight = _offloaded(model, name) if weight.is_meta else weight
        if not weight.is_meta and weight.numel():
            step = max(1, weight.numel() // _SAMPLES)
            sample = weight.detach().reshape(-1)[::step][:_SAMPLES].cpu().contiguous()
            digest.update(sample.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _offloaded(model: CausalLM, name: str) -> torch.Tensor:
    """A weight that accelerate keeps in memory or on disk until its module runs."""
    path, _, own = name.rpartition(".")
    hook = getattr(model.get_submodule(path), "_hf_hook", None)
    for one in getattr(hook, "hooks", [hook]):
        if getattr(one, "weights_map", None) is not None:
            weight: torch.Tensor = one.weights_map[own]
            return weight
    weight = model.get_parameter(name)
    return weight

"""Where a model runs, and in which type."""

from __future__ import annotations

import os

import torch

from compread.errors import UsageError, option

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(device: str) -> torch.device:
    """Resolve ``auto`` to cuda, mps or cpu, and check that a named device exists.

    Raises:
        UsageError: no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            # torchrun tells each process of a machine which of its GPUs is its own.
            local = os.environ.get("LOCAL_RANK")
            return torch.device(
                f"cuda:{int(local) % torch.cuda.device_count()}" if local else "cuda"
            )
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(
            f"no device `{device}`: expected auto, cuda, cuda:1, mps or cpu"
        ) from error
    count = {
        "cpu": 1,
        "mps": int(torch.backends.mps.is_available()),
        "cuda": torch.cuda.device_count(),
    }.get(chosen.type, 0)
    if (chosen.index or 0) >= count:
        raise UsageError(
            f"device `{device}` is not here: this machine has {count} of type "
            f"{chosen.type}; use {option('device', 'auto')} to take what there is"
        )
    return chosen

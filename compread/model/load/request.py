"""What the user asked to load, and where it is to run, checked before anything is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from compread.errors import UsageError, option
from compread.model.load.quantized import BITS

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class ModelRequest:
    """A model and how its weights are to be held.

    Raises:
        UsageError: no such data type or number of bits, or weights that are packed already.
    """

    name: str
    """Hub id, folder, or path of a ``.gguf`` file."""
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | dict[str, str] | None = None
    offline: bool = False
    adapter: str | None = None
    """Hub id or folder of a ``peft`` adapter."""
    merge_adapter: bool = False
    """Whether the adapter is added to the weights; else it runs beside them."""
    quantize: str | None = None
    """``8bit`` or ``4bit``: quantize the weights while they are loaded."""
    attention: str | None = None
    """One of transformers' attention implementations, such as ``eager``."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run; else such a model is refused."""

    def __post_init__(self) -> None:
        if self.dtype != "auto" and self.dtype not in DTYPES:
            raise UsageError(f"no data type `{self.dtype}`: expected auto, {', '.join(DTYPES)}")
        if self.quantize is not None and self.quantize not in BITS:
            raise UsageError(f"no quantization `{self.quantize}`: expected {' or '.join(BITS)}")
        if self.quantize and self.name.endswith(".gguf"):
            raise UsageError(
                f"{option('quantize')} packs weights that are whole, and those of "
                f"{self.name} are packed "
                f"already; give a folder or a hub id, or leave {option('quantize')} out"
            )


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

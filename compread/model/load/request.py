"""What the user asked to load, checked before anything is."""

from __future__ import annotations

from dataclasses import dataclass

from compread.errors import UsageError, option
from compread.model.load.devices import DTYPES
from compread.model.load.quantized import BITS


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

"""compread reads a decoder language model part by part."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``compread.open`` (``compread.analysis.arrays.open_run``), imported when first used.

    So that ``import compread`` costs nothing, and ``from compread import *`` leaves Python's own
    ``open`` alone.
    """
    if name == "open":
        return import_module("compread.analysis.arrays").open_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

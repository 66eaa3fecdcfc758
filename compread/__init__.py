"""compread reads a decoder language model part by part.

    import compread

    run = compread.open("stores/sst2-review-k4-s0.h5")      # arrays with named axes
    compread.rank("stores/").to_pandas()                    # and analyze, change, reweight
    run = compread.extract("gpt2", "sst2", limit=200)       # with the model

Names are imported when they are first used: ``import compread`` imports neither NumPy nor torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from compread.version import __version__ as __version__

if TYPE_CHECKING:
    from compread.api.component_logits import ComponentLogits as ComponentLogits
    from compread.api.extraction import extract as extract
    from compread.api.questions import analyze as analyze
    from compread.api.questions import change as change
    from compread.api.questions import rank as rank
    from compread.api.results import ComponentResult as ComponentResult
    from compread.api.results import Result as Result
    from compread.api.results import Results as Results
    from compread.api.runs import Runs as Runs
    from compread.api.runs import open as open
    from compread.api.weights import Reweighting as Reweighting
    from compread.api.weights import apply_weights as apply_weights
    from compread.api.weights import reweight as reweight
    from compread.api.weights import reweighted as reweighted
    from compread.errors import CompreadError as CompreadError
    from compread.errors import CompreadWarning as CompreadWarning

__all__ = [
    "ComponentLogits",
    "ComponentResult",
    "CompreadError",
    "CompreadWarning",
    "Result",
    "Results",
    "Reweighting",
    "Runs",
    "analyze",
    "apply_weights",
    "change",
    "extract",
    "rank",
    "reweight",
    "reweighted",
]
_OFFERED = (*__all__, "open")
"""``open`` is not in ``__all__``: ``from compread import *`` leaves Python's own alone."""
_MODULES = {
    "api.component_logits": ("ComponentLogits",),
    "api.extraction": ("extract",),
    "api.questions": ("analyze", "change", "rank"),
    "api.results": ("ComponentResult", "Result", "Results"),
    "api.runs": ("Runs", "open"),
    "api.weights": ("Reweighting", "apply_weights", "reweight", "reweighted"),
    "errors": ("CompreadError", "CompreadWarning"),
}
"""Where each name is defined."""


if not TYPE_CHECKING:  # Or every name would be there for a type checker, the misspelt ones too.

    def __getattr__(name: str) -> object:
        for module, names in _MODULES.items():
            if name in names:
                found = getattr(import_module(f"compread.{module}"), name)
                globals()[name] = found
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*_OFFERED, "__version__"))


class _Package(ModuleType):
    """A package whose functions keep their names though folders of it are called the same.

    Importing the folder ``compread/extract`` would set ``compread.extract`` to it, in place of the
    function. The folder's modules are imported by their full names, so nobody misses that.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _OFFERED and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

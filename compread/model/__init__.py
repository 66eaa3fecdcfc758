"""From a model to exact contributions.

Reading order: ``loading`` (a model and its tokenizer, with ``sources``, ``hub``, ``gguf_file``,
``quantized``, ``adapters``, ``devices``), ``linear`` and ``norms`` (the linear map of a module,
read by running it), ``trace``, ``anatomy`` and ``find`` (where the parts are), ``facts`` (what is
known of families by name), ``switches`` (at which lengths a model begins to compute otherwise),
``taps`` (hooks at the answer position), ``decompose`` (activations -> parts), ``tolerance`` (how
far the sum may be off).
"""

from compread.model.adapters import load_adapter_config
from compread.model.anatomy import Anatomy
from compread.model.decompose import BatchParts, Decomposer
from compread.model.devices import choose_device
from compread.model.find import find_anatomy
from compread.model.loading import (
    LoadedModel,
    load_config,
    load_model,
    load_tokenizer,
)
from compread.model.quiet import quieten_libraries
from compread.model.request import ModelRequest
from compread.model.taps import Taps
from compread.model.tolerance import sum_tolerance

__all__ = [
    "Anatomy",
    "BatchParts",
    "Decomposer",
    "LoadedModel",
    "ModelRequest",
    "Taps",
    "choose_device",
    "find_anatomy",
    "load_adapter_config",
    "load_config",
    "load_model",
    "load_tokenizer",
    "quieten_libraries",
    "sum_tolerance",
]

"""From a model to exact contributions.

Reading order: ``load`` (a model and its tokenizer), ``linear`` and ``norms`` (the linear map of a
module, read by running it), ``trace``, ``anatomy`` and ``find`` (where the parts are), ``facts``
(what is known of families by name), ``switches`` (at which lengths a model begins to compute
otherwise), ``taps`` (hooks at the answer position), ``decompose`` (activations -> parts).
"""

from compread.model.decompose import Decomposer
from compread.model.find import find_anatomy
from compread.model.load.adapters import load_adapter_config
from compread.model.load.loading import (
    LoadedModel,
    context_length,
    load_config,
    load_model,
    load_tokenizer,
    load_without_weights,
)
from compread.model.load.quiet import quieten_libraries
from compread.model.load.request import ModelRequest

__all__ = [
    "Decomposer",
    "LoadedModel",
    "ModelRequest",
    "context_length",
    "find_anatomy",
    "load_adapter_config",
    "load_config",
    "load_model",
    "load_tokenizer",
    "load_without_weights",
    "quieten_libraries",
]

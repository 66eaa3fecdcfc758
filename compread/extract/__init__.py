"""Running a model over prompt sets.

Reading order: ``prefix`` (what prompts share is run once), ``batches`` (which rows run together),
``engine`` (a batch of tokens -> contributions), ``loop`` (a prompt set -> a store).
"""

from compread.extract.batches import plan_batches
from compread.extract.engine import Engine
from compread.extract.loop import Extraction, ExtractOptions, Extractor
from compread.extract.prefix import SharedPrefix, shared_length

__all__ = [
    "Engine",
    "ExtractOptions",
    "Extraction",
    "Extractor",
    "SharedPrefix",
    "plan_batches",
    "shared_length",
]

"""Running a model over prompt sets.

Reading order: ``prefix`` (what prompts share is run once), ``batches`` (which rows run together),
``engine`` (a batch of tokens -> contributions), ``loop`` (a prompt set -> a store), ``certify``
(proof that a family is read rightly, on a tiny twin).
"""

from compread.extract.batches import plan_batches
from compread.extract.certify import Certificate, Proof, certify
from compread.extract.engine import Engine
from compread.extract.loop import Extraction, ExtractOptions, Extractor
from compread.extract.prefix import SharedPrefix, shared_length

__all__ = [
    "Certificate",
    "Engine",
    "ExtractOptions",
    "Extraction",
    "Extractor",
    "Proof",
    "SharedPrefix",
    "certify",
    "plan_batches",
    "shared_length",
]

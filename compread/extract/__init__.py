"""Running a model over prompt sets.

Reading order: ``prefix`` (what prompts share is run once), ``batches`` (which rows run together),
``engine`` (a batch of tokens -> contributions), ``loop`` (a prompt set -> a store), ``proofs`` and
``certify`` (that a family is read rightly, on a tiny twin), ``sweep`` (that for all families).
"""

from compread.extract.batches import plan_batches
from compread.extract.certify import Certificate, certify
from compread.extract.engine import Engine
from compread.extract.loop import Extraction, ExtractOptions, Extractor
from compread.extract.prefix import SharedPrefix, shared_length
from compread.extract.proofs import Proof
from compread.extract.sweep import causal_types, certify_all, certify_type

__all__ = [
    "Certificate",
    "Engine",
    "ExtractOptions",
    "Extraction",
    "Extractor",
    "Proof",
    "SharedPrefix",
    "causal_types",
    "certify",
    "certify_all",
    "certify_type",
    "plan_batches",
    "shared_length",
]

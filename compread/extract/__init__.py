"""Running a model over prompt sets.

Reading order: ``groups`` (what prompts share is run once), ``prefix``, ``lending`` and ``joined``
(how it is handed on), ``batches`` and ``memory`` (which rows run together), ``engine`` (a batch of
tokens -> contributions), ``alone`` and ``sharing`` (the proofs that company and a prefix change
nothing), ``runner`` (batch after batch), ``loop`` and ``outcome`` (a prompt set -> a store),
``preview`` (what the model would say), ``ranks`` (several processes), ``cost`` and ``forecast``
(what a run takes, before it is run), ``proofs`` and ``certify`` (that a family is read rightly, on
a tiny twin), ``sweep`` (that for all families).
"""

from compread.extract.batches import plan_batches
from compread.extract.certify import Certificate, certify
from compread.extract.engine import Engine
from compread.extract.finishing import ComputedRun, Finisher
from compread.extract.groups import Group, plan_groups, shared_length
from compread.extract.loop import Extractor
from compread.extract.outcome import Extraction, ExtractOptions
from compread.extract.prefix import SharedPrefix
from compread.extract.preview import Preview, preview
from compread.extract.proofs import Proof
from compread.extract.ranks import Ranks, join_ranks, leave_ranks
from compread.extract.sweep import causal_types, certify_all, certify_type

__all__ = [
    "Certificate",
    "ComputedRun",
    "Engine",
    "ExtractOptions",
    "Extraction",
    "Extractor",
    "Finisher",
    "Group",
    "Preview",
    "Proof",
    "Ranks",
    "SharedPrefix",
    "causal_types",
    "certify",
    "certify_all",
    "certify_type",
    "join_ranks",
    "leave_ranks",
    "plan_batches",
    "plan_groups",
    "preview",
    "shared_length",
]

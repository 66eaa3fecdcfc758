"""Running a model over prompt sets.

Reading order: ``groups`` (what prompts share is run once), ``prefix``, ``lending`` and ``joined``
(how it is reused), ``batches`` and ``memory`` (which rows run together), ``engine`` (a batch of
tokens -> contributions), ``structure`` (that each block and head is read rightly), ``row_wise`` and
``sharing`` (that a batch and a prefix change nothing), ``sum_check`` (whether numbers may be kept),
``runner`` (batch after batch), ``loop`` and ``outcome`` (a prompt set -> a store), ``finishing``
(stores written while the next run computes), ``run_record`` (what happened to each), ``preview``
(what the model would say), ``label_mass`` (how likely the label words are), ``workers`` (several
processes), ``forecast`` (what a run takes, before it is run).
"""

from compread.extract.engine import Engine
from compread.extract.finishing import Finisher
from compread.extract.loop import Extractor
from compread.extract.outcome import Extraction, ExtractOptions
from compread.extract.prefix import SharedPrefix
from compread.extract.preview import preview, preview_answers
from compread.extract.run_record import RunRecord, asked_run
from compread.extract.workers import join_workers, leave_workers, speaks_for_all

__all__ = [
    "Engine",
    "ExtractOptions",
    "Extraction",
    "Extractor",
    "Finisher",
    "RunRecord",
    "SharedPrefix",
    "asked_run",
    "join_workers",
    "leave_workers",
    "preview",
    "preview_answers",
    "speaks_for_all",
]

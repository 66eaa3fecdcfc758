"""The stores that a command is about, scored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from compread.cli.output import note

if TYPE_CHECKING:
    from compread.analysis.runs import RunStats


def scored_runs(
    paths: Iterable[Path], split: str, pool: str, resample: bool = False
) -> list[RunStats]:
    """The statistics of each store, and on stderr what a user should know of their rows.

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: a store is missing, unfinished, damaged or foreign.
    """
    from compread.analysis.runs import read_runs, repeats_note

    runs = read_runs(paths, split, pool, resample)
    if (told := repeats_note(runs, split)) is not None:
        note(told)
    return runs

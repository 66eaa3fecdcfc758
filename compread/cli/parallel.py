"""Many stores read by several processes, where opening them is most of the work.

The workers import the store and the statistics, never torch. What they send back is a run's
statistics, some tens of kilobytes, in the order of the stores. This module imports no numpy, so
that a worker says how many threads its BLAS has before that is loaded.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compread.analysis.runs import RunStats
    from compread.components import Component

STORES_EACH = 60
"""Stores from which on a worker is worth its start: a second on a busy machine."""
MOST = 8
"""Workers; each takes some 40 MB of its own."""
PIECE = 4
"""Stores that a worker reads before it looks for an end again."""


def read_all(paths: Sequence[Path], split: str, pool: str, resample: bool) -> list[RunStats]:
    """``read_runs`` with as many processes as the number of stores and of cores is worth.

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: the first store, in order, that is missing, unfinished, damaged or foreign.
    """
    from compread.analysis.runs import read_runs

    workers = min(MOST, _cores(), len(paths) // STORES_EACH)
    if workers < 2:
        return read_runs(paths, split, pool, resample)
    try:
        return list(_read(paths, split, pool, resample, workers))
    except (BrokenExecutor, OSError, NotImplementedError):
        # No semaphores here, or no memory for another process: alone it takes longer, no more.
        return read_runs(paths, split, pool, resample)


def _read(
    paths: Sequence[Path], split: str, pool: str, resample: bool, workers: int
) -> Iterator[RunStats]:
    pieces = [paths[start : start + PIECE] for start in range(0, len(paths), PIECE)]
    # Not forked: the threads of BLAS would not be there in the child, but their locks would.
    context = get_context("spawn")
    known: dict[tuple[Component, ...], tuple[Component, ...]] = {}
    with ProcessPoolExecutor(workers, context, _start) as executor:
        tasks = deque(executor.submit(_piece, piece, split, pool, resample) for piece in pieces)
        try:
            while tasks:
                for run in tasks.popleft().result():
                    # One copy of an axis of components, as where this process reads the stores.
                    components = known.setdefault(run.components, run.components)
                    yield replace(run, components=components)
        finally:
            executor.shutdown(cancel_futures=True)


def _piece(paths: Sequence[Path], split: str, pool: str, resample: bool) -> list[RunStats]:
    from compread.analysis.runs import read_runs

    return read_runs(paths, split, pool, resample)


def _start() -> None:
    """Make a process a worker: one thread of BLAS, and an end when the command has one."""
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    # Ctrl-C reaches all processes of a terminal; the command alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

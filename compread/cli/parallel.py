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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from compread.options import DEFAULT_NORMALIZATION

if TYPE_CHECKING:
    from compread.analysis.runs import RunStats
    from compread.components import Component
    from compread.store.states import StoreState

Found = TypeVar("Found")
Work = Callable[[Sequence[Path]], Sequence[Found]]
"""What is made of some stores, one thing of each; a worker imports it by its name."""

SCORED_EACH, PEEKED_EACH = 60, 600
"""Stores to score, and to look at, from which on a worker is worth its start: a second on a busy
machine."""
MOST = 8
"""Workers; each takes some 40 MB of its own."""
PIECES = 100
"""Pieces of the stores for each worker, after any of which it looks for an end again."""


def read_all(
    paths: Sequence[Path],
    split: str,
    pool: str,
    resample: bool,
    normalize: str = DEFAULT_NORMALIZATION,
) -> list[RunStats]:
    """``read_runs`` with as many processes as the number of stores and of cores is worth.

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: the first store, in order, that is missing, unfinished, damaged or foreign.
    """
    work = partial(_scored, split=split, pool=pool, resample=resample, normalize=normalize)
    known: dict[tuple[Component, ...], tuple[Component, ...]] = {}
    # One copy of an axis of components, as where this process reads the stores.
    return [
        replace(run, components=known.setdefault(run.components, run.components))
        for run in _each(work, paths, SCORED_EACH)
    ]


def look_at_all(targets: Sequence[Path], verify: bool) -> list[StoreState]:
    """``store_state`` of each target, likewise."""
    return list(_each(partial(_states, verify=verify), targets, 1 if verify else PEEKED_EACH))


def _each(work: Work[Found], paths: Sequence[Path], worth: int) -> Iterator[Found]:
    """What the work makes of each store, in order; ``worth`` stores are worth a worker."""
    workers = min(MOST, _cores(), len(paths) // worth)
    done = 0
    if workers > 1:
        try:
            for found in _spread(work, paths, workers):
                yield found
                done += 1
            return
        except (BrokenExecutor, OSError, NotImplementedError) as error:
            # No semaphores here, or no memory for another process.
            from compread.cli.output import note
            from compread.text import one_line

            reason = one_line(error) or type(error).__name__
            note(f"the stores are read by one process, as others cannot be had ({reason})")
    yield from work(paths[done:])


def _spread(work: Work[Found], paths: Sequence[Path], workers: int) -> Iterator[Found]:
    step = max(1, len(paths) // (PIECES * workers))
    pieces = [paths[start : start + step] for start in range(0, len(paths), step)]
    # Not forked: the threads of BLAS would not be there in the child, but their locks would.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start) as executor:
        tasks = deque(executor.submit(work, piece) for piece in pieces)
        try:
            while tasks:
                yield from tasks.popleft().result()
        finally:
            executor.shutdown(cancel_futures=True)


def _scored(
    paths: Sequence[Path], split: str, pool: str, resample: bool, normalize: str
) -> list[RunStats]:
    from compread.analysis.runs import read_runs

    return read_runs(paths, split, pool, resample, normalize=normalize)


def _states(targets: Sequence[Path], verify: bool) -> list[StoreState]:
    from compread.store.states import store_state

    return [store_state(target, verify) for target in targets]


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

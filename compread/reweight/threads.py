"""Rows gone through by several threads, where a pass over them all takes longer than starting one.

numpy lets other threads run while it multiplies. BLAS has threads of its own, which wait for each
other at every product by spinning: on a machine that others use, six times slower than one thread.
So here a thread takes a share of the rows with all that is done to it, and BLAS has one thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from compread.store.layout import spans

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARES = 8
"""Of the rows: as many on every machine, so that sums over them round alike everywhere."""


def shares(rows: int) -> list[slice]:
    """Spans of about equal size, ``SHARES`` of them at most."""
    return list(spans(rows, max(1, -(-rows // SHARES))))


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What ``work`` makes of each item, in the order of the items."""
    items = list(items)
    with _blas().limit(limits=1, user_api="blas"):
        if (workers := min(cores(), len(items))) < 2:
            return [work(item) for item in items]
        return list(_pool(os.getpid(), workers).map(work, items))


def cores() -> int:
    """The cores that this process may use; no more than OMP_NUM_THREADS, where it is set."""
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(asked)) if asked.isdecimal() and int(asked) else allowed


@cache
def _pool(pid: int, workers: int) -> ThreadPoolExecutor:
    """Threads are not there after a fork, so they are each process's own."""
    return ThreadPoolExecutor(workers, "rows")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()

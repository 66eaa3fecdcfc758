"""Threads: of BLAS, and over shares of the rows.

The threads of BLAS wait for each other at every product by spinning. For the small products of
training that gains nothing on an idle machine, and on one that others use it takes many times as
long as one thread. So fitting has one, but for the products of large matrices. Where rows are many,
a thread takes a share of them with all that is done to it; numpy lets others run meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from compread.store.layout import spans

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARES = 8
"""Of the rows: as many on every machine, so that sums over them round alike everywhere."""


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """BLAS has as many threads inside of it, and as many as before afterwards."""
    with _blas().limit(limits=count, user_api="blas"):
        yield


def shares(rows: int, most: int = SHARES) -> list[slice]:
    """Spans of about equal size, so many of them at most."""
    return list(spans(rows, max(1, -(-rows // most))))


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What ``work`` makes of each item, in the order of the items.

    Raises:
        BaseException: what ``work`` raised first in that order; what was not begun is left.
    """
    items = list(items)
    with blas_threads(1):
        if (workers := min(cores(), len(items))) < 2:
            return [work(item) for item in items]
        waiting = [_pool(os.getpid(), workers).submit(work, item) for item in items]
        try:
            # Waiting for one after the other would want the interpreter whenever one is done.
            wait(waiting, return_when=FIRST_EXCEPTION)
        finally:
            for one in waiting:
                one.cancel()
        return [one.result() for one in waiting]


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

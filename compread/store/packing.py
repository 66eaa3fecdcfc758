"""Chunks of numbers packed in threads as HDF5's own filters would pack them one after the other.

HDF5 runs its filters under one lock, and its gzip is the slowest part of finishing a store. Here a
chunk is shuffled, deflated and put under its Fletcher-32 checksum outside of HDF5, which is handed
the result; zlib and isal release the interpreter's lock. With zlib at level 1 the bytes are those
that HDF5 makes. With isal (``pip install 'compread[fast]'``) they are other bytes of about the same
size, in a fifth of the time; any HDF5 reads both.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

try:
    from isal.isal_zlib import compress as deflate
except ImportError:
    deflate = zlib.compress

LEVEL = 1
"""Of compression: higher ones make a store a percent smaller and take several times as long."""
_THREADS = max(2, min(8, os.cpu_count() or 1))
# Chunks that are packed or wait to be written: they bound the memory that finishing takes.
_AHEAD = 2 * _THREADS
_MODULUS = 0xFFFF
_BLOCK = 512  # words

S = TypeVar("S")
T = TypeVar("T")


def pack(rows: npt.NDArray[Any], count: int) -> bytes:
    """A chunk of ``count`` rows as its dataset stores it: shuffled, deflated, with its checksum.

    Args:
        rows: [n, ...] at most ``count`` rows in the dataset's type; missing ones are zeros, as
            HDF5 fills them.
        count: rows of the dataset's chunks.
    """
    if len(rows) < count:
        rows = np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])
    by_byte = np.ascontiguousarray(rows).view(np.uint8).reshape(-1, rows.itemsize)
    data = deflate(np.ascontiguousarray(by_byte.T), LEVEL)
    return data + fletcher32(data).to_bytes(4, "little")


def fletcher32(data: bytes) -> int:
    """HDF5's Fletcher-32: the sum of 16-bit big-endian words, and the sum of all its stages.

    Both are in ones' complement, modulo 65,535, which is what a sum that is not empty leaves of a
    zero. There the sums of words with their bytes swapped are the sums with theirs swapped.
    """
    words = np.frombuffer(data + b"\0" * (-len(data) % (2 * _BLOCK)), dtype="<u2")
    blocks = words.reshape(-1, _BLOCK)
    by_block = blocks.sum(1, dtype=np.uint64)
    by_place = blocks.sum(0, dtype=np.uint64)
    # The word at place p of block b is in as many stages as words come from it on.
    count = (len(data) + 1) // 2
    stages = (count - _BLOCK * np.arange(len(blocks))) % _MODULUS
    first = int(by_block.sum())
    second = int((by_block * stages.astype(np.uint64)).sum())
    second -= int((by_place * np.arange(_BLOCK, dtype=np.uint64)).sum())
    low, high = (total % _MODULUS or (_MODULUS if first else 0) for total in (first, second))
    return _swapped(high) << 16 | _swapped(low)


def _swapped(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8


def ahead(make: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """``map(make, items)`` in order, with a few of the next ones being made in threads.

    Raises:
        BaseException: what ``make`` raised, in its turn.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

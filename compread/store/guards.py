"""What must guard a store's bytes before they are believed, and how much a file may claim to hold.

A store as ``layout`` writes it has every byte under a checksum. Other programs (h5repack, h5py)
can rewrite one without: what then changes on the disk would be read without a word. And a few
bytes can declare an array that no memory holds: what a file declares is compared with its size.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5a, h5d, h5o, h5s, h5t, h5z

from compread.errors import StoreError, flag
from compread.store.layout import CHUNK_BYTES

_GUARD = h5z.FILTER_FLETCHER32
_FILTERS = {_GUARD, h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE}
_HEADER = 2
"""The version of an object's header from which on HDF5 guards it."""
_SUPERBLOCK = 3
"""The first version whose indexes of chunks are guarded too."""
_SMALL = 64 << 20
"""Bytes that any file may declare."""
_DENSEST = 100
"""Times its own size that a larger one may; the numbers of a run hardly shrink at all."""
_ROW_BYTES = 4
"""A row has more than that in the file: its prompt's hash alone is 8 bytes that nothing shrinks."""


def check_bare(item: Any, name: str) -> None:
    """See that a group or a dataset has no attributes; in a store the file alone has some.

    Raises:
        ValueError: it has.
    """
    # ``h5o.get_info`` says it too, but not in h5py 3.10.
    if attributes := h5a.get_num_attrs(item):
        raise ValueError(f"{name} has {attributes} attributes, which are no part of a store")


@cache
def _numbers() -> list[tuple[Any, np.dtype[Any]]]:
    """The types of a store's numbers, as HDF5 and as numpy have them."""
    return [(h5t.py_create(dtype), dtype) for dtype in map(np.dtype, ("<f4", "<i8", "<i4", "<f8"))]


def _dtype(dataset: Any) -> np.dtype[Any]:
    """The type of h5py's low-level dataset; that of numbers in half the time it takes h5py."""
    kept = dataset.get_type()
    known = (dtype for kind, dtype in _numbers() if kept.equal(kind))
    return next(known, None) or dataset.dtype


@dataclass(frozen=True, eq=False)
class Guarded:
    """A dataset that has passed the checks; what HDF5 says of it is asked once."""

    path: str
    dataset: Any
    """h5py's low-level object."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    piece: int
    """Rows of a chunk; 0 where there are no rows."""

    def check_whole(self) -> None:
        """See that each chunk is in the file, under its checksum.

        HDF5 reads a chunk that is not there as zeros.

        Raises:
            ValueError: one is not.
        """
        if not self.piece:
            return
        rest = (0,) * (len(self.shape) - 1)
        starts = range(0, self.shape[0], self.piece)
        if self.dataset.get_num_chunks() != len(starts):
            raise ValueError(f"{self.path} lacks a piece")
        info = self.dataset.get_chunk_info_by_coord
        if any(info((start, *rest)).filter_mask for start in starts):
            raise ValueError(f"{self.path} has a piece without its checksum")

    def read(self, span: slice) -> npt.NDArray[Any]:
        """The rows of a span, which lies within the shape."""
        n = span.stop - span.start
        values = np.empty((n, *self.shape[1:]), self.dtype)
        here = there = h5s.ALL
        if n < self.shape[0]:
            here, there = h5s.create_simple(values.shape), self.dataset.get_space()
            there.select_hyperslab((span.start, *(0 for _ in values.shape[1:])), values.shape)
        if n:
            self.dataset.read(here, there, values)
        return values


class Guards:
    """The checks of one open file.

    Raises:
        StoreError: the file's own structure has no checksums.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self.file = path, file
        self._bytes = os.fstat(file.id.get_vfd_handle()).st_size
        if file.id.get_create_plist().get_version()[0] < _SUPERBLOCK or file.userblock_size:
            raise self._rewritten("the file's structure")

    def check(self, dataset: Any, name: str) -> Guarded:
        """See that a dataset is guarded, in this very file, and no larger than the file can mean.

        Args:
            dataset: h5py's low-level object.
            name: its path.

        Raises:
            StoreError: it was written by another program.
            ValueError: it lies outside, or declares what the file cannot hold.
        """
        shape, dtype, made = dataset.shape, _dtype(dataset), dataset.get_create_plist()
        item, layout = dtype.itemsize, made.get_layout()
        if layout == h5d.VIRTUAL or made.get_external_count():
            raise ValueError(f"{name} is not a dataset of this file")
        filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
        if 0 not in shape and (layout != h5d.CHUNKED or _GUARD not in filters):
            raise self._rewritten(name)
        info = h5o.get_info(dataset)
        if info.hdr.version < _HEADER:
            raise self._rewritten(f"{name}'s structure")
        check_bare(dataset, name)
        if 0 in shape:
            return Guarded(name, dataset, shape, dtype, 0)
        if filters - _FILTERS:
            raise ValueError(f"{name} is packed in a way that compread does not write")
        chunks, row = made.get_chunk(), math.prod(shape[1:]) * item
        if chunks[1:] != shape[1:] or chunks[0] * row > max(CHUNK_BYTES, row):
            raise ValueError(f"{name} is in pieces of {chunks}, not in some whole rows")
        if (
            shape[0] * row > max(_SMALL, _DENSEST * self._bytes)
            or item > max(CHUNK_BYTES, self._bytes)
            or shape[0] * _ROW_BYTES > self._bytes
        ):
            raise ValueError(f"{name} declares {shape} values in {self._bytes} bytes")
        return Guarded(name, dataset, shape, dtype, chunks[0])

    def _rewritten(self, what: str) -> StoreError:
        return StoreError(
            f"{self._path}: was rewritten by another program (h5repack, h5py), which left {what} "
            "without checksums, so that damage would go unseen: use the file as compread wrote it, "
            f"or extract it anew with {flag('force')}"
        )

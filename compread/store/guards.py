"""What must guard a store's bytes before they are believed, and how much a file may claim to hold.

A store as ``layout`` writes it has every byte under a checksum. Other programs (h5repack, h5py)
can rewrite one without: what then changes on the disk would be read without a word. And a few
bytes can declare an array that no memory holds: what a file declares is weighed against its size.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from h5py import h5a, h5d, h5o, h5z

from compread.errors import StoreError
from compread.store.layout import CHUNK_BYTES

_GUARD = h5z.FILTER_FLETCHER32
_FILTERS = {_GUARD, h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE}
_HEADER = b"OHDR"
"""How an object begins whose structure HDF5 guards; in its earlier formats it begins otherwise."""
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
    if n := h5a.get_num_attrs(item):
        raise ValueError(f"{name} has {n} attributes, which are no part of a store")


class Guards:
    """The checks of one open file.

    Raises:
        StoreError: the file's own structure has no checksums.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self.file = path, file
        self._fd = file.id.get_vfd_handle()
        self._bytes = os.fstat(self._fd).st_size
        if file.id.get_create_plist().get_version()[0] < _SUPERBLOCK or file.userblock_size:
            raise self._rewritten("the file's structure")

    def check(self, dataset: Any, name: str) -> None:
        """See that a dataset is guarded, and no larger than the file can mean.

        Args:
            dataset: h5py's low-level object.
            name: its path.

        Raises:
            StoreError: it was written by another program.
            ValueError: it declares what the file cannot hold.
        """
        shape, item = dataset.shape, dataset.dtype.itemsize
        made = dataset.get_create_plist()
        filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
        if 0 not in shape and (made.get_layout() != h5d.CHUNKED or _GUARD not in filters):
            raise self._rewritten(name)
        if os.pread(self._fd, len(_HEADER), h5o.get_info(dataset).addr) != _HEADER:
            raise self._rewritten(f"{name}'s structure")
        check_bare(dataset, name)
        if 0 in shape:
            return
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

    def check_whole(self, dataset: Any, name: str) -> None:
        """See that each of a dataset's chunks is in the file, under its checksum.

        HDF5 reads a chunk that is not there as zeros.

        Raises:
            ValueError: one is not.
        """
        if 0 in dataset.shape:
            return
        rows, *rest = dataset.get_create_plist().get_chunk()
        starts = [(start, *(0 for _ in rest)) for start in range(0, dataset.shape[0], rows)]
        if dataset.get_num_chunks() != len(starts):
            raise ValueError(f"{name} lacks a piece")
        if any(dataset.get_chunk_info_by_coord(start).filter_mask for start in starts):
            raise ValueError(f"{name} has a piece without its checksum")

    def _rewritten(self, what: str) -> StoreError:
        return StoreError(
            f"{self._path}: was rewritten by another program (h5repack, h5py), which left {what} "
            "without checksums, so that damage would go unseen: use the file as compread wrote it, "
            "or extract it anew with --force"
        )

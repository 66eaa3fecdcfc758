"""The datasets of a store file, checked and read through HDF5's own calls.

A store has some thirty small datasets, and a folder some thousand stores. h5py's low-level objects
open and read one in a tenth of the time that its ``File`` and ``Dataset`` take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s

from compread.store.axes import MOST_COMPONENTS
from compread.store.guards import Guards, check_bare
from compread.store.layout import TEXT, chunk_rows, spans


class Group:
    """A group of an open file, whose datasets are of this very file and under its guards.

    Raises:
        ValueError: it is missing, only a link, or has attributes.
    """

    def __init__(self, guards: Guards, name: str) -> None:
        self.name, self._guards = name, guards
        self._id = _open_hard(guards.file.id, name, f"/{name}")
        if not isinstance(self._id, h5g.GroupID):
            raise ValueError(f"/{name} is not a group of this file")
        check_bare(self._id, f"/{name}")

    def dataset(self, name: str) -> Any:
        """The low-level dataset of a name: no link, no outside storage is followed.

        Raises:
            StoreError: another program wrote it.
            ValueError: there is none, or it declares what the file cannot hold.
        """
        path = f"/{self.name}/{name}"
        found = _open_hard(self._id, name, path)
        if isinstance(found, h5d.DatasetID):
            made = found.get_create_plist()
            if made.get_layout() != h5d.VIRTUAL and not made.get_external_count():
                self._guards.check(found, path)
                return found
        raise ValueError(f"{path} is not a dataset of this file")

    def __len__(self) -> int:
        """Rows of a split's group.

        Raises:
            ValueError: it has no such rows.
        """
        (n,) = self.dataset("gold").shape
        return int(n)

    def check(self, name: str, kind: str, shape: tuple[int, ...]) -> None:
        """See that a dataset has a type and a shape.

        Raises:
            ValueError: it has not, or there is none.
        """
        dataset, path = self.dataset(name), f"/{self.name}/{name}"
        _check_type(path, dataset.dtype, kind)
        if dataset.shape != shape:
            raise ValueError(f"{path} has shape {dataset.shape}, wanted {shape}")

    def columns(self, kinds: dict[str, str]) -> dict[str, list[Any]]:
        """Datasets of one axis, text or numbers by their kind, as lists.

        Raises:
            ValueError: one is missing, of another type, or longer than another.
        """
        found = {name: self._column(name, kind) for name, kind in kinds.items()}
        if len({len(column) for column in found.values()}) > 1:
            raise ValueError(f"/{self.name}: columns of different lengths")
        return found

    def _column(self, name: str, kind: str) -> list[Any]:
        dataset, path = self.dataset(name), f"/{self.name}/{name}"
        shape, dtype = dataset.shape, dataset.dtype
        if len(shape) != 1:
            raise ValueError(f"{path} has shape {shape}, wanted one axis")
        if self.name == "components" and shape[0] > MOST_COMPONENTS:
            raise ValueError(f"{path} has {shape[0]} components, wanted {MOST_COMPONENTS} at most")
        self._guards.check_whole(dataset, path)
        if kind != TEXT:
            _check_type(path, dtype, kind)
            return [number for piece in _pieces(dataset, shape[0], dtype) for number in piece]
        text = h5py.check_string_dtype(dtype)
        if text is None or text.length is None:
            raise ValueError(f"{path} has type {dtype}, wanted text of fixed length")
        return [w.decode() for piece in _pieces(dataset, shape[0], dtype) for w in piece]


def _pieces(dataset: Any, n: int, dtype: Any) -> Iterator[list[Any]]:
    """The values chunk by chunk: one long text pads all the others in memory."""
    for span in spans(n, step := chunk_rows(n, dtype.itemsize)):
        values, size = np.empty(span.stop - span.start, dtype), (span.stop - span.start,)
        here = there = h5s.ALL
        if step < n:
            here, there = h5s.create_simple(size), dataset.get_space()
            there.select_hyperslab((span.start,), size)
        dataset.read(here, there, values)
        yield values.tolist()


def _open_hard(parent: Any, name: str, path: str) -> Any:
    key, links = name.encode(), parent.links
    if not links.exists(key) or links.get_info(key).type != h5l.TYPE_HARD:
        raise ValueError(f"{path} is missing or only a link")
    return h5o.open(parent, key)


def _check_type(path: str, dtype: Any, kind: str) -> None:
    if dtype != np.dtype(kind):
        raise ValueError(f"{path} has type {dtype}, wanted {np.dtype(kind)}")

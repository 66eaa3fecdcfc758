"""The datasets of a store file, checked and read through HDF5's own calls.

A store has some thirty small datasets, and a folder some thousand stores. h5py's low-level objects
open and read one in a tenth of the time that its ``File`` and ``Dataset`` take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o

from compread.store.axes import MOST_COMPONENTS
from compread.store.guards import Guarded, Guards, check_bare
from compread.store.layout import TEXT, chunk_rows, spans


class Group:
    """A group of an open file, whose datasets are of this very file and under its guards.

    Raises:
        ValueError: it is missing, only a link, or has attributes.
    """

    def __init__(self, guards: Guards, name: str) -> None:
        self.name, self._guards = name, guards
        key, links = name.encode(), guards.file.id.links
        if not links.exists(key) or links.get_info(key).type != h5l.TYPE_HARD:
            raise ValueError(f"/{name} is missing or only a link")
        self._id = h5o.open(guards.file.id, key)
        if not isinstance(self._id, h5g.GroupID):
            raise ValueError(f"/{name} is not a group of this file")
        check_bare(self._id, f"/{name}")

    @cached_property
    def members(self) -> set[str]:
        """The names of all that is in it."""
        return members(self._id)

    @cached_property
    def _hard(self) -> set[bytes]:
        """The names of what is of this very file."""
        return _hard_links(self._id)

    def dataset(self, name: str) -> Guarded:
        """The dataset of a name: no link, no outside storage is followed.

        Raises:
            StoreError: another program wrote it.
            ValueError: there is none, or it declares what the file cannot hold.
        """
        path = f"/{self.name}/{name}"
        key = name.encode()
        if key not in self._hard:
            raise ValueError(f"{path} is missing or only a link")
        found = h5o.open(self._id, key)
        if not isinstance(found, h5d.DatasetID):
            raise ValueError(f"{path} is not a dataset of this file")
        return self._guards.check(found, path)

    def __len__(self) -> int:
        """Rows of a split's group.

        Raises:
            ValueError: it has no such rows.
        """
        (n,) = self.dataset("gold").shape
        return int(n)

    def numbers(self, name: str, kind: str, shape: tuple[int, ...]) -> Guarded:
        """A dataset of a type and a shape.

        Raises:
            ValueError: it has another, or there is none.
        """
        found = self.dataset(name)
        _check_type(found, kind)
        if found.shape != shape:
            raise ValueError(f"{found.path} has shape {found.shape}, wanted {shape}")
        return found

    def texts(self, name: str, n: int) -> Guarded:
        """A dataset of ``n`` texts, which ``decoded`` reads.

        Raises:
            ValueError: it has another type or shape, or there is none.
        """
        found = self.dataset(name)
        if found.shape != (n,):
            raise ValueError(f"{found.path} has shape {found.shape}, wanted {(n,)}")
        _check_text(found)
        return found

    def columns(self, kinds: dict[str, str]) -> dict[str, list[Any]]:
        """Datasets of one axis, text or numbers by their kind, as lists.

        Raises:
            ValueError: one is missing, of another type, or longer than another.
        """
        found = {name: self._column(name, kind) for name, kind in kinds.items()}
        if len({len(column) for column in found.values()}) > 1:
            raise ValueError(f"/{self.name}: columns of different lengths")
        return found

    def tables(self, kinds: dict[str, str], width: int) -> dict[str, list[list[Any]]]:
        """Datasets of two axes, the second of a known width, as lists of rows.

        Raises:
            ValueError: one is missing, of another type or shape, or longer than another.
        """
        found = {name: self._column(name, kind, (width,)) for name, kind in kinds.items()}
        if len({len(column) for column in found.values()}) > 1:
            raise ValueError(f"/{self.name}: tables of different lengths")
        return found

    def _column(self, name: str, kind: str, rest: tuple[int, ...] = ()) -> list[Any]:
        found = self.dataset(name)
        if len(found.shape) != 1 + len(rest) or found.shape[1:] != rest:
            wanted = f"(rows, {', '.join(map(str, rest))})" if rest else "one axis"
            raise ValueError(f"{found.path} has shape {found.shape}, wanted {wanted}")
        n = found.shape[0]
        if self.name == "components" and n > MOST_COMPONENTS:
            raise ValueError(f"{found.path} has {n} components, wanted {MOST_COMPONENTS} at most")
        if kind == TEXT:
            _check_text(found)
            return decoded(found)
        _check_type(found, kind)
        return [value for piece in _pieces(found) for value in piece]


def decoded(found: Guarded, rows: slice = slice(None)) -> list[Any]:
    """A dataset of texts, or some of its rows, as a list, or a list of lists where it has two axes.

    Raises:
        ValueError: a piece is missing, or is not UTF-8.
    """

    def text(value: Any) -> Any:
        return [one.decode() for one in value] if isinstance(value, list) else value.decode()

    return [text(value) for piece in _pieces(found, rows) for value in piece]


def _pieces(found: Guarded, rows: slice = slice(None)) -> Iterator[list[Any]]:
    """A dataset's rows piece by piece: one long text pads all the others in memory."""
    found.check_whole()
    first, last, _ = rows.indices(found.shape[0])
    row_bytes = found.dtype.itemsize * math.prod(found.shape[1:])
    for span in spans(last - first, chunk_rows(found.shape[0], row_bytes)):
        yield found.read(slice(first + span.start, first + span.stop)).tolist()


def _check_text(found: Guarded) -> None:
    text = h5py.check_string_dtype(found.dtype)
    if text is None or text.length is None:
        raise ValueError(f"{found.path} has type {found.dtype}, wanted text of fixed length")


def members(group: Any) -> set[str]:
    """The names of all that is in a group, h5py's low-level object."""
    names: list[bytes] = []
    group.links.iterate(names.append)
    return {name.decode() for name in names}


def _hard_links(group: Any) -> set[bytes]:
    found = set()

    def look(name: bytes, info: Any) -> None:
        if info.type == h5l.TYPE_HARD:
            found.add(name)

    group.links.iterate(look, info=True)
    return found


def _check_type(found: Guarded, kind: str) -> None:
    if found.dtype != np.dtype(kind):
        raise ValueError(f"{found.path} has type {found.dtype}, wanted {np.dtype(kind)}")

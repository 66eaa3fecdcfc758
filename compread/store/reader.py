"""Reading a finished store: everything is checked before a number is believed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from compread.components import Component
from compread.errors import StoreError
from compread.store.axes import Axes, SplitRows, finite_rows
from compread.store.layout import COMPONENTS, LABELS, NUMBERS, ROWS, TEXT, chunk_rows, spans
from compread.store.pooling import Pooling
from compread.store.progress import partial_status
from compread.store.schema import (
    ALL_SPLITS,
    FORMAT,
    FORMAT_VERSION,
    SPLITS,
    Labels,
    RunInfo,
    Split,
)

_READ_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class Store:
    """An open store. Its metadata is in memory; the numbers are read when asked for.

    A context manager. The file stays open, so that a store which is replaced meanwhile goes on
    being read as it was.
    """

    path: Path
    run: RunInfo
    axes: Axes = field(repr=False)
    _file: Any = field(repr=False)
    pooling: Pooling | None = None
    """How several words of a class become one label; None: labels are the columns as stored."""

    @property
    def components(self) -> tuple[Component, ...]:
        """The component axis (length C)."""
        return self.axes.components

    @property
    def labels(self) -> Labels:
        """The labels (length K), or the classes that they are pooled to."""
        return self.pooling.labels if self.pooling else self.axes.labels

    def rows(self, split: str) -> int:
        """N of a split."""
        return len(self._split_rows(split))

    def split(self, split: str) -> Split:
        """A split's arrays, all in memory.

        Raises:
            StoreError: the numbers are damaged.
        """
        rows = self._split_rows(split)
        numbers = {name: self.array(split, name) for name in NUMBERS}
        return Split(
            gold=self.gold(split),
            id=tuple(rows.id),
            prompt_hash=tuple(rows.prompt_hash),
            **numbers,
        )

    def gold(self, split: str) -> npt.NDArray[np.int64]:
        """[N] the right label of each row of a split."""
        gold = np.asarray(self._split_rows(split).gold, dtype=np.int64)
        return self.pooling.gold(gold) if self.pooling else gold

    def array(self, split: str, name: str) -> npt.NDArray[np.float32]:
        """One of a split's number arrays: ``parts``, ``full``, ``sum_error`` or ``label_mass``."""
        return self._pooled(split, name, slice(0, self.rows(split)))

    def iter_parts(
        self, split: str, rows: int | None = None
    ) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """A split's parts piece by piece: which rows, and their ``parts`` [rows, C, K].

        ``rows`` is how many at most; by default as many whole chunks as 32 MiB hold.
        """
        n = self.rows(split)
        row_bytes = self.axes.row_dtype()["parts"].itemsize
        chunk = chunk_rows(n, row_bytes)
        step = rows or max(1, _READ_BYTES // (row_bytes * chunk)) * chunk
        for span in spans(n, step):
            yield span, self._pooled(split, "parts", span)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _split_rows(self, split: str) -> SplitRows:
        if split not in ALL_SPLITS:
            known = ", ".join(ALL_SPLITS)
            raise StoreError(f"{self.path}: no split {split!r}: a store has {known}")
        return self.axes.splits[split]

    def _pooled(self, split: str, name: str, span: slice) -> npt.NDArray[np.float32]:
        values = self._read(split, name, span)
        if self.pooling is None or name not in ("parts", "full"):
            return values
        if name == "full":
            return self.pooling.full(values)
        bias = next(j for j, c in enumerate(self.components) if c.kind == "bias")
        return self.pooling.parts(values, self._read(split, "full", span), bias)

    def _read(self, split: str, name: str, span: slice) -> npt.NDArray[np.float32]:
        if span.stop == span.start:  # a store of version 1 has no calibration group
            dtype = self.axes.row_dtype()[name]
            return np.empty((0, *dtype.shape), dtype=np.float32)
        with _damage_is_an_error(self.path):
            values: npt.NDArray[np.float32] = self._file[split][name][span]
        finite = finite_rows(values)
        if not finite.all():
            row = self._split_rows(split).id[span.start + int(np.argmin(finite))]
            raise StoreError(f"{self.path}: /{split}/{name} of row {row!r} is NaN or infinite")
        return values


def open_store(path: str | Path, pool: str | None = None) -> Store:
    """Open a finished store and check all of it but the numbers, which are checked when read.

    Args:
        path: the store.
        pool: how to pool the words of each class into one label (``pooling.POOLS``), so that K is
            the number of classes; None: the columns as they are stored.

    Raises:
        StoreError: no such file, a folder, an unfinished run, somebody else's file, a newer
            format, or a damaged store.
    """
    path = Path(path)
    _check_file(path)
    with _damage_is_an_error(path), contextlib.ExitStack() as on_error:
        # A finished store never changes, so no lock is needed; on some network disks none is had.
        file = h5py.File(path, "r", locking=False)
        on_error.callback(file.close)
        run_text, version = _check_attributes(path, file)
        axes = _read_axes(file, version)
        if axes.checksum(run_text, version) != _text(file.attrs["checksum"]):
            raise ValueError("the metadata does not agree with its checksum")
        _check_numbers(file, axes, version)
        pooling = Pooling.of(axes.labels, pool) if pool else None
        store = Store(path, RunInfo.from_dict(json.loads(run_text)), axes, file, pooling)
        on_error.pop_all()
    return store


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a folder, wanted a .h5 file in it")
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        status = partial_status(path)
        if status is not None:
            hint = f"{status}: run the same `compread extract` again (without --force) to finish it"
            raise StoreError(f"{path}: is not finished; {hint}") from error
        raise StoreError(f"{path}: no such store: `compread extract` makes one") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    if b"compread journal".startswith(start) and start:
        target = path.with_suffix("")
        raise StoreError(f"{path}: is the journal of an unfinished run, wanted {target.name}")
    if not h5py.is_hdf5(path):
        raise StoreError(f"{path}: not an HDF5 file, or its beginning is damaged; wanted a store")


@contextlib.contextmanager
def _damage_is_an_error(path: Path) -> Iterator[None]:
    """Turn whatever h5py raises at a damaged file into one clear error."""
    try:
        yield
    except StoreError as error:
        if str(error).startswith(str(path)):
            raise
        raise StoreError(f"{path}: the store is damaged: {error}") from error
    except MemoryError as error:
        raise StoreError(f"{path}: needs more memory than there is ({error})") from error
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        damaged = f"{path}: the store is damaged or cut short ({reason})"
        raise StoreError(f"{damaged}: copy it again, or extract it anew with --force") from error


def _check_attributes(path: Path, file: Any) -> tuple[str, int]:
    """The ``run`` JSON and format version of a file that is a finished store."""
    attributes = file.attrs
    if "format" not in attributes or _text(attributes["format"]) != FORMAT:
        raise StoreError(f"{path}: an HDF5 file, but not a store that compread made")
    version = int(attributes["format_version"])
    if version > FORMAT_VERSION:
        newer = f"format version {version}, this compread reads up to {FORMAT_VERSION}"
        raise StoreError(f"{path}: made by a newer compread ({newer}): upgrade compread")
    if version < 1:
        raise ValueError(f"format version {version}")
    if not attributes["complete"]:
        raise StoreError(f"{path}: is not finished: run the same `compread extract` again")
    return _text(attributes["run"]), version


def _splits(version: int) -> tuple[str, ...]:
    return SPLITS if version == 1 else ALL_SPLITS


def _read_axes(file: Any, version: int) -> Axes:
    component = _read_columns(file, "components", COMPONENTS)
    components = tuple(map(Component, component["kind"], component["layer"], component["head"]))
    if [c.name for c in components] != component["name"]:
        raise ValueError("component names do not agree with kind, layer and head")
    columns = {name: kind for name, kind in LABELS.items() if version > 1 or name != "class"}
    label = _read_columns(file, "labels", columns)
    labels = Labels(*(tuple(label.get(name, ())) for name in LABELS))
    splits = {split: SplitRows(**_read_columns(file, split, ROWS)) for split in _splits(version)}
    return Axes(components, labels, splits)


def _read_columns(file: Any, group: str, columns: dict[str, str]) -> dict[str, list[Any]]:
    values = {name: _read_column(_dataset(file, group, name), columns[name]) for name in columns}
    if len({len(column) for column in values.values()}) > 1:
        raise ValueError(f"/{group}: columns of different lengths")
    return values


def _read_column(dataset: Any, kind: str) -> list[Any]:
    if dataset.ndim != 1:
        raise ValueError(f"{dataset.name} has shape {dataset.shape}, wanted one axis")
    if kind != TEXT:
        _check_type(dataset, np.dtype(kind))
        numbers: list[Any] = dataset[:].tolist()
        return numbers
    text = h5py.check_string_dtype(dataset.dtype)
    if text is None or text.length is None:
        raise ValueError(f"{dataset.name} has type {dataset.dtype}, wanted text of fixed length")
    pieces = spans(len(dataset), chunk_rows(len(dataset), dataset.dtype.itemsize))
    return [word.decode() for span in pieces for word in dataset[span].tolist()]


def _check_numbers(file: Any, axes: Axes, version: int) -> None:
    dtype = axes.row_dtype()
    for split in _splits(version):
        rows = axes.splits[split]
        for name, kind in NUMBERS.items():
            dataset = _dataset(file, split, name)
            _check_type(dataset, np.dtype(kind))
            wanted = (len(rows), *dtype[name].shape)
            if dataset.shape != wanted:
                raise ValueError(f"{dataset.name} has shape {dataset.shape}, wanted {wanted}")


def _check_type(dataset: Any, wanted: np.dtype[Any]) -> None:
    if dataset.dtype != wanted:
        raise ValueError(f"{dataset.name} has type {dataset.dtype}, wanted {wanted}")


def _dataset(file: Any, group: str, name: str) -> Any:
    """A dataset whose bytes are in this very file: no link, no outside storage is followed."""
    parent = file
    for step in (group, name):
        if not isinstance(parent.get(step, getlink=True), h5py.HardLink):
            raise ValueError(f"/{group}/{name} is missing or only a link")
        parent = parent[step]
    if not isinstance(parent, h5py.Dataset) or parent.external or parent.is_virtual:
        raise ValueError(f"/{group}/{name} is not a dataset of this file")
    return parent


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

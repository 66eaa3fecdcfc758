"""Reading a finished store: everything is checked before a number is believed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from compread.array_types import Floats
from compread.components import Component
from compread.errors import StoreError
from compread.options import DEFAULT_NORMALIZATION
from compread.store.answers import GRAM, PER_ANSWER, RowAnswers, good_rows
from compread.store.axes import Axes, SplitRows
from compread.store.checks import (
    check_attributes,
    check_checksum,
    check_file,
    check_members,
    damage_is_an_error,
    find_grams,
    find_numbers,
    find_texts,
    groups_of,
    read_axes,
    splits_of,
)
from compread.store.datasets import Group, decoded, members
from compread.store.guards import Guarded, Guards
from compread.store.layout import NUMBERS, chunk_rows, spans
from compread.store.normalizing import Array, Normalizing, Read
from compread.store.pooling import Pooling
from compread.store.schema import ALL_SPLITS, Labels, RunInfo, Split
from compread.store.typed import parse

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
    _numbers: dict[str, Guarded] = field(repr=False)
    _texts: dict[str, Guarded] = field(repr=False)
    _grams: dict[str, Guarded] = field(repr=False)
    pooling: Pooling | None = None
    """How several words of a class become one label; None: labels are the columns as stored."""
    normalizing: Normalizing | None = None
    """How answers of different lengths are made alike; None: the numbers are as stored."""
    _whole: set[str] = field(default_factory=set, repr=False)
    """The arrays whose chunks are known to be all there."""

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
            own_answers=self.axes.has_own_answers,
            **numbers,
        )

    def answers(self, split: str) -> tuple[RowAnswers, ...]:
        """[N] the answers of each row of a split; empty where labels are one token each."""
        return tuple(self._split_rows(split).answers)

    @property
    def has_texts(self) -> bool:
        """Whether the store keeps its rows' texts."""
        return bool(self._texts)

    def texts(self, split: str, rows: slice = slice(None)) -> tuple[str, ...]:
        """[N] the text of each row of a split, or of some: its own input, or its whole prompt.

        Empty where the store keeps none.

        Raises:
            StoreError: the texts are damaged.
        """
        self._split_rows(split)  # an unknown name is an error, a group that has no rows is none
        if split not in self._texts:
            return ()
        with damage_is_an_error(self.path, f"/{split}/text"):
            return tuple(decoded(self._texts[split], rows))

    def gold(self, split: str) -> npt.NDArray[np.int64]:
        """[N] the right label of each row of a split."""
        gold = np.asarray(self._split_rows(split).gold, dtype=np.int64)
        return self.pooling.gold(gold) if self.pooling else gold

    def label_gram(self, split: str) -> npt.NDArray[np.float64] | None:
        """[N, K, K] inner products of the directions that a row's numbers are read along.

        With them gᵀ G⁺ g is the squared length of a write in the span of the labels, whose words
        the row's own logits pool, or of its answers. Zero where a row has no answer; None in a
        store older than them.

        Raises:
            StoreError: they are not [K, K], or not finite.
        """
        if not self._grams and not self.run.label_gram:
            return None
        return self._seen(split, GRAM, slice(0, self.rows(split)))

    def array(self, split: str, name: str) -> npt.NDArray[np.float32]:
        """One of a split's number arrays: ``parts``, ``full``, ``sum_error`` or ``label_mass``."""
        return self._seen(split, name, slice(0, self.rows(split)))

    def numbers(self, split: str, name: str, rows: slice) -> npt.NDArray[np.float32]:
        """``array`` of some rows alone, of a slice that lies within the split."""
        return self._seen(split, name, rows)

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
            yield span, self._seen(split, "parts", span)

    def verify(self) -> None:
        """Read all numbers and texts against their checksums, a piece at a time.

        The metadata was read so when the store was opened.

        Raises:
            StoreError: some are damaged, not finite, or missing; the message says where.
        """
        dtype = self.axes.row_dtype()
        for split in ALL_SPLITS:
            n = self.rows(split)
            for name in NUMBERS:
                for span in spans(n, chunk_rows(n, dtype[name].itemsize)):
                    self._read(split, name, span)
            self.texts(split)
            self.label_gram(split)

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

    def _word_gram(self, split: str, rows: slice) -> Floats:
        """``RunInfo.label_gram``, which all rows have."""
        k = len(self.axes.labels.word)
        with damage_is_an_error(self.path):
            gram = np.array(self.run.label_gram, dtype=np.float64)
            if gram.shape != (k, k) or not np.isfinite(gram).all():
                raise ValueError(f"`label_gram` is not {k} by {k} finite numbers")
        return np.broadcast_to(gram, (rows.stop - rows.start, k, k))

    def _answer_gram(self, split: str, rows: slice) -> Floats:
        """[n, K, K] as the store has them."""
        if rows.stop == rows.start:
            return np.zeros((0, *[len(self.axes.labels.word)] * 2))
        where = f"/{split}/answer_gram"
        with damage_is_an_error(self.path, where):
            found = self._grams[split]
            found.check_whole()
            gram: Floats = found.read(rows)
            absent = self._absent(split, rows)
            if not np.isfinite(gram).all() or gram[absent].any():
                raise ValueError("a number is not finite, or stands where a row has no answer")
        return gram

    def _split_rows(self, split: str) -> SplitRows:
        if split not in ALL_SPLITS:
            known = ", ".join(ALL_SPLITS)
            raise StoreError(f"{self.path}: no split {split!r}: a store has {known}")
        return self.axes.splits[split]

    def _seen(self, split: str, name: str, span: slice) -> Array:
        """An array, or ``GRAM``, with its words pooled and its answers made alike in length."""
        own = self.normalizing
        if own is None:
            return self._pooled(self._read, split, name, span)
        if own.length is None:
            return own.apply(name, split, span, partial(self._pooled, self._read))
        return self._pooled(
            lambda split, name, span: own.apply(name, split, span, self._read), split, name, span
        )

    def _pooled(self, read: Read, split: str, name: str, span: slice) -> Array:
        values = read(split, name, span)
        if self.pooling is None or name not in (*PER_ANSWER, GRAM):
            return values
        if name == "full":
            return self.pooling.full(values)
        full = read(split, "full", span)
        if name == GRAM:
            return self.pooling.gram(values, full)
        bias = next(j for j, c in enumerate(self.components) if c.kind == "bias")
        return self.pooling.parts(values, full, bias)

    def _read(self, split: str, name: str, span: slice) -> Array:
        if name == GRAM:
            gram = self._answer_gram if self._grams else self._word_gram
            return gram(split, span)
        if span.stop == span.start:  # a store of version 1 has no calibration group
            dtype = self.axes.row_dtype()[name]
            return np.empty((0, *dtype.shape), dtype=np.float32)
        where = f"/{split}/{name}"
        with damage_is_an_error(self.path, f"{where}, rows {span.start} to {span.stop - 1}"):
            found = self._numbers[where]
            if where not in self._whole:
                found.check_whole()
                self._whole.add(where)
            values: npt.NDArray[np.float32] = found.read(span)
        finite = good_rows(name, values, self._absent(split, span))
        if not finite.all():
            row = self._split_rows(split).id[span.start + int(np.argmin(finite))]
            raise StoreError(f"{self.path}: /{split}/{name} of row {row!r} is NaN or infinite")
        return values

    def _absent(self, split: str, span: slice) -> npt.NDArray[np.bool_] | None:
        if self.axes.absent is None:
            return None
        before = ALL_SPLITS[: ALL_SPLITS.index(split)]
        first = sum(len(self.axes.splits[name]) for name in before)
        return self.axes.absent[first + span.start : first + span.stop]


def open_store(
    path: str | Path, pool: str | None = None, normalize: str = DEFAULT_NORMALIZATION
) -> Store:
    """Open a finished store and check all of it but the numbers, which are checked when read.

    Args:
        path: the store.
        pool: how to pool the words of each class into one label (``compread.options.POOLS``), so
            that K is the number of classes; None: the columns as they are stored.
        normalize: how answers of different lengths are made alike
            (``compread.options.NORMALIZATIONS``).

    Raises:
        StoreError: no such file, a folder, an unfinished run, somebody else's file, a newer
            format, one that another program has rewritten or has open, a damaged store, or one
            without what ``normalize`` takes.
    """
    path = Path(path)
    check_file(path)
    with damage_is_an_error(path), contextlib.ExitStack() as on_error:
        # A finished store never changes, so no lock is needed; on some network disks none is had.
        # HDF5 goes by HDF5_USE_FILE_LOCKING instead, where that is set.
        file = h5py.File(path, "r", locking=False)
        on_error.callback(file.close)
        run_text, version = check_attributes(path, file)
        guards = Guards(path, file)
        groups = groups_of(guards, version)
        axes = read_axes(groups, version)
        check_checksum(file, axes, run_text, version)
        numbers = find_numbers(groups, axes, version)
        texts = find_texts(groups, axes, version)
        grams = find_grams(groups, axes, version)
        check_members(file, groups, version)
        run = RunInfo.from_dict(parse(run_text))
        pooling = Pooling.of(axes.labels, pool) if pool else None
        normalizing = Normalizing.of(axes, run, normalize, path)
        run = replace(run, normalize=normalize if normalizing else DEFAULT_NORMALIZATION)
        store = Store(path, run, axes, file, numbers, texts, grams, pooling, normalizing)
        on_error.pop_all()
    return store


def peek_run(path: Path) -> RunInfo:
    """The run of a finished store, in a seventh of the time of opening.

    Raises:
        StoreError: as ``open_store``, where the file's attributes show it.
    """
    check_file(path)
    with damage_is_an_error(path), h5py.File(path, "r", locking=False) as file:
        Guards(path, file)
        return RunInfo.from_dict(parse(check_attributes(path, file)[0]))


def peek_store(path: Path) -> tuple[RunInfo, int]:
    """The run of a finished store and how many rows it has, in a quarter of the time of opening.

    What the rows, labels and components say is not read, nor held against their checksum.

    Raises:
        StoreError: as ``open_store``, where the file's structure or its attributes show it.
    """
    check_file(path)
    with damage_is_an_error(path), h5py.File(path, "r", locking=False) as file:
        run_text, version = check_attributes(path, file)
        guards = Guards(path, file)
        rows = sum(len(Group(guards, split)) for split in splits_of(version, members(file.id)))
        return RunInfo.from_dict(parse(run_text)), rows

"""What a run's journal keeps: whose rows they are, which, and the checks that they pass before.

The run and the axes that it was begun with, which rows are kept by now and where each one lies, and
what is asked of rows before they are kept and before what a journal kept is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.errors import StoreError, option
from compread.store.answers import good_rows
from compread.store.axes import Axes
from compread.store.journal import Journal, JournalError
from compread.store.schema import RunInfo
from compread.store.typed import parse, typed


@dataclass(frozen=True, eq=False)
class Header:
    """What a journal says before its first record."""

    run: RunInfo
    axes: Axes
    replace: bool = False
    """Whether the finished store may take an existing one's place."""

    def to_bytes(self) -> bytes:
        """As a journal keeps it."""
        run, axes = self.run.to_dict(), self.axes.to_dict()
        return json.dumps({"run": run, "axes": axes, "replace": self.replace}).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Header:
        """The inverse, also of what earlier versions wrote.

        Raises:
            JournalError: no run ever wrote this.
        """
        try:
            values = typed(parse(payload), dict[str, Any], "header")
            run = RunInfo.from_dict(values.get("run"))
            axes = Axes.from_dict(values.get("axes"))
            return cls(run, axes, typed(values.get("replace"), bool, "replace"))
        except StoreError as error:
            raise JournalError(f"damaged at its start ({error})") from error


def read_header(journal: Journal) -> Header | None:
    """A journal's header; None when the file ends before it does: it has no records then.

    Raises:
        JournalError: the file is somebody else's, of another version, or damaged at its start.
    """
    payload = journal.header()
    return None if payload is None else Header.from_bytes(payload)


def journal_records(axes: Axes, journal: Journal) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
    """The offset and the rows of each record; then what follows the last whole one is cut off.

    Raises:
        JournalError: a whole record holds what no run ever kept.
    """
    for offset, payload in journal.resume():
        try:
            yield offset, kept_records(axes, payload)
        except StoreError as error:
            raise JournalError(f"damaged at byte {offset} ({error})") from error


class KeptRows:
    """The rows of a journal that holds records of ``Axes.row_dtype``."""

    done: npt.NDArray[np.bool_]
    """[N of all splits] which rows are kept."""
    worst_sum_error: float
    """The largest of theirs, in logits."""

    def __init__(self, axes: Axes, journal: Journal) -> None:
        """No row is kept yet, whatever the journal holds."""
        self._axes, self._journal = axes, journal
        self._dtype = axes.row_dtype()
        self._offset = np.full(axes.n_rows, -1, dtype=np.int64)  # of each row in the journal
        self.done = np.zeros(axes.n_rows, dtype=bool)
        self.worst_sum_error = 0.0

    def load(self) -> None:
        """Count in the rows that the journal holds, up to its last whole record.

        Raises:
            JournalError: a whole record holds what no run ever kept.
        """
        for offset, records in journal_records(self._axes, self._journal):
            self._count(records, offset)

    def append(self, records: npt.NDArray[np.void]) -> None:
        """Keep rows that are not kept yet.

        Raises:
            OSError: they could not be written; the rows kept before stay kept.
        """
        # In file order, so that a chunk of the store is read in a few pieces of each batch.
        records = records[np.argsort(records["row"])]
        self._count(records, self._journal.append(records.tobytes()))

    def read(self, start: int, stop: int) -> npt.NDArray[np.void]:
        """The records of the rows numbered ``start`` to ``stop``, all of them kept."""
        size, offsets = self._dtype.itemsize, self._offset[start:stop]
        begins = np.flatnonzero(np.diff(offsets, prepend=-1) != size)
        lengths = np.diff(begins, append=len(offsets)) * size
        data = [
            self._journal.read(offset, length)
            for offset, length in zip(offsets[begins].tolist(), lengths.tolist(), strict=True)
        ]
        return np.frombuffer(b"".join(data), dtype=self._dtype)

    def _count(self, records: npt.NDArray[np.void], offset: int) -> None:
        rows = records["row"]
        worst = float(records["sum_error"].max(initial=0.0))
        self.worst_sum_error = max(self.worst_sum_error, worst)
        self._offset[rows] = offset + self._dtype.itemsize * np.arange(len(rows))
        self.done[rows] = True


def checked_records(
    axes: Axes,
    done: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    numbers: Mapping[str, npt.NDArray[Any]],
) -> npt.NDArray[np.void]:
    """A batch as records (``Axes.row_dtype``) of float32, one per row.

    Raises:
        StoreError: a row that does not exist or is done, a wrong shape, a number that is not
            finite in float32, or one where a row has no answer.
    """
    _check_rows(axes, done, rows)
    records = np.empty(len(rows), dtype=axes.row_dtype())
    records["row"] = rows
    for name, values in numbers.items():
        if np.shape(values) != records[name].shape:
            raise StoreError(f"{name}: shape {np.shape(values)}, wanted {records[name].shape}")
        with np.errstate(over="ignore"):
            records[name] = values
        finite = good_rows(name, records[name], None if axes.absent is None else axes.absent[rows])
        if not finite.all():
            row = int(rows[~finite][0])
            where = f"{name} of row {row} (id {axes.ids[row]!r})"
            raise StoreError(f"{where} is NaN or beyond float32: try {option('dtype', 'float32')}")
    return records


def kept_records(axes: Axes, payload: bytes) -> npt.NDArray[np.void]:
    """The rows of one of a journal's records, which some other program may have written.

    Raises:
        StoreError: no run ever kept this.
    """
    dtype = axes.row_dtype()
    if not payload or len(payload) % dtype.itemsize:
        raise StoreError(f"{len(payload)} bytes, wanted rows of {dtype.itemsize}")
    records = np.frombuffer(payload, dtype=dtype)
    rows = records["row"].astype(np.int64)
    numbers = {name: records[name] for name in dtype.names or () if name != "row"}
    checked_records(axes, np.zeros(axes.n_rows, dtype=bool), rows, numbers)
    return records


def _check_rows(axes: Axes, done: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> None:
    if rows.ndim != 1 or len(np.unique(rows)) < rows.size:
        raise StoreError(f"rows {rows.tolist()}: wanted a list of distinct row numbers")
    for row in rows.tolist():
        if not 0 <= row < len(done):
            raise StoreError(f"row {row} does not exist: this store has {len(done)} rows from 0 on")
        if done[row]:
            raise StoreError(f"row {row} (id {axes.ids[row]!r}) is kept already")

"""The rows that a run has kept by now: which they are, and where in its journal each one lies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from compread.errors import StoreError
from compread.store.axes import Axes
from compread.store.journal import Journal, JournalError
from compread.store.records import kept_records


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

    def take_up(self) -> None:
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
        self._count(records, self._journal.append(records.tobytes()))

    def read(self, start: int, stop: int) -> npt.NDArray[np.void]:
        """The records of the rows numbered ``start`` to ``stop``, all of them kept."""
        size = self._dtype.itemsize
        data = [self._journal.read(int(offset), size) for offset in self._offset[start:stop]]
        return np.frombuffer(b"".join(data), dtype=self._dtype)

    def _count(self, records: npt.NDArray[np.void], offset: int) -> None:
        rows = records["row"]
        worst = float(records["sum_error"].max(initial=0.0))
        self.worst_sum_error = max(self.worst_sum_error, worst)
        self._offset[rows] = offset + self._dtype.itemsize * np.arange(len(rows))
        self.done[rows] = True

"""Writing a store: finished rows go to a journal, the finished run becomes one HDF5 file.

A run may stop at any moment, ``kill -9`` included, and goes on when it is opened again:

    rows are in the journal  ->  x.h5.tmp is written  ->  renamed to x.h5  ->  journal deleted

A stop before the rename leaves the rows in the journal, a stop after it leaves a finished store
and a journal that holds the same; opening again does the last steps over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.array_types import Floats
from compread.components import Component
from compread.errors import StoreError, TargetError
from compread.output_files import sync_folder
from compread.store.answers import without_absent
from compread.store.axes import Axes, SplitRows
from compread.store.finished import axes_differences, run_differences
from compread.store.journal import Journal, JournalError, NotAJournalError
from compread.store.kept import Header, KeptRows, checked_records, read_header
from compread.store.layout import write_store
from compread.store.reader import open_store
from compread.store.schema import Labels, RunInfo
from compread.store.target import (
    check_free,
    check_store_target,
    in_the_way,
    journal_unusable,
    lock,
    target_exists,
    writing,
)


class StoreWriter:
    """The one writer of a target; a context manager that lets go of its lock at the end.

    Leaving the context keeps the rows in the journal, unless ``finish`` made them a store or
    ``discard`` threw them away.
    """

    path: Path
    run: RunInfo
    axes: Axes

    def __init__(self, path: Path, run: RunInfo, axes: Axes, journal: Journal) -> None:
        """Use ``open``."""
        self.path, self.run, self.axes = path, run, axes
        self._journal = journal
        self._kept = KeptRows(axes, journal)
        self._may_replace = self._owned = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        run: RunInfo,
        components: Sequence[Component],
        labels: Labels,
        splits: Mapping[str, SplitRows],
        *,
        force: bool = False,
    ) -> StoreWriter:
        """Begin a store at ``path``, or go on with the one that a stopped run left there.

        ``force`` starts over, and lets the new store take an existing one's place when it is
        finished; until then the old one stays. Row numbers count the train rows first.

        Raises:
            TargetError: the target exists, is being written by another run, belongs to a run of
                another identity, or cannot be written.
            StoreError: the components, labels or rows contradict each other.
        """
        path = Path(path)
        axes = Axes(tuple(components), labels, splits)
        with writing(path):
            check_store_target(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not force:
                check_free(path)
            journal = lock(path)
            writer = cls(path, run, axes, journal)
            try:
                writer._begin(force)
            except BaseException:
                writer.close()
                raise
        return writer

    @property
    def done(self) -> npt.NDArray[np.bool_]:
        """[N of all splits] which rows are kept already."""
        return self._kept.done

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how this store is written; mostly nothing."""
        return tuple(filter(None, [self._journal.lock_note]))

    @property
    def worst_sum_error(self) -> float:
        """The largest of the kept rows, in logits."""
        return self._kept.worst_sum_error

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all rows, split after split."""
        return tuple(self.axes.ids)

    def append(
        self,
        rows: Sequence[int] | npt.NDArray[np.int64],
        parts: npt.NDArray[np.floating[Any]],
        full: npt.NDArray[np.floating[Any]],
        sum_error: npt.NDArray[np.floating[Any]],
        label_mass: npt.NDArray[np.floating[Any]],
    ) -> None:
        """Keep a batch: ``rows`` [B], ``parts`` [B, C, K], ``full`` [B, K], and [B] of the others.

        Columns for which a row has no answer are left out, whatever is given there.

        When it returns, the batch outlives the process.

        Raises:
            StoreError: a wrong shape, a row that is unknown or kept already, or a number that is
                not finite.
            TargetError: the disk is full, or fails; the rows kept before stay kept.
        """
        numbers = {"parts": parts, "full": full, "sum_error": sum_error, "label_mass": label_mass}
        rows = np.asarray(rows, dtype=np.int64)
        if self.axes.absent is not None:
            known = rows[(rows >= 0) & (rows < len(self.done))]
            absent = self.axes.absent[known]
            numbers = {k: without_absent(k, v, absent) for k, v in numbers.items()}
        records = checked_records(self.axes, self.done, rows, numbers)
        if not len(records):
            return
        with writing(self.path):
            self._kept.append(records)

    def finish(self, run: RunInfo, grams: Floats | None = None) -> Path:
        """Write the store from the journal, move it into place, delete the journal.

        Args:
            run: that of ``open`` with what is known at its end filled in.
            grams: [N of all splits, K, K] the inner products of the directions of each row's
                answers, where they are whole texts.

        Raises:
            StoreError: rows are missing, or ``run`` is another one or holds what no store can.
            TargetError: the disk is full or fails, or somebody else's file has appeared at the
                target; the rows stay kept.
        """
        if not self.done.all():
            missing = f"{np.count_nonzero(~self.done)} of {len(self.done)} rows are missing"
            raise StoreError(f"{self.path}: {missing}, so the store cannot be finished")
        if told := run_differences(self.run, run):
            raise StoreError(f"{self.path}: finished as another run: {told}")
        RunInfo.from_dict(run.to_dict())  # what cannot be read back is not written
        if self.path.exists() and not self._may_replace:
            raise TargetError(
                f"{self.path}: appeared while this run was writing it; all rows are kept: "
                "move that file away and run the same command again"
            )
        temporary = self.path.with_name(self.path.name + ".tmp")
        with writing(self.path):
            try:
                temporary.unlink(missing_ok=True)  # left by a stop during an earlier finish
                write_store(temporary, run, self.axes, self._kept.read, grams)
                temporary.replace(self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
            sync_folder(self.path.parent)
            self._journal.remove()
        return self.path

    def discard(self) -> None:
        """Throw the kept rows away, as when their sums are wrong."""
        with writing(self.path):
            self._journal.remove()

    def close(self) -> None:
        """Release the lock; a journal of ours without rows is deleted."""
        if self._journal.closed:
            return
        if self._journal.is_blank or (self._owned and not self._journal.has_records):
            self._journal.remove()
        self._journal.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, force: bool) -> None:
        """Load what the locked journal holds, or start it."""
        header = self._usable_header(force)
        self._may_replace = force if header is None else header.replace
        if header is not None:
            try:
                self._kept.load()
            except JournalError as problem:
                raise journal_unusable(self.path, f"is {problem}") from problem
        if self.path.exists() and not self._may_replace:
            # A stop between the rename and the end of finish leaves both files, equal ones.
            self._may_replace = bool(self.done.all()) and self._is_finished_store()
            if not self._may_replace:
                raise target_exists(self.path)
        self._owned = True
        if header is None:
            self._journal.start(Header(self.run, self.axes, replace=force).to_bytes())

    def _usable_header(self, force: bool) -> Header | None:
        """The journal's header if this run goes on with it, None if it starts."""
        try:
            header = read_header(self._journal)
        except NotAJournalError as problem:
            raise in_the_way(self._journal.path, problem) from problem
        except JournalError as problem:
            if force:
                return None
            raise journal_unusable(self.path, f"is {problem}") from problem
        if force or header is None:
            return None
        if told := self.differing(header):
            raise journal_unusable(self.path, f"belongs to a run {told}")
        return header

    def differing(self, header: Header) -> str:
        """How the run that began a journal with this header differs from this one; or nothing."""
        # The journal has numbers alone: whether texts are kept is the last command's to say.
        return run_differences(header.run, self.run, {"keep_text"}) or axes_differences(
            header.axes, self.axes
        )

    def _is_finished_store(self) -> bool:
        """Whether the target is what this journal makes: the stop came after the rename."""
        try:
            with open_store(self.path) as store:
                told = run_differences(store.run, self.run)
                return not (told or axes_differences(store.axes, self.axes))
        except StoreError:
            return False

"""Stores are finished while the next run computes.

A run's rows lie in its journal when its last batch has been run; the store is made of them by one
thread, which packs and writes while the model goes on. One store is finished at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from compread.array_types import Floats
from compread.errors import CompreadError
from compread.extract.describe import ending
from compread.extract.outcome import Extraction
from compread.extract.workers import Workers
from compread.store import RunInfo, StoreWriter, merge_rank_journals


@dataclass(frozen=True)
class ComputedRun:
    """A run whose rows are all kept, on whichever workers; ``finish`` makes the store of them."""

    report: Extraction
    """What was done; complete where nothing is left to finish."""
    started: float = 0.0
    """``time.monotonic()`` when it was."""
    run: RunInfo | None = None
    writer: StoreWriter | None = None
    """None where the store was there already, or another worker makes it."""
    command: str = ""
    grams: Floats | None = None
    """[N, K, K] of the rows' answers (``AnswerDecomposer.grams``); None: all rows have the same."""

    def finish(self) -> Extraction:
        """Write the store, from any thread.

        Raises:
            StoreError: rows are missing.
            TargetError: the disk is full or fails; the rows stay kept.
        """
        if self.writer is None or self.run is None:
            return self.report
        with self.writer as writer:
            merge_rank_journals(writer)
            run = replace(self.run, **ending(writer.worst_sum_error, self.command))
            writer.finish(run, self.grams)
        return replace(
            self.report,
            seconds=time.monotonic() - self.started,
            store_bytes=self.report.path.stat().st_size,
        )

    def close(self) -> None:
        """Leave the rows in their journal."""
        if self.writer is not None:
            self.writer.close()


class Finisher:
    """Finishes runs in the order in which they were computed; a context manager.

    What goes wrong is told where the next run is handed over, or at the end, on all workers.
    """

    def __init__(
        self, workers: Workers, goes_on: Callable[[CompreadError], bool] = lambda error: False
    ) -> None:
        """Get ready for runs of these workers.

        Args:
            workers: the processes that ran them.
            goes_on: told, on all workers, why a run could not be finished; where it gives False,
                that is raised.
        """
        self._workers, self._goes_on = workers, goes_on
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="finish")
        self._before: Future[None] | None = None

    def hand(self, run: ComputedRun, finished: Callable[[Extraction], None]) -> None:
        """Have a run finished, once the one before is.

        Args:
            run: what was computed.
            finished: called with what was done, on the first worker and from another thread.

        Raises:
            CompreadError: the one before could not be finished, and nothing goes on; this one's
                rows stay kept.
        """
        try:
            self.wait()
        except BaseException:
            run.close()
            raise
        if self._workers.is_first:
            self._before = self._pool.submit(lambda: finished(run.finish()))

    def wait(self) -> None:
        """Wait for the run that was handed over last.

        Raises:
            CompreadError: it could not be finished, and nothing goes on; its rows stay kept.
        """
        error: CompreadError | None = None
        before, self._before = self._before, None
        try:
            if before is not None:
                before.result()
        except CompreadError as problem:
            error = problem
        try:
            self._workers.all_right(error)
        except CompreadError as told:
            if not self._goes_on(told):
                raise

    def __enter__(self) -> Finisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.wait()
        finally:
            # Also after an error or Ctrl-C: a store that is being written is finished.
            self._pool.shutdown()

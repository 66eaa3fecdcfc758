"""The batches of one run, one after the other: run, checked, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from compread.array_types import Float32
from compread.errors import ModelError, SumError
from compread.extract.answer_rows import reads_of, whole_tokens
from compread.extract.engine import Engine
from compread.extract.groups import Group
from compread.extract.launch import HeadStart, HostCopy, launch, plan_group
from compread.extract.memory import too_large
from compread.extract.outcome import Progress
from compread.extract.workers import Workers
from compread.model.decompose import BatchParts
from compread.model.finite import finite_rows, why_not_finite
from compread.model.linear import device_of

RowNumbers = list[int]
Tokens = tuple[int, ...]


class Keeper(Protocol):
    """Where rows are kept: a store's writer, or memory."""

    @property
    def ids(self) -> Sequence[str]:
        """The names of all rows, in order."""

    def append(
        self,
        rows: RowNumbers,
        parts: Float32,
        full: Float32,
        sum_error: Float32,
        label_mass: Float32,
    ) -> None:
        """Keep a batch: [B, C, K], [B, K], [B] and [B]."""

    def discard(self) -> None:
        """Throw all rows away."""


@dataclass
class RowCounts:
    """What was run by now."""

    rows: int = 0
    reads: int = 0
    """Positions whose logits were computed."""
    tokens_run: int = 0
    """Shared prefixes once each, and each row's own tokens."""
    tokens_whole: int = 0
    """What whole prompts would have taken."""
    worst_error: float = 0.0
    """Largest sum error as a share of the logits' scale."""
    halved: int | None = None
    """Tokens of a batch after the device's memory did not suffice."""


class Runner:
    """Runs what is not kept yet of one prompt set."""

    def __init__(
        self,
        engine: Engine,
        ids: Sequence[Sequence[int]],
        writer: Keeper,
        sum_check: Callable[[BatchParts, Sequence[str]], float],
        workers: Workers,
        *,
        row_wise: bool = False,
        head: HeadStart | None = None,
    ) -> None:
        """Get ready.

        Args:
            engine: the model.
            ids: the tokens of each prompt.
            writer: where rows are kept.
            sum_check: gives the worst error of a batch, or raises ``SumError``.
            workers: the processes that share the batches.
            row_wise: run each row alone.
            head: batches of the first group, where some are launched already.
        """
        self.engine, self.ids, self.writer, self.workers = engine, ids, writer, workers
        self.counts = RowCounts()
        self._sum_check = sum_check
        self._names = writer.ids
        self._others = 0  # rows of other workers' batches that stand before this one's next
        self._limit: int | None = None
        self._row_wise, self._head = row_wise, head
        # A GPU computes while the batch before it is copied, checked and written.
        self._overlaps = device_of(engine.model).type == "cuda"

    def run(
        self,
        groups: Sequence[Group],
        budget: int,
        done: npt.NDArray[np.bool_],
        progress: Progress,
    ) -> RowCounts:
        """Run the batches of this worker that hold a row which is not ``done``.

        Raises:
            SumError: a row's parts do not add up; this worker's rows are thrown away.
            ModelError: a row's numbers are not finite; the others, kept before it, stay.
            ResumableError: a single row does not fit into the device's memory.
        """
        kept_before = int(done.sum())

        def tell(round: int = 0) -> None:
            """After so many rows of a batch: those who come behind have batches of its size."""
            behind = (self.workers.size - 1 - self.workers.rank) * round
            kept = min(len(self.ids), kept_before + self.counts.rows + self._others + behind)
            progress(kept, len(self.ids), self.counts.tokens_run * self.workers.size)

        tell()
        waiting: tuple[RowNumbers, HostCopy] | None = None
        try:
            for prefix, rows in self._batches(groups, budget, done):
                begun = self.counts.rows
                for piece, parts in self._fitting(prefix, rows):
                    if waiting is not None:
                        ready, waiting = waiting, (piece, parts)
                        self._keep(*ready)
                    elif self._overlaps:
                        waiting = piece, parts
                    else:
                        self._keep(piece, parts)
                    tell(self.counts.rows - begun)
        except SumError:
            raise
        except BaseException:
            if waiting is not None:
                self._keep(*waiting)
            raise
        if waiting is not None:
            self._keep(*waiting)
        if waiting is not None or self._others:
            tell()
        return self.counts

    def _batches(
        self, groups: Sequence[Group], budget: int, done: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[Tokens, RowNumbers]]:
        """This worker's share of the batches, each behind its group's prefix, group by group."""
        number = 0
        for group in groups:
            if done[list(group.rows)].all():
                continue
            batches = (self._head.plan(group) if self._head else []) or plan_group(
                self.engine, self.ids, group, budget, row_wise=self._row_wise
            )
            self.counts.tokens_run += len(group.prefix)
            for batch in batches:
                rows = [row for row in batch if not done[row]]
                if rows and self.workers.mine(number):
                    yield group.prefix, rows
                elif rows:
                    self._others += len(rows)
                number += bool(rows)

    def _fitting(self, prefix: Tokens, rows: RowNumbers) -> Iterator[tuple[RowNumbers, HostCopy]]:
        """A batch in one piece, or in as many as the device's memory asks for."""
        start = len(prefix)
        pieces = [rows]
        while pieces:
            piece = pieces.pop()
            own = [self.ids[row][start:] for row in piece]
            size = len(piece) * max(map(len, own))
            if self._limit is None or size <= self._limit or len(piece) == 1:
                parts = self._head.take(prefix, piece) if self._head else None
                parts = parts or launch(self.engine, own, prefix)
                if parts is not None:
                    self._count(piece, own)
                    yield piece, parts
                    continue
                if len(piece) == 1:
                    raise too_large(f"a row of {start + len(own[0])} tokens")
                self._limit = self.counts.halved = size // 2
            middle = (len(piece) + 1) // 2
            pieces += [piece[middle:], piece[:middle]]

    def _count(self, rows: RowNumbers, own: Sequence[Sequence[int]]) -> None:
        self.counts.rows += len(rows)
        self.counts.tokens_run += sum(map(len, own))
        self.counts.tokens_whole += sum(whole_tokens(self.ids[row]) for row in rows)
        self.counts.reads += sum(map(reads_of, own))

    def _keep(self, rows: RowNumbers, copy: HostCopy) -> None:
        parts = copy.wait()
        good = finite_rows(parts)
        if bool(good.all()):
            self._check_and_append(rows, parts)
            return
        if bool(good.any()):
            kept = [row for row, fine in zip(rows, good.tolist(), strict=True) if fine]
            self._check_and_append(kept, parts.rows(good))
        row = rows[int((~good).to(torch.uint8).argmax())]
        why = why_not_finite(self.engine.model, self.ids[row])
        raise ModelError(f"row {self._names[row]!r}: {why}; the finished rows are kept")

    def _check_and_append(self, rows: RowNumbers, parts: BatchParts) -> None:
        try:
            worst = self._sum_check(parts, [self._names[row] for row in rows])
        except SumError:
            self.writer.discard()
            raise
        self.counts.worst_error = max(self.counts.worst_error, worst)
        numbers = (parts.parts, parts.full, parts.sum_error, parts.label_mass)
        self.writer.append(rows, *map(_array, numbers))


def _array(values: Tensor) -> npt.NDArray[np.float32]:
    return values.to(torch.float32).numpy()

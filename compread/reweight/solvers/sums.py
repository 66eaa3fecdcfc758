"""Weighted sums of features, and which way they go down, whatever the features' size.

    score[y] = Σ_j w_j · feature[j, y]

Training asks for two things over and over: the scores at some weights, and the mean cross-entropy
there with its gradient by the weights. Small features are held as they are, runs of one shape side
by side; large ones are gone through in blocks of rows, so that memory is read once for both; label
probabilities on a diagonal are never spread out.

Axis letters as in ``compread.components``, and J features, R runs side by side.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.array_types import Bools, Float32, Floats, Ints
from compread.reweight.blocks import blocks
from compread.reweight.probability import row_cross_entropy, softmax_and_normalizer
from compread.reweight.threads import in_threads, shares
from compread.store.layout import spans

CACHE_BYTES = 2**21
"""Runs are fitted side by side as long as their features fit in a core's cache; beyond that, one
after the other is faster, since every epoch reads all features."""
BLOCK_BYTES = 4 * CACHE_BYTES
"""Of larger features gone through at a time: fewer calls than with what one core's cache holds,
and the cache that cores share holds it."""
ROWS_BYTES = 2**17
"""Of label probabilities gone through at a time: with what is made of them, half a core's cache."""
AFRESH = 20
"""Descents after which scores that were followed are made anew in double precision."""
ABSENT = -1e30
"""The score of an answer that a row does not have: no probability, and no slope."""


class Sums(ABC):
    """The features of R runs of one shape; NaN for answers that a row does not have."""

    columns: int
    """J."""
    labels: int
    """K."""

    @abstractmethod
    def scores(self, weights: Floats) -> Floats:
        """[R, N, K] the sums at weights [R, J]."""

    @abstractmethod
    def descent(
        self, weights: Floats, gold: Ints, going: Bools | None = None
    ) -> tuple[Floats, Floats]:
        """The mean cross-entropy [R] at weights, and its gradient [R, J].

        Args:
            weights: [R, J].
            gold: [R, N] column of the right label.
            going: [R] the runs that are asked for, by default all; what comes back for the others
                means nothing.
        """


@dataclass(frozen=True)
class SideBySide(Sums):
    """Features that fit in the cache."""

    flat: Floats
    """[R, N·K, J]."""
    columns: int
    labels: int
    absent: Floats | None = None
    """[R, N, K] ``ABSENT`` or 0; None where each row has all."""

    @classmethod
    def of(cls, features: Sequence[Floats]) -> SideBySide:
        """From runs of [N, J, K] each."""
        swapped = np.ascontiguousarray(np.stack(features).swapaxes(2, 3))
        runs, rows, labels, columns = swapped.shape
        swapped, absent = _without_absent(swapped)
        return cls(swapped.reshape(runs, rows * labels, columns), columns, labels, absent)

    def scores(self, weights: Floats) -> Floats:
        """One product."""
        product: Floats = self.flat @ weights[..., None]
        scores = product.reshape(len(self.flat), -1, self.labels)
        return scores if self.absent is None else scores + self.absent

    def descent(
        self, weights: Floats, gold: Ints, going: Bools | None = None
    ) -> tuple[Floats, Floats]:
        """A second product, with the slopes."""
        scores = self.scores(weights)
        loss, slope = row_cross_entropy(scores, gold)
        slope /= gold.shape[1]
        gradient: Floats = (slope.reshape(len(slope), 1, -1) @ self.flat)[:, 0]
        return loss.mean(axis=-1), gradient


class _Scratch(threading.local):
    """A thread's memory for a block: a new one each time costs more than to fill it."""

    room: Floats = np.empty(0)

    def double(self, values: npt.NDArray[Any]) -> Floats:
        """Values in double precision, overwritten by the thread's next ones."""
        if values.dtype == np.float64:
            return values
        if self.room.size < values.size:
            self.room = np.empty(values.size)
        held = self.room[: values.size].reshape(values.shape)
        np.copyto(held, values)
        return held


_scratch = _Scratch()


@dataclass
class Point:
    """Weights of R runs, and what they make of the rows."""

    weights: Floats
    """[R, J]."""
    scores: Floats
    """[R, N, K]."""
    likely: Floats
    """[R, N, K] the probability of each label."""
    normalizer: Floats
    """[R, N] log Σ exp score."""
    gradient: Floats
    """[R, J] of the rows' cross-entropy by the weights, summed, with features as they are held."""


@dataclass(frozen=True)
class InBlocks(Sums):
    """Features larger than the cache, which all R runs share but for a level of their own.

    A run's features are those in memory less its level, whatever the row. A sum of them is the sum
    of those in memory less that of the level, so no run needs a copy. Features of single precision
    stay so in memory, and are double precision wherever they are multiplied.
    """

    features: Floats | Float32
    """[N, K, J]."""
    levels: Floats
    """[R, K, J]."""
    columns: int
    labels: int
    absent: Floats | None = None
    """[N, K] ``ABSENT`` or 0; None where each row has all."""

    @classmethod
    def of(cls, features: Floats | Float32, levels: Sequence[Floats | float] = (0.0,)) -> InBlocks:
        """From [N, J, K], and the level of each run, [J, K] or one number.

        There is no copy where a label's features lie side by side in memory.
        """
        _, columns, labels = features.shape
        shared: npt.NDArray[Any] = np.ascontiguousarray(features.swapaxes(1, 2))
        own = np.stack([np.broadcast_to(level, (columns, labels)).T for level in levels])
        shared, absent = _without_absent(shared)
        return cls(shared, own, columns, labels, absent)

    def scores(self, weights: Floats) -> Floats:
        """One product for each run and block."""
        scores = np.empty((len(weights), *self.features.shape[:2]))
        for span in blocks(self.features, BLOCK_BYTES):
            flat = self._flat(span)
            for r, own in enumerate(weights):
                np.dot(flat, own, out=scores[r, span].reshape(-1))
        scores -= self._level(weights)
        return scores if self.absent is None else scores + self.absent

    def descent(
        self, weights: Floats, gold: Ints, going: Bools | None = None
    ) -> tuple[Floats, Floats]:
        """Both products of each run with a block while it is in the cache, by several threads."""
        point = self.certain(gold)
        self.move(point, weights, going)
        return self.found(point, gold)

    def certain(self, gold: Ints) -> Point:
        """Weights of 0, and each right label for sure, where no weight has a slope."""
        likely = np.eye(self.labels)[gold]
        scores = np.zeros_like(likely)
        if self.absent is not None:
            scores += self.absent
        weights = np.zeros((len(gold), self.columns))
        return Point(weights, scores, likely, np.zeros(gold.shape), np.zeros_like(weights))

    def move(
        self, point: Point, weights: Floats, going: Bools | None = None, single: bool = False
    ) -> None:
        """Take a point to other weights, by the products of what is different there.

        Args:
            point: where to start; it is changed.
            weights: [R, J].
            going: [R], as for ``descent``.
            single: whether features are multiplied as they are held, not in double precision.
        """
        moved, point.weights = weights - point.weights, weights.copy()
        level = self._level(moved)
        runs = slice(None) if going is None or going.all() else np.flatnonzero(going)
        # One product for all runs: each time that one ends, threads wait for the interpreter.
        steps = (moved.astype(np.float32) if single else moved)[runs, :, None]

        def go_through(share: slice) -> Floats:
            gradient = np.zeros_like(weights)
            for span in blocks(self.features, BLOCK_BYTES, share):
                flat, here = self._flat(span, single), point.scores[:, span]
                before = point.likely[:, span]
                change = np.zeros((len(weights), len(flat)), flat.dtype)
                change[runs] = np.matmul(flat, steps)[..., 0]
                here += change.reshape(here.shape)
                here -= level
                likely, point.normalizer[:, span] = softmax_and_normalizer(here)
                np.subtract(likely, before, out=change.reshape(here.shape), casting="same_kind")
                before[:] = likely
                gradient[runs] += np.matmul(change[runs, None], flat)[:, 0]
            return gradient

        point.gradient += sum(in_threads(go_through, shares(len(self.features))))

    def found(self, point: Point, gold: Ints) -> tuple[Floats, Floats]:
        """What ``descent`` gives, at a point."""
        right = np.stack([np.bincount(own, minlength=self.labels) for own in gold])
        slopes = point.likely.sum(axis=1) - right
        gradient = point.gradient - np.matmul(slopes[:, None], self.levels)[:, 0]
        loss = point.normalizer - np.take_along_axis(point.scores, gold[..., None], -1)[..., 0]
        return loss.mean(axis=-1), gradient / gold.shape[1]

    def _flat(self, span: slice, single: bool = False) -> npt.NDArray[Any]:
        """[n·K, J] the features of n rows, until the thread asks for others."""
        flat = self.features[span].reshape(-1, self.columns)
        return flat if single else _scratch.double(flat)

    def _level(self, weights: Floats) -> Floats:
        """[R, 1, K] the sums of the levels."""
        level: Floats = np.matmul(self.levels, weights[..., None]).swapaxes(1, 2)
        return level


class Followed(Sums):
    """Features of single precision, at weights that move a little from one descent to the next.

    Only what is different is multiplied, as it is held in memory, and added in double precision to
    what was there. So what single precision rounds off is some millionth of what has moved since
    all was multiplied in double precision, ``AFRESH`` descents ago at most.
    """

    def __init__(self, sums: InBlocks) -> None:
        """At no weights yet."""
        self.sums, self.columns, self.labels = sums, sums.columns, sums.labels
        self._point: Point | None = None
        self._steps = 0

    def scores(self, weights: Floats) -> Floats:
        """All in double precision."""
        return self.sums.scores(weights)

    def descent(
        self, weights: Floats, gold: Ints, going: Bools | None = None
    ) -> tuple[Floats, Floats]:
        """From where the descent before was, of the same rows."""
        if self._point is None or self._steps % AFRESH == 0:
            self._point = self.sums.certain(gold)
            self.sums.move(self._point, weights, going)
        else:
            self.sums.move(self._point, weights, going, single=True)
        self._steps += 1
        return self.sums.found(self._point, gold)


@dataclass(frozen=True)
class Diagonal(Sums):
    """A feature for each label, which is nothing to the others: J is K."""

    diagonal: Floats
    """[R, N, K]."""
    columns: int
    labels: int

    @classmethod
    def of(cls, features: Sequence[Floats]) -> Diagonal:
        """From runs of [N, K] each."""
        labels = features[0].shape[1]
        return cls(np.stack(features), labels, labels)

    def scores(self, weights: Floats) -> Floats:
        """Each label's feature times its weight."""
        return weights[:, None] * self.diagonal

    def descent(
        self, weights: Floats, gold: Ints, going: Bools | None = None
    ) -> tuple[Floats, Floats]:
        """Each label's slopes times its feature, some rows at a time."""
        runs, rows, labels = self.diagonal.shape
        loss = np.empty((runs, rows))
        gradient = np.zeros_like(weights)
        for span in spans(rows, max(1, ROWS_BYTES // (8 * runs * labels))):
            features = self.diagonal[:, span]
            loss[:, span], slope = row_cross_entropy(weights[:, None] * features, gold[:, span])
            gradient += np.einsum("rnk,rnk->rk", slope, features)
        return loss.mean(axis=-1), gradient / rows


def sums_of(features: Sequence[Floats]) -> Sums:
    """The sums of runs of one shape [N, J, K]."""
    if len(features) == 1 and features[0].nbytes > CACHE_BYTES:
        return InBlocks.of(features[0])
    return SideBySide.of(features)


def _without_absent(
    features: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], Floats | None]:
    """Features [.., K, J] with 0 for answers that a row does not have, and where those are."""
    absent = np.asarray(np.isnan(features[..., :1]).any(axis=-1))
    if not absent.any():
        return features, None
    return np.where(absent[..., None], 0.0, features), np.where(absent, ABSENT, 0.0)

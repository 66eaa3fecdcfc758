"""Weighted sums of features, and which way they go down, whatever the features' size.

    score[y] = Σ_j w_j · feature[j, y]

Training asks for two things over and over: the scores at some weights, and the mean cross-entropy
there with its gradient by the weights. Small features are held as they are, runs of one shape side
by side; large ones are gone through in blocks of rows, so that memory is read once for both; label
probabilities on a diagonal are never spread out.

Axis letters as in ``compread.components``, and J features, R runs side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.reweight.rows import blocks

Float64 = npt.NDArray[np.float64]

CACHE_BYTES = 2**21
"""Runs are fitted side by side as long as their features fit in a core's cache; beyond that, one
after the other is faster, since every epoch reads all features."""


class Sums(ABC):
    """The features of R runs of one shape."""

    columns: int
    """J."""
    labels: int
    """K."""

    @abstractmethod
    def scores(self, weights: Float64) -> Float64:
        """[R, N, K] the sums at weights [R, J]."""

    @abstractmethod
    def descent(self, weights: Float64, right: Float64) -> tuple[Float64, Float64, Float64]:
        """The scores [R, N, K] at weights, the mean cross-entropy [R] and its gradient [R, J].

        Args:
            weights: [R, J].
            right: [R, N, K] 1 at the right label.
        """


@dataclass(frozen=True)
class SideBySide(Sums):
    """Features that fit in the cache."""

    flat: Float64
    """[R, N·K, J]."""
    columns: int
    labels: int

    @classmethod
    def of(cls, features: Sequence[Float64]) -> SideBySide:
        """From runs of [N, J, K] each."""
        swapped = np.ascontiguousarray(np.stack(features).swapaxes(2, 3))
        runs, rows, labels, columns = swapped.shape
        return cls(swapped.reshape(runs, rows * labels, columns), columns, labels)

    def scores(self, weights: Float64) -> Float64:
        """One product."""
        product: Float64 = self.flat @ weights[..., None]
        return product.reshape(len(self.flat), -1, self.labels)

    def descent(self, weights: Float64, right: Float64) -> tuple[Float64, Float64, Float64]:
        """A second product, with the slopes."""
        scores = self.scores(weights)
        loss, slope = cross_entropy(scores, right)
        slope /= right.shape[1]
        gradient: Float64 = (slope.reshape(len(slope), 1, -1) @ self.flat)[:, 0]
        return scores, loss.mean(axis=-1), gradient


@dataclass(frozen=True)
class InBlocks(Sums):
    """The features of one run, larger than the cache: R is 1."""

    features: Float64
    """[N, K, J]."""
    columns: int
    labels: int

    @classmethod
    def of(cls, features: Float64) -> InBlocks:
        """From [N, J, K]; no copy where a label's features lie side by side in memory."""
        _, columns, labels = features.shape
        return cls(np.ascontiguousarray(features.swapaxes(1, 2)), columns, labels)

    def scores(self, weights: Float64) -> Float64:
        """One product."""
        product: Float64 = self.features.reshape(-1, self.columns) @ weights[0]
        return product.reshape(1, -1, self.labels)

    def descent(self, weights: Float64, right: Float64) -> tuple[Float64, Float64, Float64]:
        """Both products with a block while it is in the cache."""
        scores, loss = np.empty_like(right), np.empty(right.shape[:2])
        gradient = np.zeros_like(weights)
        for span in blocks(self.features, CACHE_BYTES):
            flat = self.features[span].reshape(-1, self.columns)
            scores[:, span] = (flat @ weights[0]).reshape(1, -1, self.labels)
            loss[:, span], slope = cross_entropy(scores[:, span], right[:, span])
            slope /= right.shape[1]
            gradient[0] += slope.reshape(-1) @ flat
        return scores, loss.mean(axis=-1), gradient


@dataclass(frozen=True)
class Diagonal(Sums):
    """A feature for each label, which is nothing to the others: J is K."""

    diagonal: Float64
    """[R, N, K]."""
    columns: int
    labels: int

    @classmethod
    def of(cls, features: Sequence[Float64]) -> Diagonal:
        """From runs of [N, K] each."""
        labels = features[0].shape[1]
        return cls(np.stack(features), labels, labels)

    def scores(self, weights: Float64) -> Float64:
        """Each label's feature times its weight."""
        return weights[:, None] * self.diagonal

    def descent(self, weights: Float64, right: Float64) -> tuple[Float64, Float64, Float64]:
        """Each label's slopes times its feature."""
        scores = self.scores(weights)
        loss, slope = cross_entropy(scores, right)
        slope *= self.diagonal
        return scores, loss.mean(axis=-1), slope.sum(axis=1) / right.shape[1]


def sums_of(features: Sequence[Float64]) -> Sums:
    """The sums of runs of one shape [N, J, K]."""
    if len(features) == 1 and features[0].nbytes > CACHE_BYTES:
        return InBlocks.of(features[0])
    return SideBySide.of(features)


def cross_entropy(scores: Float64, right: Float64) -> tuple[Float64, Float64]:
    """The cross-entropy of each row [..., N] and its gradient by the scores [..., N, K]."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    slope = np.exp(shifted)
    total = slope.sum(axis=-1, keepdims=True)
    loss: Float64 = np.log(total)[..., 0] - (shifted * right).sum(axis=-1)
    slope /= total
    slope -= right
    return loss, slope

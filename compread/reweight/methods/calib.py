"""Calib+: one factor for each label on the model's label probabilities.

p' = softmax(v ∘ p) with p the softmax over the model's label logits and v in R^K, trained from ones
on the cross-entropy of p' (paper section 5.2). p' is a softmax of probabilities, so its slopes are
flat and v moves slowly; the decision is argmax v_y p_y. Trained as in the released code, which
looks at the accuracy before a step and takes up to 5000 steps, without L1 and without clipping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from compread.array_types import Bools, Floats, Ints
from compread.reweight.cost import Size, Work
from compread.reweight.method import Fitted, Method
from compread.reweight.probability import softmax
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.descent import Recipe, descend_each
from compread.reweight.solvers.sums import Diagonal, Sums

TRAINER = Recipe(l1=0.0, clip=False, epochs=5000, check_after_step=False)
FOLLOWED_BYTES = 2**17
"""Of a run's probabilities from which training follows their exponentials."""
TERMS = 5
"""Of the series that they are followed by."""
REACH = 5e-3
"""How far a score may move on the series, which leaves out REACH⁵ / 5!, a share of 3e-14."""


@dataclass(frozen=True)
class LabelFactors(Fitted):
    """A factor for each label's probability."""

    factors: Floats
    """[K] v."""

    axes: ClassVar[Mapping[str, str]] = {"factors": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] v ∘ p."""
        return self.factors * softmax(rows.full)


@dataclass(frozen=True)
class CalibPlus(Method):
    """Calib+ as in the released code."""

    name: ClassVar[str] = "calib+"
    about: ClassVar[str] = "a factor for each label's probability"
    fitted: ClassVar[type[Fitted]] = LabelFactors

    def hyperparameters(self) -> dict[str, Any]:
        """The trainer's settings."""
        return asdict(TRAINER)

    def work(self, size: Size) -> Work:
        """The series' terms; an exponential and ten passes over the probabilities an epoch."""
        values = size.rows * size.labels
        return Work(8.0 * (TERMS + 2) * values, 60.0 * values * TRAINER.epochs)

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Fits v of each run."""
        p = [softmax(run.rows.full) for run in training]
        ends = descend_each(p, [run.gold for run in training], TRAINER, _sums_of)
        return tuple(LabelFactors(end.epochs, end.weights) for end in ends)


def _sums_of(p: Sequence[Floats]) -> Sums:
    """The sums of runs of one shape [N, K]."""
    sums = Diagonal.of(p)
    return FollowedDiagonal(sums) if p[0].nbytes > FOLLOWED_BYTES else sums


class FollowedDiagonal(Sums):
    """A feature for each label, at weights that move little from one descent to the next.

    Exponentials are taken at some weights v, and followed from there by their series,

        exp((v + d) p) = Σ_m exp(v p) p^m · d^m / m!

    so that what they sum to over the labels is a product of a matrix that is kept with the powers
    of d, and their gradient another.
    """

    def __init__(self, sums: Diagonal) -> None:
        """At no weights yet."""
        self.sums, self.columns, self.labels = sums, sums.columns, sums.labels
        runs, rows, labels = sums.diagonal.shape
        self._largest = np.abs(sums.diagonal).max(axis=(1, 2))
        self._start = np.full((runs, labels), np.nan)
        self._highest, self._own = np.empty((2, runs, rows))
        self._right = np.empty((runs, labels))
        # exp(v p - highest) p^m of all labels, for one m after the other.
        self._terms = np.empty((runs, rows, (TERMS + 1) * labels))

    def scores(self, weights: Floats) -> Floats:
        """Each label's feature times its weight."""
        return self.sums.scores(weights)

    def descent(
        self, weights: Floats, gold: Ints, going: Bools | None = None
    ) -> tuple[Floats, Floats]:
        """From where the exponentials were taken, of the same rows, or from here if that is far."""
        near = np.abs(weights - self._start).max(axis=1) * self._largest <= REACH
        for run in np.flatnonzero(~near).tolist():
            self._take(run, weights[run], gold[run])
        steps = weights - self._start
        powers = np.ones((len(steps), TERMS, self.labels))  # d^m / m!
        np.cumprod(steps[:, None] / np.arange(1, TERMS)[:, None], axis=1, out=powers[:, 1:])
        total = np.matmul(self._terms[..., : -self.labels], powers.reshape(len(steps), -1, 1))
        slopes = np.matmul(1 / total.swapaxes(1, 2), self._terms[..., self.labels :])
        gradient = (slopes.reshape(powers.shape) * powers).sum(axis=1) - self._right
        own = np.take_along_axis(weights, gold, axis=1) * self._own
        loss = np.log(total[..., 0]) + self._highest - own
        return loss.mean(axis=1), gradient / gold.shape[1]

    def _take(self, run: int, weights: Floats, gold: Ints) -> None:
        """Take the exponentials of a run at weights [K]."""
        features, right = self.sums.diagonal[run], np.eye(self.labels)[gold]
        scores = weights * features
        highest = scores.max(axis=1, keepdims=True)
        terms = self._terms[run].reshape(len(gold), -1, self.labels)
        np.exp(scores - highest, out=terms[:, 0])
        for m in range(TERMS):
            np.multiply(terms[:, m], features, out=terms[:, m + 1])
        self._start[run], self._highest[run] = weights, highest[:, 0]
        self._own[run], self._right[run] = (right * features).sum(1), (right * features).sum(0)

"""How well each component labels the rows on its own.

A component predicts the label with its largest contribution, argmax_y g[j, y], with no bias, no
softmax and no prior correction (paper section 2.2). Ties go to the first label, as in the paper's
code, and how many rows are tied is reported. The full model is scored in the same way on the
logits it returned itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.errors import StoreError
from compread.store.schema import Float32, Split

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Z95 = 1.959963984540054
"""The standard normal's 97.5 % quantile."""
CHUNK = 2**21
"""Logits worked on at a time; keeps the temporaries to some tens of megabytes."""


@dataclass(frozen=True, eq=False)
class Scores:
    """How C scorers label the rows."""

    n: int
    """Rows scored, summed over the stores where these are averages."""
    accuracy: Floats
    """[C] share of rows whose largest logit is the right label's."""
    accuracy_low: Floats
    """[C] lower end of the 95 % interval of the accuracy."""
    accuracy_high: Floats
    """[C] upper end of it."""
    accuracy_sd: Floats
    """[C] standard deviation over stores (population form, as in the paper); NaN for one store."""
    predicted: Floats
    """[C, K] share of rows on which each label is predicted; a row sums to 1."""
    margin: Floats
    """[C] mean over rows of the right label's logit minus the best other label's, in logits."""
    label_biased: Bools
    """[C] whether one label is predicted on every row (paper section 3.2)."""
    tied: Floats
    """[C] share of rows whose two largest logits are equal."""


@dataclass(frozen=True, eq=False)
class ComponentStats:
    """The scores of every component of the axis, and of the full model beside them."""

    parts: Scores
    """Arrays of length C."""
    full: Scores
    """Arrays of length 1."""
    gold_share: Floats
    """[K] share of rows whose right label is each label."""


def component_stats(split: Split) -> ComponentStats:
    """Score every component and the full model on the rows of one split.

    Raises:
        StoreError: the split has no rows, or a logit is not a finite number.
    """
    return collect_stats([(slice(None), split.parts)], split.full, split.gold)


def collect_stats(
    pieces: Iterable[tuple[slice, Float32]], full: Float32, gold: Ints
) -> ComponentStats:
    """``component_stats`` of parts that come in pieces, so that a large split is never in memory.

    Args:
        pieces: which rows, and their parts [rows, C, K]; together all N rows.
        full: [N, K] the full model's logits.
        gold: [N] the right columns.

    Raises:
        StoreError: there are no rows, or a logit is not a finite number.
    """
    if not len(gold):
        raise StoreError("without rows there are no accuracies; choose a split that has rows")
    parts, whole = ScoreSums(), ScoreSums()
    for rows, logits in pieces:
        parts.add(logits, gold[rows])
    whole.add(full[:, None, :], gold)
    share = np.bincount(gold, minlength=full.shape[1]) / len(gold)
    return ComponentStats(parts.scores(), whole.scores(), share)


class ScoreSums:
    """Sums over rows from which ``Scores`` follow; rows may come in any number of pieces."""

    def __init__(self) -> None:
        self.n = 0
        self._right: Ints = np.zeros(1, np.int64)  # (C)
        self._tied: Ints = np.zeros(1, np.int64)  # (C)
        self._margin: Floats = np.zeros(1)  # (C)
        self._predicted: Ints = np.zeros((1, 1), np.int64)  # (K, C)

    def add(self, logits: Float32, gold: Ints) -> None:
        """Take in rows: logits [N, C, K] and the right columns [N].

        Raises:
            StoreError: a logit is not a finite number.
        """
        n, c, k = logits.shape
        step = max(1, CHUNK // max(1, c * k))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            self._add_chunk(logits[rows], gold[rows])

    def _add_chunk(self, logits: Float32, gold: Ints) -> None:
        x = np.ascontiguousarray(np.moveaxis(logits, 2, 0))  # (K, N, C)
        if not np.isfinite(x).all():
            raise StoreError("a logit is NaN or infinite, wanted finite numbers: extract it again")
        choice, best, second = _top_two(x)  # (N, C) each
        hit = choice == gold[:, None]
        of_gold = x[gold, np.arange(len(gold))]  # (N, C)
        margin = np.where(hit, best - second, of_gold - best)
        self.n += len(gold)
        self._right = self._right + hit.sum(axis=0)
        self._tied = self._tied + (best == second).sum(axis=0)
        self._margin = self._margin + margin.sum(axis=0, dtype=np.float64)
        counts = [(choice == label).sum(axis=0) for label in range(len(x))]
        self._predicted = self._predicted + np.stack(counts)

    def scores(self) -> Scores:
        """The scores over all rows taken in."""
        low, high = wilson_interval(self._right, self.n)
        return Scores(
            n=self.n,
            accuracy=self._right / self.n,
            accuracy_low=low,
            accuracy_high=high,
            accuracy_sd=np.full(len(self._right), np.nan),
            predicted=self._predicted.T / self.n,
            margin=self._margin / self.n,
            label_biased=(self._predicted == self.n).any(axis=0),
            tied=self._tied / self.n,
        )


def wilson_interval(right: Ints, n: int) -> tuple[Floats, Floats]:
    """Wilson's 95 % score interval for ``right`` successes in ``n`` trials.

    Unlike the textbook interval p ± z·sd it stays inside [0, 1] and has its nominal coverage for
    accuracies near 0 and 1 (Wilson 1927). ``wilson_interval(np.array([5]), 10)`` is
    ``([0.2366], [0.7634])``, rounded.
    """
    p = right / n
    z2 = Z95**2 / n
    centre = (p + z2 / 2) / (1 + z2)
    half = Z95 / (1 + z2) * np.sqrt((p * (1 - p) + z2 / 4) / n)
    # At 0 and n successes the ends are 0 and 1 exactly, but for rounding.
    low = np.where(right == 0, 0.0, centre - half)
    high = np.where(right == n, 1.0, centre + half)
    return low, high


def _top_two(x: Float32) -> tuple[npt.NDArray[np.int16], Float32, Float32]:
    """The first column with the largest logit, that logit, and the next: x [K, N, C] to [N, C]."""
    best = x[0]
    second = np.full_like(best, -np.inf)
    choice = np.zeros(best.shape, np.int16)
    for label in range(1, len(x)):
        # Strictly higher, so that among equal logits the first label keeps the row.
        higher = x[label] > best
        second = np.where(higher, best, np.maximum(second, x[label]))
        choice[higher] = label
        best = np.maximum(best, x[label])
    return choice, best, second

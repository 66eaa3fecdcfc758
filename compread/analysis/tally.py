"""Counts and sums over rows, from which every statistic of a component follows.

Rows come in any number of pieces, so that a store of any size takes the memory of one piece. What
is counted of the predictions is one product for each label y,

    design[y] [M, n] · (prediction is y) [n, C]  →  [M, C]

whose M rows are the right labels, halves of the rows, and right labels in a shuffled order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.analysis.calibration import BINS, width_bin
from compread.analysis.choices import Choices
from compread.analysis.lengths import LengthPicks
from compread.array_types import Bools, Float32, Floats, Ints
from compread.errors import StoreError

CHUNK = 2**20
"""Logits worked on at a time; keeps the temporaries to some tens of megabytes."""

ALONE, SHARED = 2**18, 2**26
"""Multiplications that OpenBLAS does in one thread, and from which on several are worth it."""


@dataclass(frozen=True, eq=False)
class Resampling:
    """Other ways to score the same N rows."""

    halves: Bools
    """[R, N] which rows are the first half, in R random splits that balance the right labels."""
    shuffled: npt.NDArray[np.int16]
    """[P, N] the right labels in P random orders: the null, under which no component knows them."""

    @classmethod
    def draw(
        cls, gold: Ints, splits: int, shuffles: int, seed: int = 0, counts: Ints | None = None
    ) -> Resampling:
        """Random splits and shuffles of right labels ``gold`` [N].

        Where rows choose from different numbers of answers, ``counts`` [N], labels are shuffled
        among rows of one number.
        """
        rng = np.random.default_rng(seed)
        # In an order by label, random within it, every other row makes a half of half of each.
        order = np.argsort(gold + rng.random((splits, len(gold))), axis=1)
        halves = np.zeros((splits, len(gold)), bool)
        np.put_along_axis(halves, order[:, ::2], True, axis=1)
        copies = np.tile(gold.astype(np.int16), (shuffles, 1))
        if counts is None:
            return cls(halves, rng.permuted(copies, axis=1))
        for count in np.unique(counts):
            copies[:, counts == count] = rng.permuted(copies[:, counts == count], axis=1)
        return cls(halves, copies)

    @classmethod
    def none(cls, gold: Ints) -> Resampling:
        """No split and no shuffle."""
        return cls(np.zeros((0, len(gold)), bool), np.zeros((0, len(gold)), np.int16))


class Tally:
    """Sums over the rows taken in, for C scorers of K labels.

    Attributes:
        n: rows.
        confusion: [C, K, K] rows by predicted label and right label.
        strata: the same, apart by how many answers a row chooses from.
        first_half: [R, C] right predictions on the first half of each split.
        shuffled_right: [P, C] right predictions by each shuffle of the labels.
        agreed: [C] rows on which the prediction is the full model's.
        tied: [C] rows whose two largest logits are equal.
        lengths: how often the longest and the shortest answer is picked; None where rows have no
            answers of their own.
        direct: [C] sum of the right label's logit minus the mean of the others'.
        gaps: [C, bins] rows that are right less the sum of the predicted label's probability, by
            bins of that probability (``compread.analysis.calibration``).
    """

    def __init__(self, c: int, k: int, resampling: Resampling, tokens: Ints | None = None) -> None:
        """For C scorers of K labels; ``tokens`` [N, K] of the answers of a row's own."""
        self.n = 0
        self.lengths = None if tokens is None else LengthPicks.none(tokens, c)
        self._resampling = resampling
        splits, shuffles = len(resampling.halves), len(resampling.shuffled)
        self.confusion = np.zeros((c, k, k), np.int64)
        self.strata: dict[int, Ints] = {}
        self.first_half = np.zeros((splits, c))
        self.shuffled_right = np.zeros((shuffles, c))
        self.agreed = np.zeros(c, np.int64)
        self.tied = np.zeros(c, np.int64)
        self.direct = np.zeros(c)
        self.gaps = np.zeros((c, BINS))
        self._choices: list[Choices] = []
        self._margin = np.zeros((2, c))  # sums of margin - shift, and of its square
        self._shift: Float32 | None = None

    def add(self, logits: Float32, gold: Ints, full_choice: Ints, rows: slice) -> None:
        """Take in rows: logits [n, C, K], right and full-model columns [n], and which rows of N.

        Raises:
            StoreError: a logit is not a finite number.
        """
        n, c, k = logits.shape
        step = max(1, CHUNK // max(1, c * k))
        for start in range(0, n, step):
            of = slice(start, min(start + step, n))
            whole = slice(rows.start + of.start, rows.start + of.stop)
            self._add_chunk(logits[of], gold[of], full_choice[of], whole)

    @property
    def right(self) -> Ints:
        """[C] rows on which the right label is predicted."""
        return np.asarray(np.einsum("ckk->c", self.confusion))

    @property
    def hits(self) -> Ints:
        """[C, K] rows of each label on which it is predicted."""
        return np.asarray(np.einsum("ckk->ck", self.confusion))

    @property
    def predicted(self) -> Floats:
        """[C, K] share of the rows on which each label is predicted."""
        return np.asarray(self.confusion.sum(axis=2) / self.n)

    @property
    def choices(self) -> Choices:
        """What each scorer predicts on each row."""
        return Choices.join(self._choices)

    def margin(self) -> tuple[Floats, Floats]:
        """[C] mean over the rows of the margin, and its standard deviation (population form)."""
        mean, square = self._margin / self.n
        shift = np.zeros(len(mean)) if self._shift is None else self._shift.astype(np.float64)
        return shift + mean, np.sqrt(np.maximum(0, square - mean**2))

    def _add_chunk(self, logits: Float32, gold: Ints, full_choice: Ints, rows: slice) -> None:
        x = np.ascontiguousarray(np.moveaxis(logits, 2, 0))  # (K, n, C)
        absent = np.isnan(x[:, :, 0])  # (K, n)
        counts = (~absent).sum(axis=0)  # (n)
        totals = _totals(x, absent, gold)
        if absent.any():
            x[absent] = -np.inf  # no largest one
        choice, best, second = top_two(x)  # (n, C) each
        hit = choice == gold[:, None]
        of_gold = np.take_along_axis(x, gold[None, :, None], axis=0)[0]  # (n, C)
        self._add_margin(np.where(hit, best - second, of_gold - best))
        self.direct += _direct(of_gold, totals, counts)
        self._add_gaps(x, best, hit)
        self.n += len(gold)
        self.tied += (best == second).sum(axis=0)
        self.agreed += (choice == full_choice[:, None]).sum(axis=0)
        self._choices.append(Choices.pack(choice, len(x)))
        if self.lengths is not None:
            self.lengths.add(choice.astype(np.int64), rows)
        for count in np.unique(counts).tolist():
            of = np.flatnonzero(counts == count)
            self._count(count, choice[of], gold[of], rows.start + of)

    def _add_margin(self, margin: Float32) -> None:
        if self._shift is None:
            # Squares of what is left keep the digits of a spread much smaller than the mean.
            self._shift = margin.mean(axis=0)
        left = margin - self._shift
        self._margin[0] += left.sum(axis=0, dtype=np.float64)
        self._margin[1] += np.square(left, dtype=np.float64).sum(axis=0)

    def _add_gaps(self, x: Float32, best: Float32, hit: Bools) -> None:
        confidence = 1 / np.exp(x - best).sum(axis=0)  # (n, C)
        bins = width_bin(confidence) + BINS * np.arange(len(self.gaps))
        away = (hit - confidence).ravel()
        sums = np.bincount(bins.ravel(), weights=away, minlength=self.gaps.size)
        self.gaps += sums.reshape(self.gaps.shape)

    def _count(self, answers: int, choice: npt.NDArray[np.int16], gold: Ints, rows: Ints) -> None:
        """Count rows that choose from so many answers."""
        k, splits = self.confusion.shape[1], len(self.first_half)
        stratum = self.strata.setdefault(answers, np.zeros_like(self.confusion))
        halves, shuffled = self._resampling.halves[:, rows], self._resampling.shuffled[:, rows]
        of_gold = np.arange(k)[:, None] == gold  # (K, n)
        for label in range(k):
            design = np.concatenate([of_gold, halves & of_gold[label], shuffled == label])
            # Counts of a chunk are far below 2²⁴, so that float32 keeps them exactly.
            counts = _product(design.astype(np.float32), (choice == label).astype(np.float32))
            found = np.rint(counts[:k].T).astype(np.int64)
            self.confusion[:, label] += found
            stratum[:, label] += found
            self.first_half += counts[k : k + splits]
            self.shuffled_right += counts[k + splits :]


def _totals(x: Float32, absent: Bools, gold: Ints) -> Floats:
    """The sum of each row's logits, x [K, n, C] with NaN where a row has no answer: [n, C].

    Raises:
        StoreError: another logit is NaN, or one is infinite.
    """
    present, misplaced = x, False
    if absent.any():
        if not np.isnan(x[absent]).all():
            raise StoreError("a logit stands where its row has no answer: extract it again")
        present = np.where(absent[:, :, None], np.float32(0), x)
        # Two answers or more, and the right one among them, stand before the absent ones.
        misplaced = bool(absent[:2].any() or (absent[:-1] & ~absent[1:]).any())
        misplaced |= bool(absent[gold, np.arange(len(gold))].any())
    totals = present.sum(axis=0, dtype=np.float64)
    if misplaced or not np.isfinite(totals).all():
        raise StoreError("a logit is NaN or infinite, wanted finite numbers: extract it again")
    return np.asarray(totals)


def _direct(of_gold: Float32, totals: Floats, counts: Ints) -> Floats:
    """[C] sum over the rows of the right answer's logit less the mean of the others'."""
    k = counts[:, None]
    own = of_gold.astype(np.float64)
    return np.asarray(((k * own - totals) / np.maximum(1, k - 1)).sum(axis=0))


def _product(one: Float32, other: Float32) -> Float32:
    """[M, n] @ [n, C]; what is small in pieces that BLAS does not share among threads.

    Waking them takes longer than the work, and on a busy machine ten times as long.
    """
    (m, n), c = one.shape, other.shape[1]
    rows = min(n, 128)
    columns = max(1, ALONE // (m * rows))
    if m * n * c > SHARED or columns >= c:
        return one @ other
    found = np.zeros((m, c), np.float32)
    for row in range(0, n, rows):
        left = one[:, row : row + rows]
        for start in range(0, c, columns):
            of = slice(start, start + columns)
            found[:, of] += left @ other[row : row + rows, of]
    return found


def top_two(x: Float32) -> tuple[npt.NDArray[np.int16], Float32, Float32]:
    """The first column with the largest logit, that logit, and the next: x [K, n, C] to [n, C].

    Ties go to the first label, as in the paper's code.
    """
    best = x[0]
    second = np.full_like(best, -np.inf)
    choice = np.zeros(best.shape, np.int16)
    for label in range(1, len(x)):
        # Strictly higher, so that among equal logits the first label keeps the row.
        choice[x[label] > best] = label
        second = np.maximum(second, np.minimum(best, x[label]))
        best = np.maximum(best, x[label])
    return choice, best, second

"""Whether a component's accuracy could be luck: permutation of the right labels, and many tests.

The null is that the predictions have nothing to do with the right labels: these stand in a random
order, each of N! alike, while the predictions stay. Then the number of right predictions depends
on nothing but how often each label is predicted and is right, so nothing needs to be drawn:

- two labels: it is a shifted hypergeometric variable, and the p-values are exact.
- more labels: its first three moments are exact, and the tail is that of the Pearson type III
  distribution that has them, with a correction for whole numbers (Mielke and Berry's
  approximation of permutation tests).

What is called chance is the mean of that null, Σ_y (share predicted y) · (share of right label y):
what a component with these predictions gets without looking. A component that always says the
same has a p-value of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compread.array_types import Floats, Ints


@dataclass(frozen=True, eq=False)
class LuckTest:
    """The permutation test of C scorers."""

    chance: Floats
    """[C] mean accuracy under the null."""
    above: Floats
    """[C] probability under the null of at least this many right predictions."""
    below: Floats
    """[C] probability of at most this many."""

    def of(self, scorers: slice) -> LuckTest:
        """The test of some of the scorers."""
        return LuckTest(self.chance[scorers], self.above[scorers], self.below[scorers])


def luck_test(*strata: Ints) -> LuckTest:
    """The test of each confusion matrix in [C, K, K], rows by predicted and by right label.

    Right labels are shuffled within a stratum: rows that choose from other numbers of answers
    cannot have one another's.
    """
    if len(strata) == 1 and strata[0].shape[1] <= 2:
        (confusion,) = strata
        predicted, gold = confusion.sum(axis=2), confusion[0].sum(axis=0)  # (C, K), (K)
        n = int(gold.sum())
        # All right predictions follow from those of the first label.
        above, below = hypergeometric_tails(confusion[:, 0, 0], predicted[:, 0], int(gold[0]), n)
        return LuckTest(_chance(strata), above, below)
    # What is shuffled apart is independent, so that its cumulants add up.
    cumulants = sum(
        np.stack(null_moments(confusion.sum(axis=2), confusion[0].sum(axis=0)))
        for confusion in strata
    )
    right = np.asarray(sum(np.einsum("ckk->c", confusion) for confusion in strata))
    return LuckTest(_chance(strata), *pearson_tails(right, *np.asarray(cumulants)))


def _chance(strata: Sequence[Ints]) -> Floats:
    """[C] the mean accuracy where right labels are shuffled within each stratum."""
    rows = sum(int(confusion[0].sum()) for confusion in strata)
    shares = [
        confusion.sum(axis=2) @ (gold := confusion[0].sum(axis=0)) / (int(gold.sum()) * rows)
        for confusion in strata
    ]
    return np.asarray(sum(shares))


def two_sided(above: Floats, below: Floats) -> Floats:
    """Twice the smaller tail, at most 1."""
    return np.asarray(np.minimum(1, 2 * np.minimum(above, below)))


def false_discovery(p: Floats) -> Floats:
    """Benjamini and Hochberg's adjusted p-values: [C] to [C].

    Taking those up to α makes at most α of the discoveries false ones, on average. One that is NaN
    stays so and is no test. ``false_discovery(np.array([0.01, 0.03, 0.5]))`` is
    ``[0.03, 0.045, 0.5]``.
    """
    q = np.full(len(p), np.nan)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests])]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(1, np.minimum.accumulate(scaled[::-1])[::-1])
    return q


def hypergeometric_tails(x: Ints, drawn: Ints, marked: int, n: int) -> tuple[Floats, Floats]:
    """P(X ≥ x) and P(X ≤ x) of X ~ Hypergeometric, [C] each.

    X is the number of marked among ``drawn`` [C] of ``n``, of which ``marked`` are. The tail away
    from the mode is summed term by term, its first from log-gammas and each next by their ratio.
    """
    lowest, highest = np.maximum(0, drawn + marked - n), np.minimum(drawn, marked)
    mode = (drawn + 1) * (marked + 1) // (n + 2)
    probability = _hypergeometric(x, drawn, marked, n)
    upward = x >= mode
    outer = _sum_outward(x, drawn, marked, n, probability, upward)
    other = np.minimum(1, 1 - outer + probability)
    one = np.ones(len(x))  # The tails that are the whole, without rounding.
    above = np.where(x == lowest, one, np.where(upward, outer, other))
    below = np.where(x == highest, one, np.where(upward, other, outer))
    return np.minimum(above, 1), np.minimum(below, 1)


def _hypergeometric(x: Ints, drawn: Ints, marked: int, n: int) -> Floats:
    from scipy.special import gammaln

    def choose(a: Ints | int, b: Ints) -> Floats:
        return np.asarray(gammaln(np.add(a, 1)) - gammaln(b + 1) - gammaln(np.subtract(a, b) + 1))

    logs = choose(marked, x) + choose(n - marked, drawn - x) - choose(n, drawn)
    return np.exp(logs)


def _sum_outward(
    x: Ints, drawn: Ints, marked: int, n: int, first: Floats, upward: np.ndarray
) -> Floats:
    total, term, at = first.copy(), first.copy(), x.astype(np.float64)
    rest, step, last = n - drawn - marked, np.where(upward, 1, -1), np.minimum(drawn, marked)
    while np.any(term > 1e-17 * total):
        up = (drawn - at) * (marked - at) / np.maximum(1, (at + 1) * (rest + at + 1))
        down = at * (rest + at) / ((drawn - at + 1) * (marked - at + 1))
        term = term * np.where(upward, up, down)
        total += term
        # Beyond the last value the ratio is 0 and stays so.
        at = np.clip(at + step, 0, last)
    return total


def null_moments(predicted: Ints, gold: Ints) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and third central moment of the number of right predictions, [C] each.

    Args:
        predicted: [C, K] how often each label is predicted.
        gold: [K] how often each is right.

    Note:
        The r-th factorial moment is r! · ρ_r · (N - r)! / N!, where ρ_r counts the ways to match
        r predictions to right labels: the coefficient of tʳ in Π_y Σ_r C(p_y, r) C(g_y, r) r! tʳ
        (a rook polynomial).
    """
    p, g = predicted.astype(np.float64), gold.astype(np.float64)
    n = g.sum()
    one = p * g
    two = one * (p - 1) * (g - 1) / 2
    three = two * (p - 2) * (g - 2) / 3
    ways = np.zeros((4, len(p)))
    ways[0] = 1
    for y in range(len(g)):
        ways = np.stack([
            ways[0],
            ways[1] + ways[0] * one[:, y],
            ways[2] + ways[1] * one[:, y] + ways[0] * two[:, y],
            ways[3] + ways[2] * one[:, y] + ways[1] * two[:, y] + ways[0] * three[:, y],
        ])  # fmt: skip
    mean = ways[1] / n
    pairs = 2 * ways[2] / max(1, n * (n - 1))
    triples = 6 * ways[3] / max(1, n * (n - 1) * (n - 2))
    variance = pairs + mean - mean**2
    third = triples + 3 * pairs + mean - 3 * mean * (pairs + mean) + 2 * mean**3
    return mean, variance, third


def pearson_tails(
    x: Ints, mean: Floats, variance: Floats, third: Floats, half_step: float = 0.5
) -> tuple[Floats, Floats]:
    """P(X ≥ x) and P(X ≤ x) of whole-numbered X by its first three moments, [C] each.

    ``half_step`` is half of the distance between two values that X can have.
    """
    certain = variance < 1e-9
    sd = np.sqrt(np.where(certain, 1, variance))
    skewness = np.where(certain, 0, third / sd**3)
    above = _gamma_tail((x - half_step - mean) / sd, skewness)
    below = _gamma_tail(-(x + half_step - mean) / sd, -skewness)
    return np.where(certain, 1, above), np.where(certain, 1, below)


def _gamma_tail(z: Floats, skewness: Floats) -> Floats:
    """P(Z ≥ z) of a standardised gamma variable, mirrored where the skewness is negative."""
    from scipy.special import gammainc, gammaincc, ndtr

    size = np.maximum(np.abs(skewness), 1e-3)  # Below this the normal is the same.
    shape = 4 / size**2
    right = gammaincc(shape, np.maximum(0, shape + z * np.sqrt(shape)))
    left = gammainc(shape, np.maximum(0, shape - z * np.sqrt(shape)))
    tail = np.where(skewness > 0, right, left)
    return np.asarray(np.where(np.abs(skewness) < 1e-3, ndtr(-z), tail))

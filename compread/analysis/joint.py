"""One test of several runs: the evidence of all, whatever they share.

Runs over the same rows share their right labels, and mostly their noise too: under the null of
``compread.analysis.chance`` one order of the right labels stands for all of them. With M [N, K] how
many runs predict each label on each row, the right predictions of all runs are

    T = Σ_i M[i, gold_i],    E T = Σ_y n_y · mean_i M[i, y],    D = M centred over rows and labels,
    Var T = Σ n_y D² / (N - 1),    third central moment N / ((N - 1)(N - 2)) · Σ n_y D³

(Hoeffding 1951), n_y being how often each label is right, which weights the centring over labels.
The tail is that of the Pearson type III distribution with these moments, half a step inwards: the
steps of T are 2 for two labels, as a right label moved is another moved back, and 1 for more.

Runs over different rows are combined by Cauchy's rule, which holds whatever their dependence for
small p (Liu and Xie 2020): the mean of tan(π (½ - p)) of their two-sided p-values is about standard
Cauchy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from compread.analysis.chance import LuckTest, pearson_tails, two_sided
from compread.array_types import Floats, Ints

LARGEST = 0.99
"""A p-value of 1 would have infinite weight against all others, discrete tests have many."""


def joint_test(votes: npt.NDArray[np.int32], gold: Ints, runs: int) -> LuckTest:
    """The test of C components: ``votes`` [N, C, K] of so many runs, and right labels [N]."""
    n, c, k = votes.shape
    right = np.take_along_axis(votes, gold[:, None, None], axis=2)[:, :, 0].sum(axis=0)
    mean, variance, third = np.zeros((3, c))
    of_label = np.bincount(gold, minlength=k).astype(np.float64)  # (K)
    step = max(1, (1 << 20) // (n * k))
    for start in range(0, c, step):
        of = slice(start, start + step)
        mean[of], variance[of], third[of] = joint_moments(votes[:, of], of_label)
    above, below = pearson_tails(right, mean, variance, third, half_step=1 if k == 2 else 0.5)
    return LuckTest(mean / (n * runs), above, below)


def joint_moments(votes: npt.NDArray[np.int32], of_label: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and third central moment of T, [C] each; ``of_label`` [K] is n_y."""
    n = len(votes)
    weight = of_label / n
    by_row = votes @ weight  # (N, C)
    by_label = votes.mean(axis=0)  # (C, K)
    whole = by_label @ weight  # (C)
    d = votes - by_row[:, :, None] - by_label + whole[:, None]
    variance = np.einsum("nck,nck,k->c", d, d, of_label) / max(1, n - 1)
    third = np.einsum("nck,nck,nck,k->c", d, d, d, of_label) * n / max(1, (n - 1) * (n - 2))
    return whole * n, variance, third


def cauchy(tests: Sequence[LuckTest]) -> LuckTest:
    """The combination of tests over different rows, towards where the most extreme one points.

    Its chance is the mean of theirs.
    """
    above = np.stack([test.above for test in tests])
    below = np.stack([test.below for test in tests])
    p = np.stack([two_sided(a, b) for a, b in zip(above, below, strict=True)])
    sums = (1 / np.tan(np.pi * np.clip(p, 1e-300, LARGEST))).mean(axis=0)
    half = np.where(p.min(axis=0) >= 1, 0.5, np.arctan2(1, sums) / np.pi / 2)
    most = np.take_along_axis(above < below, p.argmin(axis=0)[None], axis=0)[0]
    chance = np.mean([test.chance for test in tests], axis=0)
    return LuckTest(chance, np.where(most, half, 1 - half), np.where(most, 1 - half, half))

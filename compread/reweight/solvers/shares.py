"""The labels' levels and shares among rows to predict, from their scores alone.

Scores s [N, K] are less what they are on the train rows on average, and less their mean over the
labels. A row of label y scores a (e_y - 1/K) + δ on average, with e_y the unit vector of y, and
varies around that by v in each of the K - 1 directions. δ is what the train rows' mean was wrong
by: of variance v / n with n train rows. The labels' shares π are either even, or drawn from a
Dirichlet distribution whose mean they are. Both forms are brought to the maximum of

    τ Σ_n log Σ_y π_y exp(-|s_n - δ - a (e_y - 1/K)|² / 2v) - |δ|² n / 2v + (α - 1) Σ_y log K π_y

by expectation maximisation, and weighed by how likely they are there; where π is known, δ alone is
sought. τ makes the rows say less
than they would if scores were as normal as that, so that nothing is read into the shape of their
distribution where labels overlap. A row's score is then s_y - δ_y + v/a log K π_y: where labels are
even, close to s less its mean; where they are not, close to s itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compread.array_types import Bools, Floats, Ints

TEMPER = 0.1
"""τ."""
CONCENTRATION = 5.0
"""α of the Dirichlet distribution."""
EVEN_ODDS = 5.0
"""How many times as likely even shares are before the rows are seen."""
LEAST_WITHIN = 0.1
"""v at least, as a share of the scores' variance."""
STEPS = 40
SMALLEST = 1e-9
"""Of what scores are made of: what is smaller is rounding."""


@dataclass(frozen=True)
class Shares:
    """What is said of rows to predict."""

    level: Floats
    """[K] to be taken from their scores: δ less what the shares add."""
    shares: Floats
    """[K] of each label among them; they add up to 1."""


def estimate(scores: Floats, margin: float, trained: float, known: Floats | None = None) -> Shares:
    """The level and the shares of rows.

    Args:
        scores: [N, K] less the train rows' mean, N at least 1.
        margin: a, as a share of the scores' standard deviation; where it is not above 0, nothing is
            known of the labels, and the shares are even and the level is the mean.
        trained: n; 0 where the train rows' mean says nothing of these, behind another prompt.
        known: [K] the shares, all above 0, where they are known.
    """
    scores = scores - scores.mean(axis=1, keepdims=True)
    rows, labels = scores.shape
    even = np.full(labels, 1 / labels) if known is None else known
    mean = scores.mean(axis=0)
    if rows == 1:  # its own mean would leave nothing of it
        return Shares(np.zeros(labels), even)
    variance = float(((scores - mean) ** 2).sum() / rows / (labels - 1))
    step = margin * np.sqrt(variance)
    if step <= 0:
        return Shares(mean, even)
    within = max(variance - step**2 / labels, LEAST_WITHIN * variance)
    model = _Model(scores, step, within, trained)
    level, shares, lone = model.fit(even, fixed=True)
    if known is None:
        moved, skewed, free = model.fit(even, fixed=False)
        likely = 1 / (1 + EVEN_ODDS * np.exp(min(lone - free, 700.0)))
        shares = likely * skewed + (1 - likely) * even
        level = likely * moved + (1 - likely) * level
    return Shares(level - within / step * np.log(labels * shares), shares)


def right_scores(scores: Floats, gold: Ints, size: float = 0.0, own: Bools | None = None) -> Floats:
    """[N] how much higher the right label scores [N, K], in standard deviations of the scores.

    Scores that vary by rounding alone say nothing; ``size`` is what they are made of at least, and
    ``own`` [N, K] which answers a row has, where rows have their own.
    """
    rows, labels = scores.shape
    counts = np.full(rows, labels) if own is None else own.sum(axis=1)
    if own is None:
        spread = np.sqrt(scores.var(axis=0).sum() / (labels - 1))
    else:
        spread = np.sqrt(((scores**2).sum(axis=1) / (counts - 1)).mean())
    if not spread > SMALLEST * np.abs(scores).max(initial=size):
        return np.zeros(rows)
    right: Floats = scores[np.arange(rows), gold] / spread / (1 - 1 / counts)
    return right


@dataclass(frozen=True)
class _Model:
    scores: Floats
    step: float
    """a."""
    within: float
    """v."""
    trained: float
    """n."""

    def fit(self, shares: Floats, *, fixed: bool) -> tuple[Floats, Floats, float]:
        """δ [K] and π [K] at the maximum, and what is maximal there; π stays if ``fixed``."""
        rows, labels = self.scores.shape
        level = self.scores.mean(axis=0)
        value = -np.inf
        for _ in range(STEPS):
            moved = self.scores - level
            # |s - δ - a (e_y - 1/K)|² is |s - δ|² - 2a (s - δ)_y and a constant.
            logits = self.step / self.within * moved + np.log(shares)
            top = logits.max(axis=1, keepdims=True)
            likely = np.exp(logits - top)
            total = likely.sum(axis=1, keepdims=True)
            likely /= total
            seen = (top + np.log(total)).sum() - (moved**2).sum() / (2 * self.within)
            value = TEMPER * seen - (level**2).sum() * self.trained / (2 * self.within)
            value += (CONCENTRATION - 1) * np.log(labels * shares).sum()
            centres = self.step * (likely.sum(axis=0) - rows / labels)
            level = TEMPER * (rows * self.scores.mean(axis=0) - centres)
            level /= TEMPER * rows + self.trained
            if not fixed:
                counts = TEMPER * likely.sum(axis=0) + CONCENTRATION - 1
                shares = counts / counts.sum()
        return level, shares, float(value)

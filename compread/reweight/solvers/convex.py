"""The objective of CompRW at its optimum.

    f(w) = mean over rows of -log p_w(right label) + λ‖w‖₁,    p_w = softmax of Σ_j w_j g[j, y]

over the box 0 ≤ w ≤ 1, or over all w. f is convex, so where gradient descent stops does not matter
here, only λ. In the box |w| is w and f is smooth; without it w is the difference of two
non-negative halves. Both are bound-constrained smooth problems, solved by scipy's L-BFGS-B; how far
its end can be from the minimum is computed (``gap``), and where that is much it starts again.

Source: paper section 5.1, equation 9, with the mean and the box of the released code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.array_types import Bools, Floats, Ints
from compread.reweight.probability import cross_entropy
from compread.reweight.solvers.sums import sums_of

PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003)
"""The λ to choose among."""
DEFAULT_PENALTY = 0.01
"""λ where there are too few rows to choose: that of the released code."""
FOLDS = 5
ENOUGH = 0.01
"""Largest gap to the minimum, as a share of the objective, that needs no second try."""


@dataclass(frozen=True)
class Solution:
    """Where the solver ends."""

    weights: Floats
    """[J]"""
    gap: float
    """How far f can be above its minimum there, as a share of f."""


Value = Callable[[Floats], tuple[float, Floats]]
"""f and its gradient at w ≥ 0."""


def solve(
    features: Floats, gold: Ints, penalty: float, signed: bool, start: Floats | None = None
) -> Solution:
    """The weights that minimise f.

    Args:
        features: [N, J, K].
        gold: [N] column of the right label.
        penalty: λ, above 0.
        signed: over all w, instead of the box [0, 1].
        start: [J] where to begin; the answer does not depend on it.
    """
    count = features.shape[1]
    begin = np.full(count, 0.5) if start is None else start
    if signed:
        begin = np.concatenate([begin.clip(0, None), (-begin).clip(0, None)])
    sums = sums_of([features])

    def value(w: Floats) -> tuple[float, Floats]:
        weights = w[:count] - w[count:] if signed else w
        loss, gradient = sums.descent(weights[None], gold[None])
        slopes = np.concatenate([gradient[0], -gradient[0]]) if signed else gradient[0]
        return float(penalty * w.sum() + loss[0]), slopes + penalty

    most = None if signed else 1.0
    best = _minimise(value, begin, most)
    if gap(value, best, penalty, most) > ENOUGH:
        # Of contributions far from 1 the first steps are far too long: again in their own unit.
        unit = max(float(np.sqrt(np.nanmean(features**2))), 1e-300)
        for first in (np.zeros_like(begin), best):
            again = _minimise(value, first, most, unit)
            best = min(best, again, key=lambda w: value(w)[0])
    weights = best[:count] - best[count:] if signed else best
    return Solution(weights, gap(value, best, penalty, most))


def gap(value: Value, w: Floats, penalty: float, most: float | None) -> float:
    """How far f(w) can be above its minimum, as a share of f(w).

    f is convex, so f(w) - f(v) ≤ ∇f(w)·(w - v) for the minimiser v, of which is known that λ Σ v is
    at most f(w), and that no weight is above ``most``.
    """
    f, slopes = value(w)
    lowest = f / penalty * min(0.0, float(slopes.min()))
    if most is not None:
        lowest = max(lowest, float(most * np.minimum(0, slopes).sum()))
    return float(slopes @ w - lowest) / f


def _minimise(value: Value, begin: Floats, most: float | None, unit: float = 1.0) -> Floats:
    """[J] where L-BFGS-B ends that begins at ``begin``, its variable being w · ``unit``."""

    def scaled(v: Floats) -> tuple[float, Floats]:
        f, slopes = value(v / unit)
        return f, slopes / unit

    from scipy.optimize import minimize

    found = minimize(
        scaled,
        begin * unit,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None if most is None else most * unit)] * len(begin),
        options={"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-13, "gtol": 1e-9, "maxcor": 20},
    )
    return np.asarray(found.x / unit)


def choose_penalty(features: Floats, gold: Ints, signed: bool) -> float:
    """The λ of ``PENALTIES`` whose weights do best on held-out train rows, by cross-entropy.

    The larger of equals; ``DEFAULT_PENALTY`` with fewer than two rows.
    """
    losses = np.zeros(len(PENALTIES))
    masks = list(folds(gold, FOLDS))
    if not masks:
        return DEFAULT_PENALTY
    for out in masks:
        weights = None
        # As [N, K, J] in memory, which is what ``solve`` takes without a copy.
        kept = features.swapaxes(1, 2)[~out].swapaxes(1, 2)
        for i, penalty in enumerate(PENALTIES):
            weights = solve(kept, gold[~out], penalty, signed, weights).weights
            scores = np.einsum("njk,j->nk", features[out], weights)
            scores = np.where(np.isnan(scores), -np.inf, scores)  # a row may have fewer answers
            losses[i] += cross_entropy(scores, gold[out]) * out.sum()
    return PENALTIES[int(losses.argmin())]


def folds(gold: npt.NDArray[np.int64], count: int) -> Iterator[Bools]:
    """[N] masks of the rows that are held out, each row once, classes spread over the folds.

    The rows of a class are dealt to the folds in their order, so a run's folds are always the same.
    None where no row could be spared: fewer than two rows.

    Args:
        gold: [N] column of the right label.
        count: folds at most; no more than there are rows.
    """
    count = min(count, len(gold))
    if count < 2:
        return
    dealt = np.empty(len(gold), dtype=np.int64)
    dealt[np.argsort(gold, kind="stable")] = np.arange(len(gold)) % count
    for fold in range(count):
        yield dealt == fold

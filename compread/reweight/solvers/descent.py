"""Gradient descent on the weights of a sum, with the stop rule of the paper's released code.

CompRW and Calib+ are one problem. A row's score for label y is a weighted sum of J features,

    score[y] = Σ_j w_j · feature[j, y]

with the components' contributions as features for CompRW, and the label probabilities on a diagonal
for Calib+. The weights start at one and go down the gradient of the mean cross-entropy, all rows at
once. Source: paper section 5.1 and appendix A.7; where the released trainer differs from that text,
the trainer (``Recipe`` says how).

Axis letters as in ``compread.components``, and J features, R runs fitted side by side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.array_types import Floats, Ints
from compread.reweight.solvers.sums import CACHE_BYTES, Sums, sums_of


@dataclass(frozen=True)
class Recipe:
    """How the weights are trained; the defaults are those of the released code for CompRW."""

    learning_rate: float = 0.05
    summed: bool = False
    """Whether the loss is the rows' sum of cross-entropies, or their mean."""
    l1: float = 0.01
    """Weight of Σ|w| in the loss, taken over the weights before they are clipped."""
    clip: bool = True
    """Whether scores use the weights clipped to [0, 1], in training and afterwards."""
    epochs: int = 2000
    """Most steps taken."""
    check_every: int = 100
    """Training stops when every train row is right at an epoch divisible by this, the first
    epoch, 0, included."""
    check_after_step: bool = True
    """Whether that accuracy is that of the epoch's new weights, or of those before its step."""
    patience: int = 3
    """Training stops when the cross-entropy has failed to beat its best this often in total; an
    epoch that does beat it gives nothing back."""
    first_best: float = 100.0
    """The cross-entropy that the first epoch has to beat."""


@dataclass(frozen=True)
class Descent:
    """The end of one run's training."""

    weights: Floats
    """[J] weights as scores use them, clipped if the recipe says so."""
    raw: Floats
    """[J] weights as training left them."""
    epochs: int
    """The epoch at which it stopped, counted from 0."""


def descend_each(
    features: Sequence[Floats],
    gold: Sequence[Ints],
    recipe: Recipe,
    sums: Callable[[Sequence[Floats]], Sums] = sums_of,
) -> tuple[Descent, ...]:
    """Fits every run's weights; runs of the same shape are fitted side by side.

    Args:
        features: for each run, [N, J, K], or what else ``sums`` takes.
        gold: for each run, [N] column of the right label.
        recipe: how to train.
        sums: what makes the sums of runs of one shape.

    Returns:
        One ``Descent`` for each run, in the order given.
    """
    done: dict[int, Descent] = {}
    for members in _batches(features):
        side_by_side = sums([features[i] for i in members])
        ends = descend(side_by_side, np.stack([gold[i] for i in members]), recipe)
        done.update(zip(members, ends, strict=True))
    return tuple(done[i] for i in range(len(features)))


def _batches(features: Sequence[Floats]) -> Iterator[list[int]]:
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, run in enumerate(features):
        by_shape[run.shape].append(index)
    for members in by_shape.values():
        size = max(1, CACHE_BYTES // max(1, features[members[0]].size * 8))
        for start in range(0, len(members), size):
            yield members[start : start + size]


def descend(sums: Sums, gold: Ints, recipe: Recipe) -> tuple[Descent, ...]:
    """Fits the weights of R runs of one shape.

    Args:
        sums: of the runs.
        gold: [R, N] column of the right label.
        recipe: how to train.

    Returns:
        One ``Descent`` for each of the R runs; a run's result does not depend on the others.
    """
    runs, rows = gold.shape
    weights = np.ones((runs, sums.columns))
    best = np.full(runs, recipe.first_best)
    missed = np.zeros(runs, dtype=np.int64)
    stopped = np.full(runs, recipe.epochs - 1)
    going = np.ones(runs, dtype=bool)

    for epoch in range(recipe.epochs):
        loss, step = sums.descent(_used(weights, recipe), gold, going)
        if recipe.summed:
            loss, step = loss * rows, step * rows
        check = epoch % recipe.check_every == 0
        solved = np.zeros(runs, dtype=bool)
        if check and not recipe.check_after_step:
            solved = _all_right(sums.scores(_used(weights, recipe)), gold)
        if recipe.clip:
            # A weight at the edge still moves, as under torch up to 2.13; all weights start there.
            step *= (weights >= 0) & (weights <= 1)
        step += recipe.l1 * np.sign(weights)
        weights -= recipe.learning_rate * step * (going & ~solved)[:, None]
        if check and recipe.check_after_step:
            solved = _all_right(sums.scores(_used(weights, recipe)), gold)
        missed += loss >= best
        best = np.minimum(best, loss)
        stop = going & (solved | (missed >= recipe.patience))
        if stop.any():
            stopped[stop] = epoch
            going &= ~stop
            if not going.any():
                break
    used = _used(weights, recipe)
    return tuple(Descent(used[r], weights[r], int(stopped[r])) for r in range(runs))


def _used(weights: Floats, recipe: Recipe) -> Floats:
    return weights.clip(0.0, 1.0) if recipe.clip else weights


def _all_right(scores: Floats, gold: Ints) -> npt.NDArray[np.bool_]:
    """[R] whether a run gets every row right; the first of tied labels is the prediction."""
    right: npt.NDArray[np.bool_] = np.all(scores.argmax(axis=-1) == gold, axis=-1)
    return right

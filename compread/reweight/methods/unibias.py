"""UniBias on direct effects: heads that push one label whatever the row are left out of the sum.

With m_y a head's mean contribution to label y over the train rows, sd_y its spread, a the mean of
m over the labels, and hidden_y the mean running sum of all components up to the head's layer, a
head of the upper half of the layers is biased if

    Σ_y |m_y| > max(0.2, sum · Σ_y |hidden_y|)        it says something about the labels
    mean_y |(m_y - a) / a| > bias                     it prefers one
    Σ_y |m_y| · (sd_y / |m_y|) / Σ_y |m_y| < cv       and does so on every row

Thresholds are those of the grid that leave the least label bias, Σ_y |mean p_y - 1/K|; labels are
not looked at. The original (Zhou et al. 2024) runs the model again without the heads, and treats
single value vectors of MLPs too, which contributions by component do not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from compread.array_types import Floats
from compread.reweight.blocks import blocks
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.comprw import ComponentWeights, weighted_sum
from compread.reweight.probability import softmax
from compread.reweight.rows import Training

BIAS = (0.1, 0.2, 0.3, 0.4, 0.5)
SUM = (0.02, 0.05, 0.1, 0.15, 0.2)
CV = (0.1, 0.15, 0.2, 0.25)
LEAST = 0.2
"""Logits that a head says about the labels at least."""


@dataclass(frozen=True)
class UniBias(Method):
    """UniBias on direct effects."""

    name: ClassVar[str] = "unibias"
    about: ClassVar[str] = "without the heads that push one label on every row"
    fitted: ClassVar[type[Fitted]] = ComponentWeights

    def hyperparameters(self) -> dict[str, Any]:
        """The grids of thresholds."""
        return {"bias": list(BIAS), "sum": list(SUM), "cv": list(CV)}

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Weight 0 for the biased heads of each run, 1 for all else, embedding and biases too."""
        return tuple(ComponentWeights(None, _kept(run)) for run in training)


def _kept(run: Training) -> Floats:
    parts = run.rows.parts
    mean, spread = _moments(parts)
    said, prefers, varies = _measures(mean, spread)
    layers = np.array([c.layer for c in run.rows.components])
    upper = np.array([c.kind == "head" for c in run.rows.components])
    upper &= layers > layers.max() // 2
    hidden = _hidden(run, mean, layers)
    whole = weighted_sum(parts, np.ones(len(layers)))
    best = np.ones(len(layers))
    least = _label_bias(whole)
    tried = set()
    for bias, share, cv in product(BIAS, SUM, CV):
        dropped = upper & (said > np.maximum(LEAST, share * hidden))
        dropped &= (prefers > bias) & (varies < cv)
        if dropped.tobytes() in tried:  # it would be no less than the first time
            continue
        tried.add(dropped.tobytes())
        left = _label_bias(whole - parts[:, dropped].sum(axis=1, dtype=float))
        if left < least:
            best, least = (~dropped).astype(float), left
    return best


def _moments(parts: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    """[C, K] each: the mean over the rows and the spread around it."""
    mean = parts.mean(axis=0, dtype=float)
    squares = np.zeros_like(mean)
    for span in blocks(parts):
        squares += ((parts[span] - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(squares / len(parts))


def _measures(mean: Floats, spread: Floats) -> tuple[Floats, Floats, Floats]:
    """[C] each: how much is said about the labels, the preference, the variation over rows."""
    said = np.abs(mean).sum(axis=1)
    level = mean.mean(axis=1)
    away = np.abs(mean - level[:, None]).mean(axis=1)
    prefers = np.divide(away, np.abs(level), out=np.full_like(away, np.inf), where=level != 0)
    whole = spread.sum(axis=1)
    varies = np.divide(whole, said, out=np.full_like(said, np.inf), where=said > 0)
    return said, prefers, varies


def _hidden(run: Training, mean: Floats, layers: npt.NDArray[np.int64]) -> Floats:
    """[C] Σ_y |mean of the running sum up to the component's layer|; the bias comes last."""
    upto = layers[:, None] >= layers[None, :]
    upto &= np.array([c.kind != "bias" for c in run.rows.components])
    hidden: Floats = np.abs(upto.astype(float) @ mean).sum(axis=1)
    return hidden


def _label_bias(logits: Floats) -> float:
    return float(np.abs(softmax(logits).mean(axis=0) - 1 / logits.shape[1]).sum())

"""Blend: three weightings of the components, averaged and then calibrated. The default method.

On contributions centred over the train rows, g' = g - mean g, three weightings are fitted:

- ``uniform``, w = 1: the model as it is, calibrated;
- ``turned down``: CompRW's official training on g', which can only turn components down;
- ``ridge``: w minimises ‖1[right] - 1/K - Σ_j w_j g'_j‖² + λ Σ_j s_j w_j², with s_j the root mean
  square of g'_j less its mean over the labels, and λ a fixed multiple of the kernel's mean
  diagonal. It can turn a component round, and trusts a component less the louder it is.

Each is brought to root mean square 1 on the train rows, and they are averaged:
u uniform + (1 - u)/2 turned down + (1 - u)/2 ridge, where u = min(1/3, Φ(-t)) and t is the t
statistic of the right label's score when ridge predicts each train row from the others. So all
three have the same say until the train rows show that something can be learned from them, and the
more they show it the less has the model as it is.

The result is one signed weight for each component and a level for each label:
score_y = Σ_j w_j g[j, y] - level_y. The level is the mean of Σ_j w_j g over the rows to be
predicted (``blend``: transductive), or over the train rows (``blend-row``: any row alone).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from compread.array_types import Floats
from compread.reweight.cost import Size, Work
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.comprw import CompRW, weighted_sum
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.official import CENTRED, ends
from compread.reweight.solvers.ridge import RIDGE, ridge_weights
from compread.reweight.solvers.signal import Signal

MOST_UNIFORM = 1 / 3
"""The largest share of the uniform weighting: that of an even average of the three."""


@dataclass(frozen=True)
class RowBlend(Fitted):
    """Weights, with the labels' levels those of the train rows."""

    weights: Floats
    """[C] signed, 0 where a component carries none."""
    levels: Floats
    """[K] what each label's sum is on average over the train rows."""

    axes: ClassVar[Mapping[str, str]] = {"weights": "C", "levels": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] Σ_j w_j g[j, y] - level_y."""
        scores: Floats = weighted_sum(rows.parts, self.weights) - self.levels
        return scores


@dataclass(frozen=True)
class BatchBlend(RowBlend):
    """Weights, with the labels' levels those of the rows that are scored."""

    transductive: ClassVar[bool] = True

    def scores(self, rows: Rows) -> Floats:
        """[N, K] Σ_j w_j g[j, y] less its mean over the rows."""
        raw = weighted_sum(rows.parts, self.weights)
        scores: Floats = raw - raw.mean(axis=0)
        return scores

    def row_wise(self) -> tuple[str, Fitted]:
        """The same weights with the train rows' levels."""
        return BlendRow.name, RowBlend(self.epochs, self.weights, self.levels)


@dataclass(frozen=True)
class Blend(Method):
    """Blend, calibrated on the rows to be predicted."""

    name: ClassVar[str] = "blend"
    about: ClassVar[str] = "three weightings averaged, calibrated on the rows to predict"
    fitted: ClassVar[type[RowBlend]] = BatchBlend

    @property
    def official_form(self) -> str | None:
        """The centred contributions."""
        return CENTRED

    def hyperparameters(self) -> dict[str, Any]:
        """λ, and the training of the weights that are turned down."""
        return {"ridge": RIDGE, "most_uniform": MOST_UNIFORM, "turned_down": "official"}

    def work(self, size: Size) -> Work:
        """CompRW's, and the equations of the ridge."""
        side = min(size.components, size.rows * size.labels)
        descent = CompRW().work(size)
        return Work(
            descent.bytes + 16.0 * side * side, descent.products + 3.0 * size.numbers * side / 10
        )

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The weights of each run, and what they sum to on its train rows."""
        return tuple(
            self.fitted(epochs, weights, weighted_sum(run.rows.parts, weights).mean(axis=0))
            for run, (epochs, weights) in zip(training, fit_weights(training), strict=True)
        )


@dataclass(frozen=True)
class BlendRow(Blend):
    """Blend, calibrated on the train rows."""

    name: ClassVar[str] = "blend-row"
    about: ClassVar[str] = "blend calibrated on the train rows"
    fitted: ClassVar[type[RowBlend]] = RowBlend


def fit_weights(training: Sequence[Training]) -> list[tuple[int, Floats]]:
    """The epoch at which CompRW's training ended and the weights [C], for each run."""
    found = []
    for run, end in zip(training, ends(training, CENTRED), strict=True):
        whole = np.zeros(len(run.rows.components))
        signal = Signal.of(run.rows)
        whole[run.rows.reweighted()] = _average(signal, run.gold, end.weights)
        found.append((end.epochs, whole))
    return found


def _average(signal: Floats | Signal, gold: npt.NDArray[np.int64], turned_down: Floats) -> Floats:
    """[J] the average of the three weightings, of contributions as ``ridge_weights`` takes them."""
    ridge, t = ridge_weights(signal, gold)
    u = min(MOST_UNIFORM, float(ndtr(-t)))
    uniform = np.ones(signal.shape[1])
    weights = np.zeros(signal.shape[1])
    for w, share in ((uniform, u), (turned_down, (1 - u) / 2), (ridge, (1 - u) / 2)):
        size = np.sqrt((weighted_sum(signal, w) ** 2).mean())
        if size > 0:
            weights += share * w / size
    # Nothing varies over the train rows, as with a single one: the model as it is.
    return weights if weights.any() else uniform

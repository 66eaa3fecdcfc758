"""Blend: three weightings of the components, averaged and then calibrated. The default method.

On contributions centred over the train rows, g' = g - mean g, three weightings are fitted:

- ``uniform``, w = 1: the model as it is, calibrated;
- ``turned down``: CompRW's official training on g', which can only turn components down;
- ``ridge``: w minimises ‖1[right] - 1/K - Σ_j w_j g'_j‖² + λ Σ_j s_j^p w_j², with s_j the root mean
  square of g'_j less its mean over the labels, and λ the kernel's mean diagonal. It can turn a
  component round, and trusts a component less the louder it is.

Each is brought to root mean square 1 on the train rows, and they are averaged:
r ridge + (1 - r)/2 uniform + (1 - r)/2 turned down, where r = max(1/3, Φ(t)) and t is the paired t
statistic of the right label's score by ridge over that by ``uniform``, each train row predicted
from the others and each in standard deviations of its scores. So all three have the same say until
the train rows show that learning from them does better than the calibrated model.

The result is one signed weight for each component and a level for each label:
score_y = Σ_j w_j g[j, y] - level_y. The levels are those of the train rows (``blend-row``: any row
alone), or are estimated together with the labels' shares from the rows to be predicted (``blend``:
transductive, see ``shares``), so that labels may be more frequent there than others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from compread.array_types import Floats, Ints
from compread.reweight.cost import Size, Work
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.comprw import CompRW, weighted_sum
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.official import CENTRED, ends
from compread.reweight.solvers.ridge import LOUDNESS, RIDGE, RidgeFit, ridge_weights
from compread.reweight.solvers.shares import CONCENTRATION, EVEN_ODDS, TEMPER, Shares, estimate
from compread.reweight.solvers.signal import Signal

LEAST_LEARNED = 1 / 3
"""The smallest share of ridge: that of an even average of the three."""
SMALLEST = 1e-9
"""Of ridge's scores, which are shares of a target of size 1: what is smaller is rounding."""


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
    """Weights, with the labels' levels and shares estimated from the rows that are scored."""

    margin: Floats
    """[] how much higher a label scores where it is right, in standard deviations of the scores."""
    trained: Floats
    """[] the train rows that the levels are of; 0 where they are of another prompt."""

    axes: ClassVar[Mapping[str, str]] = {**RowBlend.axes, "margin": "", "trained": ""}
    absent: ClassVar[Mapping[str, float]] = {"margin": 0.0, "trained": 1.0}
    transductive: ClassVar[bool] = True

    def scores(self, rows: Rows) -> Floats:
        """[N, K] Σ_j w_j g[j, y] - level_y, in which the labels' shares are."""
        raw = super().scores(rows)
        return raw - self.estimate(raw).level if len(raw) else raw

    def shares(self, rows: Rows) -> Floats:
        """[K] of each label among N rows, as they are estimated; N is at least 1."""
        return self.estimate(super().scores(rows)).shares

    def estimate(self, raw: Floats) -> Shares:
        """The levels and shares of rows by their scores [N, K] beside the train rows' levels."""
        return estimate(raw, float(self.margin), float(self.trained))

    def elsewhere(self) -> BatchBlend:
        """What the train rows' levels were says nothing of another prompt's."""
        return replace(self, trained=np.zeros(()))

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
        """λ and p of ridge, the training of what is turned down, and how shares are estimated."""
        fitted: dict[str, Any] = {"ridge": RIDGE, "loudness": LOUDNESS}
        fitted |= {"least_learned": LEAST_LEARNED, "turned_down": "official"}
        if not self.fitted.transductive:
            return fitted
        odds = {"temper": TEMPER, "concentration": CONCENTRATION, "even_odds": EVEN_ODDS}
        return {**fitted, **odds}

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
            self._fitted(run, *found)
            for run, found in zip(training, fit_weights(training), strict=True)
        )

    def _fitted(self, run: Training, epochs: int, weights: Floats, margin: float) -> Fitted:
        levels = weighted_sum(run.rows.parts, weights).mean(axis=0)
        return BatchBlend(epochs, weights, levels, np.array(margin), np.array(float(len(run))))


@dataclass(frozen=True)
class BlendRow(Blend):
    """Blend, calibrated on the train rows."""

    name: ClassVar[str] = "blend-row"
    about: ClassVar[str] = "blend calibrated on the train rows"
    fitted: ClassVar[type[RowBlend]] = RowBlend

    def _fitted(self, run: Training, epochs: int, weights: Floats, margin: float) -> Fitted:
        return RowBlend(epochs, weights, weighted_sum(run.rows.parts, weights).mean(axis=0))


def fit_weights(training: Sequence[Training]) -> list[tuple[int, Floats, float]]:
    """The epoch at which CompRW's training ended, the weights [C] and the margin, for each run."""
    found = []
    for run, end in zip(training, ends(training, CENTRED), strict=True):
        whole = np.zeros(len(run.rows.components))
        signal = Signal.of(run.rows)
        ridge = ridge_weights(signal, run.gold)
        ahead = advantage(signal, ridge, run.gold)
        whole[run.rows.reweighted()] = _average(signal, ridge.weights, ahead, end.weights)
        found.append((end.epochs, whole, float(_right(ridge.left_out, run.gold, 1.0).mean())))
    return found


def advantage(signal: Floats | Signal, ridge: RidgeFit, gold: Ints) -> float:
    """The paired t of ridge over the model as it is, N rows [N, J, K] scored by the others' fit."""
    rows = len(gold)
    if rows < 2:
        return 0.0
    # Centred over all rows, a row's score is this much smaller than centred over the others.
    model = weighted_sum(signal, np.ones(signal.shape[1])) * rows / (rows - 1)
    ahead = _right(ridge.left_out, gold, 1.0) - _right(model, gold)
    error = ahead.std() / np.sqrt(rows)
    return float(ahead.mean() / error) if error > SMALLEST * np.abs(ahead).max() else 0.0


def _right(scores: Floats, gold: Ints, size: float = 0.0) -> Floats:
    """[N] how much higher the right label scores [N, K], in standard deviations of the scores.

    Scores that vary by rounding alone say nothing; ``size`` is what they are made of at least.
    """
    rows, labels = scores.shape
    spread = np.sqrt(scores.var(axis=0).sum() / (labels - 1))
    if not spread > SMALLEST * np.abs(scores).max(initial=size):
        return np.zeros(rows)
    right: Floats = scores[np.arange(rows), gold] / spread / (1 - 1 / labels)
    return right


def _average(signal: Floats | Signal, ridge: Floats, ahead: float, turned_down: Floats) -> Floats:
    """[J] the average of the three weightings, of contributions as ``ridge_weights`` takes them."""
    learned = max(LEAST_LEARNED, float(ndtr(ahead)))
    rest = (1 - learned) / 2
    uniform = np.ones(signal.shape[1])
    weights = np.zeros(signal.shape[1])
    kinds = ((uniform, rest, 0.0), (turned_down, rest, 0.0), (ridge, learned, SMALLEST))
    for w, share, least in kinds:
        size = np.sqrt((weighted_sum(signal, w) ** 2).mean())
        if size > least:
            weights += share * w / size
    # Nothing varies over the train rows, as with a single one: the model as it is.
    return weights if weights.any() else uniform

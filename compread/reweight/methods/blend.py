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

Where rows have answers of their own, columns are positions, of which no level means anything:
contributions are centred over each row's answers alone, and both forms are Σ_j w_j g[j, y].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from compread.array_types import Bools, Floats, Ints
from compread.errors import UsageError, option
from compread.reweight.cost import Size, Work
from compread.reweight.label_shares import LabelShares, known_shares
from compread.reweight.method import Fitted, Method, Transductive
from compread.reweight.methods.comprw import CompRW, weighted_sum
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.official import CENTRED, ends
from compread.reweight.solvers.ridge import LOUDNESS, RIDGE, ridge_weights
from compread.reweight.solvers.shares import (
    CONCENTRATION,
    EVEN_ODDS,
    SMALLEST,
    TEMPER,
    estimate,
    right_scores,
)
from compread.reweight.solvers.signal import Signal

LEAST_LEARNED = 1 / 3
"""The smallest share of ridge: that of an even average of the three."""


@dataclass(frozen=True)
class RowBlend(Fitted):
    """Weights, with the labels' levels those of the train rows."""

    weights: Floats
    """[C] signed, 0 where a component carries none."""
    levels: Floats
    """[K] what each label's sum is on average over the train rows."""

    axes: ClassVar[Mapping[str, str]] = {"weights": "C", "levels": "K"}
    sizeless: ClassVar[bool] = True

    def scores(self, rows: Rows) -> Floats:
        """[N, K] Σ_j w_j g[j, y] - level_y."""
        scores = weighted_sum(rows.parts, self.weights)
        return scores if rows.own_answers else scores - self.levels


@dataclass(frozen=True)
class BatchBlend(Transductive, RowBlend):
    """Weights, with the labels' levels and shares estimated from the rows that are scored."""

    margin: Floats
    """[] how much higher a label scores where it is right, in standard deviations of the scores."""
    trained: Floats
    """[] the train rows that the levels are of; 0 where they are of another prompt."""

    axes: ClassVar[Mapping[str, str]] = {
        **RowBlend.axes, "margin": "", "trained": "", **Transductive.axes,
    }  # fmt: skip
    absent: ClassVar[tuple[Mapping[str, float], ...]] = (
        *Transductive.absent, {"margin": 0.0, "trained": 1.0},
    )  # fmt: skip

    def raw(self, rows: Rows) -> Floats:
        """[N, K] the scores with the train rows' levels."""
        return RowBlend.scores(self, rows)

    def calibrated(self, raw: Floats) -> Floats:
        """[N, K] less the levels, in which the labels' shares are."""
        if not len(raw):
            return raw
        return raw - estimate(raw, float(self.margin), float(self.trained), self.known).level

    def elsewhere(self) -> BatchBlend:
        """What the train rows' levels were says nothing of another prompt's."""
        return replace(self, trained=np.zeros(()))

    def row_wise(self) -> tuple[str, RowBlend]:
        """The same weights with the train rows' levels."""
        return BlendRow.name, RowBlend(self.epochs, self.weights, self.levels)


@dataclass(frozen=True)
class Blend(Method):
    """Blend, calibrated on the rows to be predicted."""

    name: ClassVar[str] = "blend"
    about: ClassVar[str] = "three weightings averaged, calibrated on the rows to predict"
    fitted: ClassVar[type[Fitted]] = BatchBlend
    label_shares: LabelShares = None
    together: ClassVar[bool] = True
    own_answers: ClassVar[bool] = True

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
        return {**fitted, **odds, "label_shares": self.told_as}

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
            fitted.told(self._shares(run, run.gold))
            for run, fitted in zip(training, _fit(training), strict=True)
        )

    def fit_together(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Weights of all rows, each run's centred over its own, and each run's own levels."""
        gold = np.concatenate([run.gold for run in training])
        shares = self._shares(training[0], gold)
        return tuple(fitted.told(shares) for fitted in _fit_together(training))

    def _shares(self, run: Training, gold: Ints) -> Floats:
        if run.rows.own_answers and self.label_shares is not None:
            raise UsageError(
                f"{option('label-shares')}: {run.store} has rows with answers of their own, which "
                "have no shares; leave it out"
            )
        return known_shares(self.label_shares, gold, run.labels)


@dataclass(frozen=True)
class BlendRow(Blend):
    """Blend, calibrated on the train rows."""

    name: ClassVar[str] = "blend-row"
    about: ClassVar[str] = "blend calibrated on the train rows"
    fitted: ClassVar[type[Fitted]] = RowBlend

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same weights, and what they sum to on the train rows."""
        return tuple(fitted.row_wise()[1] for fitted in _fit(training))

    def fit_together(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same weights, and what they sum to on each run's train rows."""
        return tuple(fitted.row_wise()[1] for fitted in _fit_together(training))


def _fit(training: Sequence[Training]) -> tuple[BatchBlend, ...]:
    found = fit_weights(training)
    return tuple(_with_levels(run, *one) for run, one in zip(training, found, strict=True))


def _fit_together(training: Sequence[Training]) -> tuple[BatchBlend, ...]:
    rows = [run.rows for run in training]
    own = rows[0].own_answers
    parts = [one.parts - (0 if own else one.parts.mean(axis=0, dtype=float)) for one in rows]
    together = Rows(
        np.concatenate(parts).astype(np.float32),
        np.concatenate([one.full for one in rows]),
        rows[0].components,
        own,
    )
    gold = np.concatenate([run.gold for run in training])
    (found,) = fit_weights([Training(together, gold, tuple(i for run in training for i in run.id))])
    return tuple(_with_levels(run, *found) for run in training)


def _with_levels(run: Training, epochs: int, weights: Floats, margin: float) -> BatchBlend:
    levels = np.zeros(run.labels)
    if not run.rows.own_answers:
        levels = weighted_sum(run.rows.parts, weights).mean(axis=0)
    return BatchBlend(
        epochs=epochs,
        weights=weights,
        levels=levels,
        margin=np.array(margin),
        trained=np.array(float(len(run))),
        shares=np.zeros(run.labels),
    )


def fit_weights(training: Sequence[Training]) -> list[tuple[int, Floats, float]]:
    """The epoch at which CompRW's training ended, the weights [C] and the margin, for each run."""
    found = []
    for run, end in zip(training, ends(training, CENTRED), strict=True):
        whole = np.zeros(len(run.rows.components))
        signal = Signal.of(run.rows)
        own = ~run.rows.absent if run.rows.own_answers else None
        ridge = ridge_weights(signal, run.gold, own)
        weightings = np.stack([np.ones(signal.shape[1]), end.weights, ridge.weights])
        scores = weighted_sum(signal, weightings)
        margins = right_scores(ridge.left_out, run.gold, 1.0, own)
        learned = max(LEAST_LEARNED, float(ndtr(advantage(margins, scores[0], run.gold, own))))
        rest = (1 - learned) / 2
        shares, least = (rest, rest, learned), (0.0, 0.0, SMALLEST)
        whole[run.rows.reweighted()] = _average(weightings, scores, shares, least)
        found.append((end.epochs, whole, float(margins.mean())))
    return found


def advantage(margins: Floats, model: Floats, gold: Ints, own: Bools | None = None) -> float:
    """The paired t of ridge over the model as it is, each row scored by the others' fit.

    Args:
        margins: [N] how much higher ridge scores the right label.
        model: [N, K] what the model scores, centred over the rows.
        gold: [N] column of the right label.
        own: [N, K] which answers a row has, where rows have their own.
    """
    rows = len(gold)
    if rows < 2:
        return 0.0
    if own is None:
        # Centred over all rows, a row's score is this much smaller than centred over the others.
        model = model * rows / (rows - 1)
    ahead = margins - right_scores(model, gold, own=own)
    error = ahead.std() / np.sqrt(rows)
    return float(ahead.mean() / error) if error > SMALLEST * np.abs(ahead).max() else 0.0


def _average(
    weightings: Floats, scores: Floats, shares: Sequence[float], least: Sequence[float]
) -> Floats:
    """[J] weightings [W, J] by scores [W, N, K], shares and what a size must be more than."""
    weights = np.zeros(weightings.shape[1])
    for w, own, share, smallest in zip(weightings, scores, shares, least, strict=True):
        size = np.sqrt((own**2).mean())
        if size > smallest:
            weights += share * w / size
    # Nothing varies over the train rows, as with a single one: the model as it is.
    return weights if weights.any() else np.ones_like(weights)

"""Batch calibration: the label probabilities against their own mean over unlabelled rows.

    log form           log p_y - log mean p_y
    probability form   p_y - mean p_y

The mean is over the rows to be predicted (``bc``, ``bc-prob``: transductive, no train rows used) or
over the train rows without their labels (``bc-train``, ``bc-prob-train``). It takes labels to be
even; where their shares π are known, log K π is added, or π - 1/K in the probability form, and
where they are to be estimated, the train rows' mean and labels are used as Blend does
(``solvers.shares``). Zhou et al., Batch
Calibration (2024); the probability form is that of the code of StaICC.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from compread.array_types import Floats
from compread.reweight.label_shares import LabelShares, known_shares
from compread.reweight.method import Fitted, Method, Transductive
from compread.reweight.probability import log_softmax, softmax
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.shares import estimate, right_scores


@dataclass(frozen=True)
class Batch(Transductive):
    """What a row says less what the rows that are scored say on average."""

    prior: Floats
    """[K] what the train rows say on average; 0 where shares are not estimated."""
    margin: Floats
    """[] how much more they say for the right label, in standard deviations; 0 likewise."""
    trained: Floats
    """[] how many they are; 0 likewise, and behind another prompt."""

    axes: ClassVar[Mapping[str, str]] = {
        **Transductive.axes, "prior": "K", "margin": "", "trained": "",
    }  # fmt: skip
    absent: ClassVar[tuple[Mapping[str, float], ...]] = (dict.fromkeys(axes, 0.0),)

    def elsewhere(self) -> Batch:
        """What the train rows say is nothing that another prompt's would."""
        return replace(self, trained=np.zeros(()))

    def calibrated(self, raw: Floats) -> Floats:
        """[N, K] by the shares that are known, else by their estimate where that was fitted."""
        if not len(raw):
            return raw
        if self.known is None and self.margin > 0:
            above = raw - self.prior
            return above - estimate(above, float(self.margin), float(self.trained)).level
        return self.batch(raw)

    @abstractmethod
    def batch(self, raw: Floats) -> Floats:
        """[N, K] less the mean of N rows, where labels have the known shares, or even ones."""


@dataclass(frozen=True)
class LogBatch(Batch):
    """Log probabilities less the log of their mean over the rows that are scored."""

    def raw(self, rows: Rows) -> Floats:
        """[N, K] log p."""
        return log_softmax(rows.full)

    def batch(self, raw: Floats) -> Floats:
        """[N, K] log p - log mean p + log K π."""
        known = np.zeros(1) if self.known is None else np.log(len(self.known) * self.known)
        return raw - log_mean(raw) + known


@dataclass(frozen=True)
class ProbabilityBatch(Batch):
    """Probabilities less their mean over the rows that are scored."""

    def raw(self, rows: Rows) -> Floats:
        """[N, K] p."""
        return softmax(rows.full)

    def batch(self, raw: Floats) -> Floats:
        """[N, K] p - mean p + π - 1/K."""
        known = np.zeros(1) if self.known is None else self.known - 1 / len(self.known)
        scores: Floats = raw - raw.mean(axis=0) + known
        return scores


@dataclass(frozen=True)
class LogPrior(Fitted):
    """Log probabilities less those of a prior."""

    prior: Floats
    """[K] log of a probability for each label."""

    axes: ClassVar[Mapping[str, str]] = {"prior": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] log p - prior."""
        return log_softmax(rows.full) - self.prior


@dataclass(frozen=True)
class ProbabilityPrior(Fitted):
    """Probabilities less those of a prior."""

    prior: Floats
    """[K] a probability for each label."""

    axes: ClassVar[Mapping[str, str]] = {"prior": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] p - prior."""
        return softmax(rows.full) - self.prior


@dataclass(frozen=True)
class BatchLog(Method):
    """Batch calibration in its log form, over the rows to be predicted."""

    label_shares: LabelShares = None

    name: ClassVar[str] = "bc"
    about: ClassVar[str] = "batch calibration over the rows to predict"
    fitted: ClassVar[type[Batch]] = LogBatch
    needs_training: ClassVar[bool] = False
    own_shares: ClassVar[str] = "balanced"

    @property
    def reads_rows(self) -> bool:
        """It does for their shares, and to estimate those of others."""
        return self.label_shares in ("train", "estimate")

    def hyperparameters(self) -> dict[str, Any]:
        """What is taken for the labels' shares."""
        return {"label_shares": self.told_as}

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same for every run, whatever its rows, where shares are even or given."""
        return tuple(self._fit(run) for run in training)

    def _fit(self, run: Training) -> Batch:
        nothing = np.zeros(run.labels)
        fitted = self.fitted(
            epochs=None,
            shares=known_shares(self.label_shares, run.gold, run.labels),
            prior=nothing,
            margin=np.zeros(()),
            trained=np.zeros(()),
        )
        if self.label_shares != "estimate" or len(run) < 2:
            return fitted
        raw = fitted.raw(run.rows)
        prior = raw.mean(axis=0)
        above = raw - prior
        above -= above.mean(axis=1, keepdims=True)
        # Less the mean of all rows, a row's score is this much smaller than less the others'.
        margin = right_scores(above * len(run) / (len(run) - 1), run.gold).mean()
        rows = np.array(float(len(run)))
        return replace(fitted, prior=prior, margin=np.array(max(0.0, margin)), trained=rows)


@dataclass(frozen=True)
class BatchProbability(BatchLog):
    """Batch calibration in its probability form, over the rows to be predicted."""

    name: ClassVar[str] = "bc-prob"
    about: ClassVar[str] = "the same on probabilities"
    fitted: ClassVar[type[Batch]] = ProbabilityBatch


@dataclass(frozen=True)
class TrainLog(Method):
    """Batch calibration in its log form, with the mean over the train rows."""

    name: ClassVar[str] = "bc-train"
    about: ClassVar[str] = "bc with the train rows' mean"
    fitted: ClassVar[type[Fitted]] = LogPrior

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The mean of each run's rows; labels are not looked at."""
        return tuple(LogPrior(None, log_mean(log_softmax(run.rows.full))) for run in training)


@dataclass(frozen=True)
class TrainProbability(Method):
    """Batch calibration in its probability form, with the mean over the train rows."""

    name: ClassVar[str] = "bc-prob-train"
    about: ClassVar[str] = "bc-prob with the train rows' mean"
    fitted: ClassVar[type[Fitted]] = ProbabilityPrior

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The mean of each run's rows; labels are not looked at."""
        return tuple(
            ProbabilityPrior(None, softmax(run.rows.full).mean(axis=0)) for run in training
        )


def log_mean(logs: Floats) -> Floats:
    """[K] the log of the mean of probabilities whose logs are [N, K]."""
    top = logs.max(axis=0)  # a probability may be too small for its exponential
    mean: Floats = np.log(np.exp(logs - top).mean(axis=0)) + top
    return mean

"""Batch calibration: the label probabilities against their own mean over unlabelled rows.

    log form           log p_y - log mean p_y
    probability form   p_y - mean p_y

The mean is over the rows to be predicted (``bc``, ``bc-prob``: transductive, no train rows used) or
over the train rows without their labels (``bc-train``, ``bc-prob-train``). Zhou et al., Batch
Calibration (2024); the probability form is that of the code of StaICC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compread.array_types import Floats
from compread.reweight.method import Fitted, Method
from compread.reweight.probability import log_softmax, softmax
from compread.reweight.rows import Rows, Training


@dataclass(frozen=True)
class LogBatch(Fitted):
    """Log probabilities less the log of their mean over the rows that are scored."""

    transductive: ClassVar[bool] = True

    def scores(self, rows: Rows) -> Floats:
        """[N, K] log p - log mean p."""
        return log_softmax(rows.full) - log_mean(rows)


@dataclass(frozen=True)
class ProbabilityBatch(Fitted):
    """Probabilities less their mean over the rows that are scored."""

    transductive: ClassVar[bool] = True

    def scores(self, rows: Rows) -> Floats:
        """[N, K] p - mean p."""
        p = softmax(rows.full)
        scores: Floats = p - p.mean(axis=0)
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

    name: ClassVar[str] = "bc"
    about: ClassVar[str] = "batch calibration over the rows to predict"
    fitted: ClassVar[type[Fitted]] = LogBatch
    needs_training: ClassVar[bool] = False

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same for every run, whatever its rows."""
        return tuple(LogBatch(None) for _ in training)


@dataclass(frozen=True)
class BatchProbability(Method):
    """Batch calibration in its probability form, over the rows to be predicted."""

    name: ClassVar[str] = "bc-prob"
    about: ClassVar[str] = "the same on probabilities"
    fitted: ClassVar[type[Fitted]] = ProbabilityBatch
    needs_training: ClassVar[bool] = False

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same for every run, whatever its rows."""
        return tuple(ProbabilityBatch(None) for _ in training)


@dataclass(frozen=True)
class TrainLog(Method):
    """Batch calibration in its log form, with the mean over the train rows."""

    name: ClassVar[str] = "bc-train"
    about: ClassVar[str] = "bc with the train rows' mean"
    fitted: ClassVar[type[Fitted]] = LogPrior

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The mean of each run's rows; labels are not looked at."""
        return tuple(LogPrior(None, log_mean(run.rows)) for run in training)


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


def log_mean(rows: Rows) -> Floats:
    """[K] the log of the mean label probabilities."""
    logs = log_softmax(rows.full)
    top = logs.max(axis=0)  # a probability may be too small for its exponential
    mean: Floats = np.log(np.exp(logs - top).mean(axis=0)) + top
    return mean

"""How far label probabilities can be trusted: calibration error, Brier score, log loss.

The expected calibration error (ECE) sorts rows into bins by the probability of the label that is
predicted, and is the mean over rows of |accuracy - mean probability| of their bin: 0 where 70 % of
the answers given with 70 % are right. Bins are ``BINS`` of equal width (Guo et al. 2017) or of
equal numbers of rows (adaptive; Nguyen and O'Connor 2015). It is above 0 by chance alone, the more
the fewer rows there are: a calibrated predictor has about √(BINS / N) / 3 on N rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compread.array_types import Bools, Float32, Floats, Ints

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from what happens, over N rows."""

    ece: float
    """Expected calibration error, in bins of equal width."""
    ece_adaptive: float
    """The same in bins of equal numbers of rows."""
    brier: float
    """Mean over rows of Σ_y (p_y - [y is right])²: 0 at best, 2 at worst."""
    log_loss: float
    """Mean over rows of -log p of the right label, in nats."""


@dataclass(frozen=True, eq=False)
class Bins:
    """The rows by how sure a prediction is; bins without rows are left out, so there are M."""

    rows: Ints
    """[M]"""
    confidence: Floats
    """[M] mean probability of the predicted label."""
    accuracy: Floats
    """[M] share of the rows that are right."""

    @property
    def error(self) -> float:
        """Mean over rows of how far accuracy and confidence are apart."""
        away = np.abs(self.accuracy - self.confidence)
        return float((self.rows * away).sum() / self.rows.sum())


def calibration(logs: Floats, gold: Ints) -> Calibration:
    """What probabilities are worth against the right labels.

    Args:
        logs: [N, K] the logarithm of each label's probability; N is at least 1.
        gold: [N] column of the right label.
    """
    confidence, hit = confidence_of(logs, gold)
    right = np.zeros_like(logs)
    right[np.arange(len(gold)), gold] = 1
    return Calibration(
        ece=equal_width(confidence, hit).error,
        ece_adaptive=equal_mass(confidence, hit).error,
        brier=float(((np.exp(logs) - right) ** 2).sum(axis=1).mean()),
        log_loss=float(-logs[np.arange(len(gold)), gold].mean()),
    )


def confidence_of(logs: Floats, gold: Ints) -> tuple[Floats, Bools]:
    """[N] the probability of the predicted label, and whether it is right.

    The prediction is the likeliest label, the first among equals.
    """
    return np.exp(logs.max(axis=1)), logs.argmax(axis=1) == gold


def equal_width(confidence: Floats, hit: Bools) -> Bins:
    """Bins of equal width; a probability at the border of two belongs to the lower one."""
    return _bins(width_bin(confidence), confidence, hit.astype(float))


def width_bin(confidence: Floats | Float32) -> Ints:
    """The bin, from 0 to ``BINS`` - 1, that each probability is in."""
    bins: Ints = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins


def equal_mass(confidence: Floats, hit: Bools) -> Bins:
    """Bins of equal numbers of rows, or one fewer.

    Rows of one probability count each with their mean, so that their order decides nothing.
    """
    values, group = np.unique(confidence, return_inverse=True)
    mean = np.bincount(group, weights=hit) / np.bincount(group)
    order = np.argsort(confidence, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) * min(BINS, len(order)) // len(order)
    return _bins(place, values[group], mean[group])


def _bins(place: Ints, confidence: Floats, hit: Floats) -> Bins:
    rows = np.bincount(place)
    there = rows > 0
    sums = (np.bincount(place, weights=values)[there] for values in (confidence, hit))
    means = [one / rows[there] for one in sums]
    return Bins(rows[there], *means)

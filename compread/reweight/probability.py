"""Label logits as probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from compread.array_types import Floats, Ints


def log_softmax(logits: npt.NDArray[np.floating]) -> Floats:
    """[..., K] the logarithm of the softmax over the last axis."""
    logs: Floats = special.log_softmax(logits.astype(float), axis=-1)
    return logs


def softmax(logits: npt.NDArray[np.floating]) -> Floats:
    """[..., K] the softmax over the last axis."""
    probabilities: Floats = special.softmax(logits.astype(float), axis=-1)
    return probabilities


def cross_entropy(scores: Floats, gold: npt.NDArray[np.int64]) -> float:
    """The mean over rows of -log p of the right label, for scores [N, K]."""
    return float(-log_softmax(scores)[np.arange(len(gold)), gold].mean())


def row_cross_entropy(scores: Floats, gold: Ints) -> tuple[Floats, Floats]:
    """The cross-entropy of each row [..., N] and its gradient by the scores [..., N, K].

    Training asks for it at every step.

    Args:
        scores: [..., N, K].
        gold: [..., N] column of the right label.
    """
    slope, normalizer = softmax_and_normalizer(scores)
    right = np.arange(gold.size) * scores.shape[-1] + gold.reshape(-1)
    own = scores.reshape(-1)[right].reshape(gold.shape)
    slope.reshape(-1)[right] -= 1
    return normalizer - own, slope


def softmax_and_normalizer(scores: Floats) -> tuple[Floats, Floats]:
    """The softmax over labels [..., K], contiguous, and log Σ exp score [...].

    One pass gives both, as training wants them at every step; scipy's two take a pass each.
    """
    likely = np.empty(scores.shape)
    highest = np.maximum.reduce(scores, axis=-1, keepdims=True)
    np.subtract(scores, highest, out=likely)
    np.exp(likely, out=likely)
    total = np.add.reduce(likely, axis=-1, keepdims=True)
    likely /= total
    normalizer: Floats = (np.log(total) + highest)[..., 0]
    return likely, normalizer

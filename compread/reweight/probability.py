"""Label logits as probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from compread.array_types import Floats


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

"""LinC: a linear map of the label probabilities.

    softmax(W p + b), trained on cross-entropy one row at a time

W starts at diag(p_cf)^-1 where the store has content-free prompts, else at the identity, and b at
zero. Rate and epochs are within the range of the authors' scripts (8.5e-5 to 5.5e-3, 1 to 15),
which were made for hundreds of rows. Abbas et al. 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from compread.array_types import Floats
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.content_free import CONTENT_FREE, mean_probability
from compread.reweight.probability import softmax
from compread.reweight.rows import Rows, Training


@dataclass(frozen=True)
class LinearMap(Fitted):
    """A linear map of the label probabilities."""

    matrix: Floats
    """[K, K] W."""
    bias: Floats
    """[K] b."""

    axes: ClassVar[Mapping[str, str]] = {"matrix": "KK", "bias": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] W p + b."""
        scores: Floats = softmax(rows.full) @ self.matrix.T + self.bias
        return scores


@dataclass(frozen=True)
class LinC(Method):
    """Linear probe calibration."""

    learning_rate: float = 5e-3
    epochs: int = 15

    name: ClassVar[str] = "linc"
    about: ClassVar[str] = "a linear map of the label probabilities"
    fitted: ClassVar[type[Fitted]] = LinearMap

    def hyperparameters(self) -> dict[str, Any]:
        """Rate and epochs."""
        return {"learning_rate": self.learning_rate, "epochs": self.epochs}

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """W and b of each run."""
        return tuple(self._fit(run) for run in training)

    def _fit(self, run: Training) -> LinearMap:
        p = softmax(run.rows.full)
        matrix, bias = _start(run), np.zeros(p.shape[1])
        right = np.eye(len(bias))[run.gold]
        for _ in range(self.epochs):
            for row, target in zip(p, right, strict=True):
                step = self.learning_rate * (softmax(matrix @ row + bias) - target)
                matrix = matrix - np.outer(step, row)
                bias = bias - step
        return LinearMap(self.epochs - 1, matrix, bias)


def _start(run: Training) -> Floats:
    p_cf = mean_probability(run, CONTENT_FREE)
    return np.eye(run.rows.full.shape[1]) if p_cf is None else np.diag(1 / p_cf)

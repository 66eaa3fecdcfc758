"""A factor and a shift for each label's logit.

    score_y = a_y s_y + b_y      s: the model's label logits

minimises mean cross-entropy + λ (‖a - 1‖² + ‖b‖²) on the train rows, with λ a fixed prior that the
model is about right. The affine part of supervised calibration (Gundem et al. 2025), without its
other regularisers. Logits are centred per row, which no softmax sees, so that a is not spent on a
level that all labels share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from compread.array_types import Floats
from compread.reweight.method import Fitted, Method
from compread.reweight.probability import log_softmax
from compread.reweight.rows import Rows, Training


@dataclass(frozen=True)
class AffineMap(Fitted):
    """A factor and a shift for each label's logit."""

    factors: Floats
    """[K] a."""
    shifts: Floats
    """[K] b."""

    axes: ClassVar[Mapping[str, str]] = {"factors": "K", "shifts": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] a ∘ s + b."""
        return self.factors * centred_logits(rows) + self.shifts


@dataclass(frozen=True)
class Affine(Method):
    """The per-class affine map."""

    penalty: float = 0.01

    name: ClassVar[str] = "affine"
    about: ClassVar[str] = "a factor and a shift for each label's logit"
    fitted: ClassVar[type[Fitted]] = AffineMap

    def hyperparameters(self) -> dict[str, Any]:
        """λ."""
        return {"penalty": self.penalty}

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Factors and shifts of each run."""
        return tuple(self._fit(run) for run in training)

    def _fit(self, run: Training) -> AffineMap:
        from scipy.optimize import minimize

        logits = centred_logits(run.rows)
        count = logits.shape[1]
        right = np.eye(count)[run.gold]
        prior = np.r_[np.ones(count), np.zeros(count)]

        def value(v: Floats) -> tuple[float, Floats]:
            logs = log_softmax(logits * v[:count] + v[count:])
            slope = (np.exp(logs) - right) / len(logits)
            away = v - prior
            gradient = np.r_[(slope * logits).sum(axis=0), slope.sum(axis=0)]
            loss = -(logs * right).sum() / len(logits) + self.penalty * away @ away
            return float(loss), gradient + 2 * self.penalty * away

        found = minimize(value, prior, jac=True, method="BFGS", options={"gtol": 1e-8}).x
        return AffineMap(None, found[:count], found[count:])


def centred_logits(rows: Rows) -> Floats:
    """[N, K] the model's label logits less their mean over the labels."""
    logits = rows.full.astype(float)
    centred: Floats = logits - logits.mean(axis=1, keepdims=True)
    return centred

"""Calib+: one factor for each label on the model's label probabilities.

p' = softmax(v ∘ p) with p the softmax over the model's label logits and v in R^K, trained from ones
on the cross-entropy of p' (paper section 5.2). p' is a softmax of probabilities, so its slopes are
flat and v moves slowly; the decision is argmax v_y p_y. Trained as in the released code, which
looks at the accuracy before a step and takes up to 5000 steps, without L1 and without clipping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from compread.reweight.descent import Recipe, descend_each
from compread.reweight.method import Fitted, Float64, Method
from compread.reweight.probability import softmax
from compread.reweight.rows import Rows, Training

TRAINER = Recipe(l1=0.0, clip=False, epochs=5000, check_after_step=False)


@dataclass(frozen=True)
class LabelFactors(Fitted):
    """A factor for each label's probability."""

    factors: Float64
    """[K] v."""

    axes: ClassVar[Mapping[str, str]] = {"factors": "K"}

    def scores(self, rows: Rows) -> Float64:
        """[N, K] v ∘ p."""
        return self.factors * softmax(rows.full)


@dataclass(frozen=True)
class CalibPlus(Method):
    """Calib+ as in the released code."""

    name: ClassVar[str] = "calib+"
    about: ClassVar[str] = "a factor for each label's probability"
    fitted: ClassVar[type[Fitted]] = LabelFactors

    def hyperparameters(self) -> dict[str, Any]:
        """The trainer's settings."""
        return asdict(TRAINER)

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Fits v of each run."""
        features = []
        for run in training:
            p = softmax(run.rows.full)
            features.append(p[:, :, None] * np.eye(p.shape[1]))  # [N, K, K], p on the diagonal
        ends = descend_each(features, [run.gold for run in training], TRAINER)
        return tuple(LabelFactors(end.epochs, end.weights) for end in ends)

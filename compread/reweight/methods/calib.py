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

from compread.array_types import Floats
from compread.reweight.cost import Size, Work
from compread.reweight.method import Fitted, Method
from compread.reweight.probability import softmax
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.descent import Recipe, descend_each
from compread.reweight.solvers.sums import Diagonal

TRAINER = Recipe(l1=0.0, clip=False, epochs=5000, check_after_step=False)


@dataclass(frozen=True)
class LabelFactors(Fitted):
    """A factor for each label's probability."""

    factors: Floats
    """[K] v."""

    axes: ClassVar[Mapping[str, str]] = {"factors": "K"}

    def scores(self, rows: Rows) -> Floats:
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

    def work(self, size: Size) -> Work:
        """Next to no memory; an exponential and ten passes over the probabilities an epoch."""
        return Work(0.0, 60.0 * size.rows * size.labels * TRAINER.epochs)

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Fits v of each run."""
        p = [softmax(run.rows.full) for run in training]
        ends = descend_each(p, [run.gold for run in training], TRAINER, Diagonal.of)
        return tuple(LabelFactors(end.epochs, end.weights) for end in ends)

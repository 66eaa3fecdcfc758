"""CompRW: one weight for each head and MLP, shared by all labels and rows.

logits_w[y] = Σ_j w_j g[j, y], trained from w = 1 on cross-entropy + λ‖w‖₁ (paper section 5.1,
equation 9 and algorithm 1). The embedding and the biases carry no weight and are left out, so at
w = 1 the scores are the model's logits without those two.

The recipe ``official`` is that of the released code: mean cross-entropy, λ 0.01 on the unclipped
weights, weights clipped to [0, 1] wherever they are used, SGD with 0.05, its stop rule. A component
can be turned down or off, never inverted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from compread.reweight.descent import Recipe, descend_each
from compread.reweight.method import Fitted, Float64, Method
from compread.reweight.rows import Rows, Training

RECIPES = {"official": Recipe()}


@dataclass(frozen=True)
class ComponentWeights(Fitted):
    """A weight for each component."""

    weights: Float64
    """[C] 0 where a component carries none."""

    axes: ClassVar[Mapping[str, str]] = {"weights": "C"}

    def scores(self, rows: Rows) -> Float64:
        """[N, K] Σ_j w_j g[j, y]."""
        scores: Float64 = np.einsum("nck,c->nk", rows.parts, self.weights)
        return scores


@dataclass(frozen=True)
class CompRW(Method):
    """Component reweighting."""

    recipe: str = "official"

    name: ClassVar[str] = "comprw"
    fitted: ClassVar[type[Fitted]] = ComponentWeights

    @classmethod
    def make(cls, recipe: str) -> CompRW:
        """The method in one of ``RECIPES``."""
        return cls(recipe)

    def hyperparameters(self) -> dict[str, Any]:
        """The trainer's settings."""
        return asdict(RECIPES[self.recipe])

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Fits the weights of each run."""
        used = [run.rows.reweighted() for run in training]
        features = [
            run.rows.parts[:, u].astype(float) for run, u in zip(training, used, strict=True)
        ]
        ends = descend_each(features, [run.gold for run in training], RECIPES[self.recipe])
        fits = []
        for u, end in zip(used, ends, strict=True):
            weights = np.zeros(len(u))
            weights[u] = end.weights
            fits.append(ComponentWeights(end.epochs, weights))
        return tuple(fits)

"""CompRW: one weight for each head and MLP, shared by all labels and rows.

logits_w[y] = Σ_j w_j g[j, y], trained from w = 1 on cross-entropy + λ‖w‖₁ (paper section 5.1,
equation 9 and algorithm 1). The embedding and the biases carry no weight and are left out, so at
w = 1 the scores are the model's logits without those two.

The recipes:

- ``official``, of the released code: mean cross-entropy, λ 0.01 on the unclipped weights, weights
  clipped to [0, 1] wherever they are used, SGD with 0.05, its stop rule. A component can be turned
  down or off, never inverted.
- ``paper``, of the text (section 5.1, appendix A.7): summed cross-entropy, λ 0.1, no clipping; the
  stop rule, which the text leaves open, is that of the code.
- ``convex``: the mean cross-entropy with λ by cross-validation, at its optimum in the box [0, 1];
  ``signed`` without the box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from compread.array_types import Floats
from compread.reweight.blocks import for_each_block
from compread.reweight.cost import Size, Work
from compread.reweight.method import Fitted, Method
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers import convex
from compread.reweight.solvers.descent import Recipe, descend_each
from compread.reweight.solvers.official import OFFICIAL, RAW, ends
from compread.reweight.solvers.signal import Signal

TRAINERS = {
    "official": OFFICIAL,
    # A first loss of any size may be beaten: a sum over rows easily starts above 100.
    "paper": Recipe(summed=True, l1=0.1, clip=False, first_best=1e9),
}


@dataclass(frozen=True)
class ComponentWeights(Fitted):
    """A weight for each component."""

    weights: Floats
    """[C] 0 where a component carries none."""

    axes: ClassVar[Mapping[str, str]] = {"weights": "C"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] Σ_j w_j g[j, y]."""
        return weighted_sum(rows.parts, self.weights)


def weighted_sum(parts: npt.NDArray[np.floating] | Signal, weights: Floats) -> Floats:
    """[.., N, K] Σ_j w_j g[j, y] of parts [N, J, K], for one weighting [J] or several [.., J]."""
    scores = np.empty((*weights.shape[:-1], len(parts), parts.shape[2]))

    def sum_up(span: slice) -> None:
        summed = np.matmul(weights, np.asarray(parts[span], dtype=float))
        scores[..., span, :] = summed if weights.ndim == 1 else summed.swapaxes(0, 1)

    for_each_block(sum_up, parts)
    return scores


@dataclass(frozen=True)
class CompRW(Method):
    """Component reweighting."""

    recipe: str = "official"

    name: ClassVar[str] = "comprw"
    about: ClassVar[str] = "a weight for each head and MLP (--recipe)"
    recipes: ClassVar[tuple[str, ...]] = (*TRAINERS, "convex", "signed")
    fitted: ClassVar[type[Fitted]] = ComponentWeights
    own_answers: ClassVar[bool] = True

    @property
    def official_form(self) -> str | None:
        """The contributions as they are, for its own recipe of that name."""
        return RAW if self.recipe == "official" else None

    def hyperparameters(self) -> dict[str, Any]:
        """The trainer's settings, or what λ is chosen among."""
        if self.recipe in TRAINERS:
            return asdict(TRAINERS[self.recipe])
        return {"l1": list(convex.PENALTIES), "folds": convex.FOLDS}

    def work(self, size: Size) -> Work:
        """A copy of the rows and two products with it an epoch; folds of it for ``convex``."""
        if self.recipe in TRAINERS:
            copy = (4 if self.recipe == "official" else 8) * size.numbers
            return Work(copy, 2 * size.numbers * TRAINERS[self.recipe].epochs)
        solved = convex.FOLDS * len(convex.PENALTIES)
        return Work(8 * (2 - 1 / convex.FOLDS) * size.numbers, 2 * size.numbers * 100 * solved)

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Fits the weights of each run."""
        fits = []
        for run, (epochs, weights, gap) in zip(training, self._found(training), strict=True):
            used = run.rows.reweighted()
            whole = np.zeros(len(used))
            whole[used] = weights
            fits.append(ComponentWeights(epochs, whole, gap=gap))
        return tuple(fits)

    def _found(self, training: Sequence[Training]) -> list[tuple[int | None, Floats, float | None]]:
        """The epoch at which training ended, the weights [J] and the gap; None where there is none.

        One for each run.
        """
        if self.recipe == "official":
            return [(end.epochs, end.weights, None) for end in ends(training, RAW)]
        features = [run.rows.carrying() for run in training]
        gold = [run.gold for run in training]
        if self.recipe in TRAINERS:
            trained = descend_each(features, gold, TRAINERS[self.recipe])
            return [(end.epochs, end.weights, None) for end in trained]
        solved = map(self._solve, features, gold)
        return [(None, end.weights, end.gap) for end in solved]

    def _solve(self, features: Floats, gold: npt.NDArray[np.int64]) -> convex.Solution:
        signed = self.recipe == "signed"
        penalty = convex.choose_penalty(features, gold, signed)
        return convex.solve(features, gold, penalty, signed)

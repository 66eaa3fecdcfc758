"""The model as it is: its own label logits, nothing fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compread.array_types import Floats
from compread.reweight.method import Fitted, Method
from compread.reweight.rows import Rows, Training


@dataclass(frozen=True)
class FullModel(Fitted):
    """The model's own label logits."""

    def scores(self, rows: Rows) -> Floats:
        """[N, K] the model's label logits."""
        return rows.full.astype(float)


@dataclass(frozen=True)
class Full(Method):
    """The full model, for comparison ("Standard" in Table 4 of the paper)."""

    name: ClassVar[str] = "full"
    about: ClassVar[str] = "the model as it is"
    fitted: ClassVar[type[Fitted]] = FullModel
    own_answers: ClassVar[bool] = True
    needs_training: ClassVar[bool] = False

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same for every run, whatever its rows."""
        return tuple(FullModel(epochs=None) for _ in training)

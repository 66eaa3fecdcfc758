"""What a method may see: rows to predict, and labelled rows to learn from.

``Rows`` has no right labels, so a method cannot look at those of the rows it predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from compread.analysis.categories import COUNTED_KINDS
from compread.array_types import Float32
from compread.components import NORMALIZER, Component
from compread.errors import StoreError, UsageError, option
from compread.reweight.blocks import blocks, for_each_block
from compread.store.schema import Labels, Split

if TYPE_CHECKING:
    from compread.reweight.solvers.descent import Descent

Number = TypeVar("Number", np.float32, np.float64)

TURNED_BYTES = 2**20
"""Of the copy that is made at a time, so that what is turned over stays in a core's cache."""


@dataclass(frozen=True)
class Rows:
    """Rows to predict."""

    parts: Float32
    """[N, C, K] contribution of each component to each label logit."""
    full: Float32
    """[N, K] the model's own label logits."""
    components: tuple[Component, ...]
    """The component axis, length C."""
    own_answers: bool = False
    """Whether rows have answers of their own: a column is a position then, no label in common, and
    its numbers are NaN where a row has no such answer."""

    @property
    def absent(self) -> npt.NDArray[np.bool_]:
        """[N, K] where a row has no answer."""
        return np.isnan(self.full)

    def reweighted(self) -> npt.NDArray[np.bool_]:
        """[C] whether a component carries a weight.

        Heads, mixers and MLPs do; the paper leaves the embedding out (its footnote 2). So does the
        normalizer of whole answers: without it each token more would make an answer likelier.
        """
        kinds = (*COUNTED_KINDS, NORMALIZER.kind)
        return np.array([component.kind in kinds for component in self.components])

    def carrying(self, span: slice = slice(None)) -> npt.NDArray[np.float64]:
        """[n, J, K] the parts of the components that carry a weight, in double precision.

        A copy; a label's components lie side by side in memory, as the products of training want
        them.

        Args:
            span: of the rows; all of them by default.
        """
        start, stop, _ = span.indices(len(self))
        copy = self._room(stop - start, np.float64)
        self._turn(span, copy)
        return copy.swapaxes(1, 2)

    def carrying_single(self) -> Float32:
        """[N, J, K] those of all rows as they are held: half the memory to go through."""
        copy = self._room(len(self), np.float32)
        for_each_block(lambda span: self._turn(span, copy[span]), self.parts)
        return copy.swapaxes(1, 2)

    def _room(self, rows: int, dtype: type[Number]) -> npt.NDArray[Number]:
        """[n, K, J]."""
        return np.empty((rows, self.full.shape[1], int(self.reweighted().sum())), dtype)

    def _turn(self, span: slice, copy: npt.NDArray[Any]) -> None:
        used, parts = self.reweighted(), self.parts[span]
        for some in blocks(parts, TURNED_BYTES):
            copy[some] = parts[some][:, used].swapaxes(1, 2)

    def __len__(self) -> int:
        return len(self.full)


@dataclass(frozen=True)
class Training:
    """Labelled rows to learn from."""

    rows: Rows
    gold: npt.NDArray[np.int64]
    """[N] column of the right label."""
    id: tuple[str, ...]
    store: str = ""
    """Path of the store they are from."""
    content_free: Rows | None = None
    """The store's content-free prompts, M rows; None where it has none."""
    content_free_id: tuple[str, ...] = ()
    """[M] what each of them is."""
    label_gram: npt.NDArray[np.float64] | None = None
    """[N, K, K] inner products of the unembeddings of labels or answers; None: there are none."""
    official: dict[str, Descent] = field(default_factory=dict, init=False, repr=False)
    """How CompRW's official training of these rows ended, by its form, as far as it is known."""

    @property
    def labels(self) -> int:
        """K."""
        return int(self.rows.full.shape[1])

    def __len__(self) -> int:
        return len(self.gold)


def rows_of(split: Split, components: Sequence[Component]) -> Rows:
    """The rows of a split without their right labels."""
    return Rows(split.parts, split.full, tuple(components), split.own_answers)


def training_of(
    split: Split,
    components: Sequence[Component],
    n_train: int | None,
    store: str,
    calibration: Split | None = None,
    label_gram: npt.NDArray[np.float64] | None = None,
) -> Training:
    """The first ``n_train`` labelled rows of a split, or all of them.

    Raises:
        UsageError: the split has fewer rows, or ``n_train`` is negative; ``store`` names it.
    """
    count = row_count(n_train, len(split), store)
    parts, full = split.parts[:count], split.full[:count]
    first = Rows(parts, full, tuple(components), split.own_answers)
    free = rows_of(calibration, components) if calibration is not None and calibration.id else None
    free_id = calibration.id if calibration is not None else ()
    gram = None if label_gram is None else label_gram[:count]
    return Training(first, split.gold[:count], split.id[:count], store, free, free_id, gram)


def row_count(n_train: int | None, there: int, store: str) -> int:
    """How many of the train rows that are ``there`` a budget is; None is all of them.

    Raises:
        UsageError: as in ``training_of``.
    """
    count = there if n_train is None else n_train
    if not 0 <= count <= there:
        raise UsageError(
            f"{option('n-train', count)}: {store} has {there} train rows; ask for 1 to {there}"
        )
    return count


def check_labels(labels: Labels, store: str) -> None:
    """Refuses a store of a single label, where every method is right without looking.

    Raises:
        StoreError: the store has fewer than two labels.
    """
    if len(labels.word) < 2:
        raise StoreError(
            f"{store} has only the label {', '.join(map(repr, labels.word))}; "
            "reweighting needs at least two, so extract it again with every label of the task"
        )

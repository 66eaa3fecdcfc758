"""What every reweighting method is: ``fit(training rows)`` gives a fitted object that scores rows.

A method is a frozen dataclass whose fields are its options; what it fits is a frozen dataclass of
arrays. Neither sees the right labels of the rows it is asked to score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from compread.array_types import Floats
from compread.reweight.cost import Size, Work
from compread.reweight.label_shares import LabelShares
from compread.reweight.rows import Rows, Training

TOGETHER_BYTES = 64 << 20
"""Of train rows in memory together; a single run's may be more."""


@dataclass(frozen=True)
class Fitted(ABC):
    """A method after it has seen its training rows."""

    epochs: int | None
    """The epoch at which training stopped, counted from 0; None if there was no training."""
    gap: float | None = field(default=None, kw_only=True)
    """How far the objective can be above its minimum, as a share of itself; None where the method
    seeks no minimum."""

    axes: ClassVar[Mapping[str, str]] = {}
    """The axis letters of each fitted array: ``{"weights": "C"}``."""
    absent: ClassVar[tuple[Mapping[str, float], ...]] = ()
    """What weights files of older versions lack of the arrays, with what is true of those: of the
    last version, of those before that one too, and so on."""
    transductive: ClassVar[bool] = False
    """Whether a row's scores depend on the rows that are scored with it."""
    sizeless: ClassVar[bool] = False
    """Whether its component weights are brought to a size that says nothing of the model's own."""

    @abstractmethod
    def scores(self, rows: Rows) -> Floats:
        """[N, K] a score for each label; the largest is the prediction, the first among equals.

        What is said of answers that a row does not have means nothing.
        """

    def told(self, shares: Floats) -> Fitted:
        """The form for rows whose labels' shares are known: [K], 0 where they are not.

        The same where rows are scored one by one.
        """
        return self

    def row_wise(self) -> tuple[str, Fitted] | None:
        """The form that labels a row without others beside it, and the method it is called.

        None where there is no such form, or where it is one itself.
        """
        return None

    def elsewhere(self) -> Fitted:
        """The form for rows behind another prompt than the train rows', by default the same."""
        return self

    def parameters(self) -> dict[str, Floats]:
        """The fitted arrays by name."""
        return {name: getattr(self, name) for name in self.axes}


@dataclass(frozen=True)
class Transductive(Fitted):
    """A fitted method whose scores of a row depend on the rows that are scored with it.

    What it needs to see of each of them is ``raw``, so that rows can come window by window.
    """

    shares: Floats
    """[K] what is known of the labels' shares among those rows; 0 where nothing is."""

    axes: ClassVar[Mapping[str, str]] = {"shares": "K"}
    absent: ClassVar[tuple[Mapping[str, float], ...]] = ({"shares": 0.0},)
    transductive: ClassVar[bool] = True

    @abstractmethod
    def raw(self, rows: Rows) -> Floats:
        """[N, K] what is kept of each row, whatever the others are."""

    @abstractmethod
    def calibrated(self, raw: Floats) -> Floats:
        """[N, K] the scores of rows from what was kept of them."""

    def scores(self, rows: Rows) -> Floats:
        """[N, K] of rows that are all there; answers of a row's own have no shares."""
        raw = self.raw(rows)
        return raw if rows.own_answers else self.calibrated(raw)

    def told(self, shares: Floats) -> Fitted:
        """The form for rows whose labels' shares are known: [K], 0 where they are not."""
        return replace(self, shares=shares)

    @property
    def known(self) -> Floats | None:
        """[K] the shares; None where nothing is known of them."""
        return self.shares if self.shares.any() else None


class Method(ABC):
    """A way to turn components into predictions."""

    name: ClassVar[str]
    """What ``--methods`` and the tables call it."""
    about: ClassVar[str]
    """What it is, in a few words, for the list of methods."""
    fitted: ClassVar[type[Fitted]]
    needs_training: ClassVar[bool] = True
    together: ClassVar[bool] = False
    """Whether runs that differ in their demonstrations predict better fitted together than each
    alone and averaged, where that was measured (the manual's page on reweighting)."""
    own_answers: ClassVar[bool] = False
    """Whether it needs no labels in common, so that each row may have answers of its own."""
    recipes: ClassVar[tuple[str, ...]] = ()
    """The names of its sets of options, the default one first; none where it has but one set."""
    recipe: str | None = None
    """The name of the set in use, where the method has several."""

    @classmethod
    def make(cls, recipe: str | None = None) -> Method:
        """The method with its options set by one of ``recipes``, the first where none is named.

        A method with recipes is a dataclass with a field ``recipe``.
        """
        return cls(recipe=recipe or cls.recipes[0]) if cls.recipes else cls()  # type: ignore[call-arg]

    label_shares: LabelShares = None
    """Of a transductive method, what it takes for the labels' shares; None is its own default."""
    own_shares: ClassVar[str] = "estimate"
    """That default."""

    @property
    def told_as(self) -> str | list[float]:
        """The same for the weights file."""
        shares = self.label_shares
        return (
            self.own_shares if shares is None else shares if isinstance(shares, str) else [*shares]
        )

    @property
    def reads_rows(self) -> bool:
        """Whether a fit depends on the train rows, as it may with some options and not others."""
        return self.needs_training

    @property
    def title(self) -> str:
        """The method as ``--methods`` spells it: with its recipe where that is not the default."""
        plain = self.recipe is None or self.recipe == self.recipes[0]
        return self.name if plain else f"{self.name}:{self.recipe}"

    @property
    def official_form(self) -> str | None:
        """The form of CompRW's official training that it uses (``official.RAW``, ``CENTRED``)."""
        return None

    def hyperparameters(self) -> dict[str, Any]:
        """The options it was fitted with, for the weights file; none unless a method has some."""
        return {}

    def work(self, size: Size) -> Work:
        """What a fit and the scores take at most, beyond the rows themselves; little by default."""
        return Work(0.0, 4.0 * size.numbers)

    @abstractmethod
    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """Fits each run on its own rows; several runs in one call are fitted side by side."""

    def fit_together(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """What each run of one template makes of the rows of all; by default of its own alone."""
        return self.fit(training)


def in_turn(method: Method, training: Iterable[Training]) -> Iterator[Fitted]:
    """A method's fits, side by side as long as their copies of the rows are small."""
    some: list[Training] = []
    size = 0
    for run in training:
        if some and size + run.rows.parts.nbytes > TOGETHER_BYTES:
            yield from method.fit(some)
            some, size = [], 0
        some.append(run)
        size += run.rows.parts.nbytes
    if some:
        yield from method.fit(some)

"""Few components instead of all: the best one, a vote of the best, and heads by TR or TL score.

A component's accuracy is that of its own largest contribution on the train rows (paper section
3.3, Transfer-1). TR and TL are the task-recognition and task-learning scores of heads (Yang, Cho
and Inoue 2026): with g the head's contributions to the labels and ‖g‖² = gᵀ (U Uᵀ)⁻¹ g the squared
length of its write, behind the final norm, in the span of the label unembeddings U [K, D],

    TR = mean over rows of ‖g‖²
    TL = mean over rows of (mean over wrong labels y' of g[right] - g[y']) / ‖g‖²

Where answers are whole texts, a head's write is that at all positions of the row's answers
together, and U has an answer's direction in the place of a label's unembedding
(``compread.model.answers``); wrong are the row's own other answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from compread.analysis.categories import counted
from compread.array_types import Floats, Ints
from compread.errors import UsageError, flag, option
from compread.reweight.blocks import blocks
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.comprw import ComponentWeights
from compread.reweight.probability import softmax
from compread.reweight.rows import Rows, Training


@dataclass(frozen=True)
class Voters(Fitted):
    """Components that vote for their largest label."""

    chosen: Floats
    """[C] 1 for those that vote."""

    axes: ClassVar[Mapping[str, str]] = {"chosen": "C"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] votes, and below one vote the voters' mean probabilities, which settle ties."""
        parts = present(rows.parts[:, self.chosen > 0].astype(float))  # [N, voters, K]
        votes = np.eye(parts.shape[2])[parts.argmax(axis=2)].sum(axis=1)
        scores: Floats = votes + 0.5 * softmax(parts).mean(axis=1)
        return scores


@dataclass(frozen=True)
class BestOne(Method):
    """The component that is best on the train rows, alone."""

    name: ClassVar[str] = "best-one"
    about: ClassVar[str] = "the best component on the train rows, alone"
    fitted: ClassVar[type[Fitted]] = ComponentWeights
    own_answers: ClassVar[bool] = True

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The best component of each run; among equals that of the larger mean margin."""
        return tuple(ComponentWeights(None, _top(run, best_first(run)[:1])) for run in training)


@dataclass(frozen=True)
class Vote(Method):
    """The k components that are best on the train rows, one vote each."""

    k: int = 10

    name: ClassVar[str] = "vote"
    about: ClassVar[str] = "a vote of the ten best components"
    fitted: ClassVar[type[Fitted]] = Voters
    own_answers: ClassVar[bool] = True

    def hyperparameters(self) -> dict[str, Any]:
        """How many vote."""
        return {"k": self.k}

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The voters of each run."""
        return tuple(Voters(None, _top(run, best_first(run)[: self.k])) for run in training)


@dataclass(frozen=True)
class TaskLearning(Method):
    """The sum of the heads with the largest TL scores."""

    share: float = 0.1

    name: ClassVar[str] = "tl"
    about: ClassVar[str] = "the tenth of the heads with the largest TL scores"
    fitted: ClassVar[type[Fitted]] = ComponentWeights
    own_answers: ClassVar[bool] = True

    def hyperparameters(self) -> dict[str, Any]:
        """Which share of the heads."""
        return {"share": self.share}

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The heads of each run; all mixers and MLPs where there is no head.

        Raises:
            UsageError: a store is older than the inner products of its labels' or answers'
                unembeddings.
        """
        fits = []
        for run in training:
            scores = self._scores(run)
            heads = np.array([c.kind == "head" for c in run.rows.components])
            pool = np.flatnonzero(heads) if heads.any() else _counted(run)
            count = max(1, round(self.share * len(pool)))
            best = pool[np.argsort(-scores[pool], kind="stable")][:count]
            fits.append(ComponentWeights(None, _top(run, best)))
        return tuple(fits)

    def _scores(self, run: Training) -> Floats:
        parts, labels = run.rows.parts, (~run.rows.absent).sum(axis=1)[:, None]
        right = parts[np.arange(len(run)), :, run.gold].astype(float)
        margin = (labels * right - np.nansum(parts, axis=2, dtype=float)) / (labels - 1)
        norm = self._lengths(run)
        tl: Floats = np.divide(margin, norm, out=np.zeros_like(norm), where=norm > 0).mean(axis=0)
        return tl

    def _lengths(self, run: Training) -> Floats:
        """[N, C] squared lengths in the span of the unembeddings of labels or answers."""
        if run.label_gram is None:
            what = "answers" if run.rows.own_answers else "labels"
            raise UsageError(
                f"{option('methods', self.name)}: {run.store} is older than the inner products of "
                f"its {what}' unembeddings: extract it again with {flag('force')}"
            )
        grams, parts = run.label_gram, run.rows.parts
        same = bool((grams == grams[:1]).all())  # as it is wherever a label is one token
        # Two words may have one unembedding: then their span is smaller, and so is the matrix's.
        inverse = np.linalg.pinv(grams[:1] if same else grams, 1e-10, hermitian=True)
        lengths = np.empty(parts.shape[:2])
        for span in blocks(parts):
            g = np.nan_to_num(parts[span].astype(float))
            lengths[span] = ((g @ (inverse if same else inverse[span])) * g).sum(axis=2)
        return lengths


@dataclass(frozen=True)
class TaskRecognition(TaskLearning):
    """The sum of the heads with the largest TR scores; labels are not looked at."""

    name: ClassVar[str] = "tr"
    about: ClassVar[str] = "the tenth of the heads with the largest TR scores"

    def _scores(self, run: Training) -> Floats:
        tr: Floats = self._lengths(run).mean(axis=0)
        return tr


def best_first(run: Training) -> Ints:
    """Heads, mixers and MLPs by accuracy on the train rows, then by mean margin."""
    hits, margins = np.empty((2, *run.rows.parts.shape[:2]))
    for span in blocks(run.rows.parts):
        parts, gold = present(run.rows.parts[span].astype(float)), run.gold[span]
        rows = np.arange(len(gold))
        hits[span] = parts.argmax(axis=2) == gold[:, None]
        right = parts[rows, :, gold]
        parts[rows, :, gold] = -np.inf
        margins[span] = right - parts.max(axis=2)
    accuracy, margin = hits.mean(axis=0), margins.mean(axis=0)
    pool = _counted(run)
    order: Ints = pool[np.lexsort((-margin[pool], -accuracy[pool]))]
    return order


def present(logits: Floats) -> Floats:
    """Logits with -∞ for answers that a row does not have, so that none of them is the largest."""
    return np.where(np.isnan(logits), -np.inf, logits)


def _counted(run: Training) -> Ints:
    """Positions of the components that can stand for a model; the normalizer never does."""
    return np.array(counted(run.rows.components), dtype=np.int64)


def _top(run: Training, chosen: Ints) -> Floats:
    weights = np.zeros(len(run.rows.components))
    weights[chosen] = 1.0
    return weights

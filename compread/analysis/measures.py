"""What components can be ranked by: an entry here is all that a new measure takes.

Its name in ``rank --by``, its key in JSON, CSV and pandas, its column in the table and its heat map
follow from it. Nothing is imported that ``--help`` would wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from compread.analysis.tally import Tally
    from compread.array_types import Bools, Floats, Ints
    from compread.store.schema import RunInfo


@dataclass(frozen=True)
class Measure:
    """One number of each component."""

    of: Callable[[Tally], Floats] | None
    """[C] from a tally, averaged over stores with equal weight; None for a field that
    ``compread.analysis.components.Scores`` has of its own, as it is averaged otherwise."""
    format: str = ".3f"
    header: str = ""
    """Of its column; the name where empty."""
    scale: Literal["accuracy", "logits", ""] = ""
    """``accuracy``: a share that is 1 / K by chance. ``logits``: its size differs from model to
    model, so that the decimals follow the values, and its middle is 0."""
    always: bool = True
    """Whether a wide table has it also where components are ranked by something else."""
    answers: bool = False
    """Whether it is of answers of a row's own, so that there is none of labels in common."""


def _balanced_accuracy(tally: Tally) -> Floats:
    """Mean over the labels that are right somewhere of the share of their rows found."""
    gold = tally.confusion.sum(axis=1)
    return _mean_where(gold > 0, tally.hits, gold)


def _macro_f1(tally: Tally) -> Floats:
    """Mean of F1 over the labels that are right or predicted somewhere."""
    either = tally.confusion.sum(axis=1) + tally.confusion.sum(axis=2)
    return _mean_where(either > 0, 2 * tally.hits, either)


def _entropy(tally: Tally) -> Floats:
    """Entropy of the predicted shares, in bits."""
    import numpy as np

    share = tally.predicted
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(share > 0, -share * np.log2(share), 0).sum(axis=1))


def _picks(end: str) -> Callable[[Tally], Floats]:
    """Share of rows on which the longest or the shortest answer in tokens is picked."""

    def share(tally: Tally) -> Floats:
        assert tally.lengths is not None  # There is no such measure without.
        return tally.lengths.share(end)

    return share


def _mcc(tally: Tally) -> Floats:
    """Matthews' correlation of predicted and right labels (R_K of several labels, Gorodkin 2004).

    0 where one label is predicted or right on every row.
    """
    import numpy as np

    n = float(tally.n)
    predicted, gold = (tally.confusion.sum(axis=axis).astype(float) for axis in (2, 1))
    above = n * tally.right - (predicted * gold).sum(axis=1)
    below = (n**2 - (predicted**2).sum(axis=1)) * (n**2 - (gold**2).sum(axis=1))
    return np.asarray(np.where(below > 0, above / np.sqrt(np.maximum(below, 1)), 0.0))


def _ece(tally: Tally) -> Floats:
    """Expected calibration error of the softmax over the labels, in 15 bins of equal width."""
    import numpy as np

    return np.asarray(np.abs(tally.gaps).sum(axis=1) / tally.n)


def _mean_where(counted: Bools, above: Ints, below: Ints) -> Floats:
    """[C] mean over the counted labels of above / below, [C, K] each."""
    import numpy as np

    shares = np.where(counted, above / np.maximum(1, below), 0)
    return np.asarray(shares.sum(axis=1) / counted.sum(axis=1))


MEASURES: Mapping[str, Measure] = {
    "accuracy": Measure(None, scale="accuracy"),
    "accuracy_low": Measure(None, scale="accuracy"),
    "balanced_accuracy": Measure(_balanced_accuracy, header="balanced\naccuracy", scale="accuracy"),
    "macro_f1": Measure(_macro_f1, header="macro\nF1"),
    # Mean over rows of the right label's logit minus the best other label's, in logits.
    "margin": Measure(lambda tally: tally.margin()[0], "+.3f", scale="logits"),
    "entropy": Measure(_entropy, ".2f"),
    # Share of rows on which the full model predicts the same.
    "agreement": Measure(lambda tally: tally.agreed / tally.n, ".2f", "agreement"),
    # Mean over rows of the right label's logit minus the mean of the others', in logits.
    "direct_effect": Measure(
        lambda tally: tally.direct / tally.n, "+.3f", "direct\neffect", "logits", always=False
    ),
    "picks_longest": Measure(_picks("longest"), ".2f", "picks\nlongest", answers=True),
    "picks_shortest": Measure(_picks("shortest"), ".2f", "picks\nshortest", answers=True),
    "mcc": Measure(_mcc, "+.3f", "MCC", always=False),
    "ece": Measure(_ece, ".3f", "ECE", always=False),
}
DEFAULT_MEASURE = "accuracy"

PER: Mapping[str, Callable[[RunInfo], str]] = {
    "template": lambda run: run.template or "no template",
    "seed": lambda run: "no seed" if run.seed is None else f"s{run.seed}",
    "task": lambda run: run.task,
    "shots": lambda run: "no shots recorded" if run.shots is None else f"k{run.shots}",
    "model": lambda run: run.model + (f"@{run.checkpoint}" if run.checkpoint else ""),
}
"""What a measure can be shown for, beside its mean over all stores: each store's run in a word."""
PER_STORE = "store"
"""It can be shown for each store, too."""

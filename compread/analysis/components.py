"""How well each component labels the rows on its own.

A component predicts the label with its largest contribution, argmax_y g[j, y], with no bias, no
softmax and no prior correction (paper section 2.2). Ties go to the first label, as in the paper's
code, and how many rows are tied is reported. The full model is scored in the same way on the
logits it returned itself. Where rows have answers of their own, each chooses among its own alone,
and a label is the position of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from compread.analysis.chance import LuckTest, luck_test
from compread.analysis.intervals import wilson_interval
from compread.analysis.measures import MEASURES
from compread.analysis.tally import Resampling, Tally, top_two
from compread.array_types import Float32, Floats, Ints
from compread.errors import StoreError, UsageError, option


@dataclass(frozen=True, eq=False)
class Scores:
    """How C scorers label the rows; averages where there are several stores."""

    n: int
    """Rows scored, summed over the stores where these are averages."""
    accuracy: Floats
    """[C] share of rows whose largest logit is the right label's."""
    accuracy_low: Floats
    """[C] lower end of the 95 % interval of the accuracy."""
    accuracy_high: Floats
    """[C] upper end of it."""
    accuracy_sd: Floats
    """[C] standard deviation over stores (population form, as in the paper); NaN for one store."""
    chance: Floats
    """[C] accuracy that these predictions have on average where the right labels are shuffled."""
    above: Floats
    """[C] p-value of an accuracy above chance (``compread.analysis.chance``)."""
    below: Floats
    """[C] p-value of an accuracy below chance."""
    predicted: Floats
    """[C, K] share of rows on which each label is predicted; a row sums to 1."""
    top_share: Floats
    """[C] share of the label predicted most; the smallest of the stores."""
    margin_sd: Floats
    """[C] standard deviation of the margin over the rows (population form)."""
    direct_share: Floats
    """[C] share of the direct effect in the sum over all components, ``embed`` and ``bias`` too;
    NaN where that is 0. Shares are above 1 and below 0 where components work against each other."""
    tied: Floats
    """[C] share of rows whose two largest logits are equal."""
    length_chance: Floats
    """[2] share of rows on which the longest answer, and the shortest, is picked by chance; NaN
    where rows have no answers of their own."""
    measured: Mapping[str, Floats]
    """[C] each of the other ``compread.analysis.measures.MEASURES``, by its name."""

    def __getitem__(self, measure: str) -> Floats:
        """[C] one of ``MEASURES``.

        Raises:
            UsageError: it is of answers of a row's own, and labels are the same in every row.
        """
        if MEASURES[measure].of is None:
            values: Floats = getattr(self, measure)
            return values
        if measure not in self.measured:
            raise UsageError(
                f"{option('by', measure)}: here every row has the same labels; it tells how long "
                "an answer of a row's own is that a component picks"
            )
        return self.measured[measure]


@dataclass(frozen=True, eq=False)
class ComponentStats:
    """The scores of every component of the axis, and of the full model beside them."""

    parts: Scores
    """Arrays of length C."""
    full: Scores
    """Arrays of length 1."""
    gold_share: Floats
    """[K] share of rows whose right label is each label."""


def collect(
    pieces: Iterable[tuple[slice, Float32]],
    full: Float32,
    gold: Ints,
    resampling: Resampling | None = None,
    tokens: Ints | None = None,
) -> tuple[Tally, Tally]:
    """The tallies of the components and of the full model; a large split is never in memory.

    Args:
        pieces: which rows, and their parts [rows, C, K]; together all N rows in order.
        full: [N, K] the full model's logits.
        gold: [N] the right columns.
        resampling: other ways to score the components on the same rows.
        tokens: [N, K] how many tokens each answer of a row's own is, 0 where it has none.

    Raises:
        StoreError: there are no rows, or a logit is not a finite number.
    """
    if not len(gold):
        raise StoreError("without rows there are no accuracies; choose a split that has rows")
    k = full.shape[1]
    present = np.where(np.isnan(full), -np.inf, full).astype(full.dtype)
    choice = top_two(present.T[:, :, None])[0][:, 0].astype(np.int64)  # (N)
    whole, parts = Tally(1, k, Resampling.none(gold), tokens), None
    whole.add(full[:, None, :], gold, choice, slice(0, len(gold)))
    for rows, logits in pieces:
        if parts is None:
            parts = Tally(logits.shape[1], k, resampling or Resampling.none(gold), tokens)
        parts.add(logits, gold[rows], choice[rows], rows)
    assert parts is not None  # There are rows, so there is a piece.
    return parts, whole


def stats_of(parts: Tally, whole: Tally) -> ComponentStats:
    """The statistics that follow from the tallies of the components and of the full model."""
    gold_share = parts.confusion[0].sum(axis=0) / parts.n
    # Of all scorers at once: the time goes into steps, whose number is that of the slowest tail.
    luck = luck_test(
        *(np.concatenate([parts.strata[k], whole.strata[k]]) for k in sorted(parts.strata))
    )
    c = len(parts.confusion)
    of_parts = scores_of(parts, float(parts.direct.sum()), luck.of(slice(c)))
    return ComponentStats(of_parts, scores_of(whole, None, luck.of(slice(c, None))), gold_share)


def scores_of(
    tally: Tally, all_direct: float | None = None, luck: LuckTest | None = None
) -> Scores:
    """Scores from a tally.

    Args:
        tally: of C scorers.
        all_direct: the direct effect that shares are of; None where each scorer is a whole.
        luck: the test of their confusion matrices, where it is known.
    """
    n, right = tally.n, tally.right
    share = tally.predicted
    low, high = wilson_interval(right, n)
    luck = luck or luck_test(*tally.strata.values())
    whole = tally.direct if all_direct is None else all_direct
    with np.errstate(divide="ignore", invalid="ignore"):
        direct_share = np.where(whole == 0, np.nan, tally.direct / whole)
    return Scores(
        n=n,
        accuracy=right / n,
        accuracy_low=low,
        accuracy_high=high,
        accuracy_sd=np.full(len(right), np.nan),
        chance=luck.chance,
        above=luck.above,
        below=luck.below,
        predicted=share,
        top_share=share.max(axis=1),
        margin_sd=tally.margin()[1],
        direct_share=direct_share,
        tied=tally.tied / n,
        length_chance=np.full(2, np.nan) if tally.lengths is None else tally.lengths.chance,
        measured={
            name: one.of(tally)
            for name, one in MEASURES.items()
            if one.of and not (one.answers and tally.lengths is None)
        },
    )

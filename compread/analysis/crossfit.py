"""What a place in a ranking is worth on rows that did not put a component there.

The first of a thousand components is first partly by luck, so that its own accuracy and interval
are too high. Cross-fitted, the components are ordered on one half of the rows and scored on the
other, over both directions of many random splits: at each place that is what a choice made on half
of the rows gets. It says nothing of one component, but of whichever comes to stand there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compread.analysis.average import right_votes, row_sets, set_votes
from compread.analysis.runs import HALVINGS, RunStats
from compread.analysis.tally import Resampling
from compread.array_types import Floats, Ints


def crossfit_accuracy(
    runs: Sequence[RunStats], of: Ints, ascending: bool = False, seed: int = 0
) -> Floats:
    """The cross-fitted accuracy at each place among the components ``of`` [M], mean over the runs.

    NaN where a set of rows is a single one.
    """
    halves = np.zeros((HALVINGS, 2, len(of)))
    for members in row_sets(runs).values():
        counts, gold = set_votes(members, "parts")
        first = Resampling.draw(gold, HALVINGS, 0, seed).halves.astype(np.float32)
        sizes = first.sum(axis=1, keepdims=True)
        if len(gold) < 2:
            return np.full(len(of), np.nan)
        hits = right_votes(counts, gold)[:, of].astype(np.float32)
        of_first = first @ hits
        halves[:, 0] += of_first / sizes
        halves[:, 1] += (hits.sum(axis=0) - of_first) / (len(gold) - sizes)
    order = np.argsort(halves if ascending else -halves, axis=2, kind="stable")
    other = np.take_along_axis(halves[:, ::-1], order, axis=2)
    return np.asarray(other.mean(axis=(0, 1)) / len(runs))

"""CompRW's official training: once for all methods that use it, its two forms side by side.

CompRW trains on contributions as they are, Blend on the same less their mean over the train rows.
Where both are wanted and the rows are many, memory is read once an epoch for the two of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from compread.array_types import Floats
from compread.reweight.rows import Training
from compread.reweight.solvers.descent import Descent, Recipe, descend, descend_each
from compread.reweight.solvers.sums import CACHE_BYTES, Followed, InBlocks

OFFICIAL = Recipe()
FOLLOWED_BYTES = 1 << 26
"""Of features in single precision from which training follows them."""
RAW, CENTRED = "raw", "centred"
"""The forms: contributions as they are, and less their mean over the train rows."""


def ends(training: Sequence[Training], form: str) -> list[Descent]:
    """The end of each run's training in a form; what is known of it is not trained again.

    Where rows have answers of their own there is no level of a label to take away, and one form.
    """
    forms = [RAW if run.rows.own_answers else form for run in training]
    small = []
    for run, own in zip(training, forms, strict=True):
        if own not in run.official:
            if _large(run):
                _train(run, (own,))
            else:
                small.append((run, own))
    features = [run.rows.carrying() if own == RAW else centred(run) for run, own in small]
    found = descend_each(features, [run.gold for run, _ in small], OFFICIAL)
    for (run, own), end in zip(small, found, strict=True):
        run.official[own] = end
    return [run.official[own] for run, own in zip(training, forms, strict=True)]


def train_together(training: Sequence[Training], forms: Collection[str | None]) -> None:
    """Trains the runs that are larger than the cache in both forms, if both are wanted."""
    if {RAW, CENTRED} <= set(forms):
        for run in training:
            if _large(run) and not run.rows.own_answers:
                _train(run, (RAW, CENTRED))


def _large(run: Training) -> bool:
    return run.rows.parts.size * 8 > CACHE_BYTES


def _train(run: Training, forms: tuple[str, ...]) -> None:
    features = run.rows.carrying_single()
    levels = [
        features.mean(axis=0, dtype=float) if form == CENTRED else np.zeros(()) for form in forms
    ]
    gold = np.stack([run.gold] * len(forms))
    sums = InBlocks.of(features, levels)
    # Smaller ones are multiplied in double precision before memory has brought the next.
    ends = descend(Followed(sums) if features.nbytes > FOLLOWED_BYTES else sums, gold, OFFICIAL)
    run.official.update(zip(forms, ends, strict=True))


def centred(run: Training) -> Floats:
    """[N, J, K] the contributions less their mean over the rows; a copy."""
    parts = run.rows.carrying()
    parts -= parts.mean(axis=0)
    return parts

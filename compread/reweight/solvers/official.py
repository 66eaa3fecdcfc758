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
from compread.reweight.solvers.sums import CACHE_BYTES, InBlocks

OFFICIAL = Recipe()
RAW, CENTRED = "raw", "centred"
"""The forms: contributions as they are, and less their mean over the train rows."""


def ends(training: Sequence[Training], form: str) -> list[Descent]:
    """The end of each run's training in a form; what is known of it is not trained again.

    Where rows have answers of their own there is no level of a label to take away, and one form.
    """
    forms = [RAW if run.rows.own_answers else form for run in training]
    left = [(run, own) for run, own in zip(training, forms, strict=True) if own not in run.official]
    features = [run.rows.carrying() if own == RAW else centred(run) for run, own in left]
    found = descend_each(features, [run.gold for run, _ in left], OFFICIAL)
    for (run, own), end in zip(left, found, strict=True):
        run.official[own] = end
    return [run.official[own] for run, own in zip(training, forms, strict=True)]


def train_together(training: Sequence[Training], forms: Collection[str | None]) -> None:
    """Trains the runs that are larger than the cache in both forms, if both are wanted."""
    if not {RAW, CENTRED} <= set(forms):
        return
    for run in training:
        if run.rows.parts.size * 8 > CACHE_BYTES and not run.rows.own_answers:
            features = run.rows.carrying()
            sums = InBlocks.of(features, (0.0, features.mean(axis=0)))
            both = descend(sums, np.stack([run.gold, run.gold]), OFFICIAL)
            run.official.update(zip((RAW, CENTRED), both, strict=True))


def centred(run: Training) -> Floats:
    """[N, J, K] the contributions less their mean over the rows; a copy."""
    parts = run.rows.carrying()
    parts -= parts.mean(axis=0)
    return parts

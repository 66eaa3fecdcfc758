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
    """The end of each run's training in a form; what is known of it is not trained again."""
    left = [run for run in training if form not in run.official]
    features = [run.rows.carrying() if form == RAW else centred(run) for run in left]
    found = descend_each(features, [run.gold for run in left], OFFICIAL)
    for run, end in zip(left, found, strict=True):
        run.official[form] = end
    return [run.official[form] for run in training]


def train_together(training: Sequence[Training], forms: Collection[str | None]) -> None:
    """Trains the runs that are larger than the cache in both forms, if both are wanted."""
    if not {RAW, CENTRED} <= set(forms):
        return
    for run in training:
        if run.rows.parts.size * 8 > CACHE_BYTES:
            features = run.rows.carrying()
            sums = InBlocks.of(features, (0.0, features.mean(axis=0)))
            both = descend(sums, np.stack([run.gold, run.gold]), OFFICIAL)
            run.official.update(zip((RAW, CENTRED), both, strict=True))


def centred(run: Training) -> Floats:
    """[N, J, K] the contributions less their mean over the rows; a copy."""
    parts = run.rows.carrying()
    parts -= parts.mean(axis=0)
    return parts

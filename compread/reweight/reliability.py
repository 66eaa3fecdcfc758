"""How often the model, and fits beside it, are right where they say that they are so sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compread.analysis.calibration import Bins, confidence_of, equal_width
from compread.analysis.repeats import distinct
from compread.array_types import Floats, Ints
from compread.errors import StoreError
from compread.reweight.apply import (
    check_match,
    normalization_of,
    pooling_of,
    same_prompt,
)
from compread.reweight.fit import Fit
from compread.reweight.rows import rows_of
from compread.reweight.scoring import finite_scores
from compread.reweight.temperature import scaled
from compread.store import open_store
from compread.store.schema import RunInfo


@dataclass(frozen=True, eq=False)
class Curve:
    """One predictor's rows by how sure it is."""

    name: str
    bins: Bins


@dataclass(frozen=True, eq=False)
class Reliability:
    """The predictors of one store: the full model, and then each fit."""

    run: RunInfo
    curves: tuple[Curve, ...]


def reliability(
    path: Path, split: str, pool: str, normalize: str, fits: Sequence[Fit] = ()
) -> Reliability:
    """The curves of a store; a fit's probabilities are those at its temperature.

    Rows of equal prompts count as one.

    Args:
        path: the store.
        split: whose rows.
        pool: how words of one class become one label.
        normalize: how answers of different lengths are made alike.
        fits: of the store's model.

    Raises:
        StoreError: the store cannot be read, has no such rows, or is not of the fits' model.
        UsageError: the fits were pooled, or answers made alike for them, in another way.
    """
    if fits:
        pool, normalize = pooling_of(fits, pool), normalization_of(fits, normalize)
    with open_store(path, pool, normalize) as store:
        for fit in fits:
            check_match(fit, store)
        held, run = store.split(split), store.run
        components = store.components
    if not len(held):
        raise StoreError(f"{path} has no {split} rows; extract it with some")
    kept = distinct(held.prompt_hash)
    rows, gold = rows_of(held, components), held.gold[kept]
    rows = replace(rows, parts=rows.parts[kept], full=rows.full[kept])
    full = np.where(np.isnan(rows.full), -np.inf, rows.full).astype(float)
    curves = [_curve("full model", full, None, gold)]
    for fit in fits:
        fitted = fit.fitted if same_prompt(fit.run, run) else fit.fitted.elsewhere()
        name = f"{fit.title} ({len(fit.train_ids)})"
        curves.append(_curve(name, finite_scores(fitted, rows), fit.temperature, gold))
    return Reliability(run, tuple(curves))


def _curve(name: str, scores: Floats, at: float | None, gold: Ints) -> Curve:
    bins = equal_width(*confidence_of(scaled(scores, at), gold))
    return Curve(f"{name}: ECE {bins.error:.3f}", bins)

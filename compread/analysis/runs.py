"""The component statistics of whole runs, and their average over several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compread.analysis.components import ComponentStats, Scores, collect_stats
from compread.components import Component
from compread.errors import StoreError, UsageError
from compread.store import DEFAULT_POOL, Store, open_store
from compread.store.schema import Labels, RunInfo


@dataclass(frozen=True, eq=False)
class RunStats:
    """One store's components, scored on one split."""

    path: str
    """The store's path as given, for tables and messages."""
    run: RunInfo
    components: tuple[Component, ...]
    labels: Labels
    stats: ComponentStats


def run_stats(store: Store, split: str = "test") -> RunStats:
    """Score the components of a store on its ``train`` or ``test`` rows.

    Raises:
        UsageError: the split has no rows.
        StoreError: the numbers are damaged.
    """
    n = store.rows(split)
    if not n:
        other = "train" if split == "test" else "test"
        raise UsageError(f"{store.path} has no {split} rows; try --split {other}")
    gold = store.gold(split)
    stats = collect_stats(store.iter_parts(split), store.array(split, "full"), gold)
    return RunStats(str(store.path), store.run, store.components, store.labels, stats)


def read_runs(
    paths: Iterable[str | Path], split: str = "test", pool: str = DEFAULT_POOL
) -> list[RunStats]:
    """Score the components of each store in turn, one open at a time.

    ``pool`` is how the label words of one class become one label (``compread.store.POOLS``).

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: a store is missing, unfinished, damaged or foreign.
    """
    runs = []
    for path in paths:
        with open_store(path, pool) as store:
            runs.append(run_stats(store, split))
    return runs


def average(runs: Sequence[RunStats]) -> ComponentStats:
    """Statistics averaged over stores with equal weight.

    The interval of an averaged accuracy is mean ± t · sd / sqrt(S) over the S stores, with the
    sample's sd and Student's t, cut to [0, 1]: runs of one task share their test rows, so rows
    pooled over stores are not independent and an interval over them would be too narrow. A
    component is label-biased on average when it is in every store.

    Raises:
        StoreError: two stores differ in their component axis or their label words.
    """
    for run in runs[1:]:
        _check_same_axes(runs[0], run)
    stats = [run.stats for run in runs]
    if len(stats) == 1:
        return stats[0]
    return ComponentStats(
        parts=_average_scores([s.parts for s in stats]),
        full=_average_scores([s.full for s in stats]),
        gold_share=np.mean([s.gold_share for s in stats], axis=0),
    )


def _average_scores(scores: Sequence[Scores]) -> Scores:
    from scipy.special import stdtrit

    accuracy = np.stack([s.accuracy for s in scores])  # (S, C)
    runs, mean = len(scores), accuracy.mean(axis=0)
    half = stdtrit(runs - 1, 0.975) * accuracy.std(axis=0, ddof=1) / np.sqrt(runs)
    return replace(
        scores[0],
        n=sum(s.n for s in scores),
        accuracy=mean,
        accuracy_low=np.clip(mean - half, 0, 1),
        accuracy_high=np.clip(mean + half, 0, 1),
        accuracy_sd=accuracy.std(axis=0),
        predicted=np.mean([s.predicted for s in scores], axis=0),
        margin=np.mean([s.margin for s in scores], axis=0),
        label_biased=np.all([s.label_biased for s in scores], axis=0),
        tied=np.mean([s.tied for s in scores], axis=0),
    )


def _check_same_axes(one: RunStats, other: RunStats) -> None:
    if one.components != other.components:
        raise StoreError(
            f"{one.path} and {other.path} have different components ({len(one.components)} of "
            f"{one.run.model} and {len(other.components)} of {other.run.model}); only runs of "
            "models with the same layers and heads can be averaged"
        )
    if one.labels.word != other.labels.word:
        raise StoreError(
            f"{one.path} and {other.path} have different labels ({list(one.labels.word)} and "
            f"{list(other.labels.word)}); only runs with the same label words can be averaged"
        )

"""How far component accuracies carry over from one run to another (paper section 4).

Two runs give two vectors of component accuracies: their Pearson and Spearman correlation over the
heads, mixers and MLPs, and the intersection over union of their top-k sets. Which two runs are a
pair is in ``compread.analysis.pairs``.

Two runs measured on N rows cannot correlate more than their noise lets them. The ceiling of a pair
is √(r₁ r₂), where r of a run is the correlation h between halves of its rows, averaged over random
splits and brought to N rows by Spearman and Brown's 2h / (1 + h). Runs of one task are on the same
rows and share a part of that noise, so that their correlation may come out above it. Apart from
that is the correlation between one run on one half of the rows and the other run on the other half.
Over √(h₁ h₂), what halves of one run reach, it is the correlation that the accuracies would have
without noise (Spearman's correction for attenuation): 0 where the runs share nothing, 1 where their
accuracies are the same, on however many rows and whichever. Chance may take it beyond both.

Transfer-1 (Table 3) is the accuracy on one run of the component that is best on the other, in both
directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.analysis.categories import counted
from compread.analysis.pairs import PAIR_KINDS, choose_pairs, task_names
from compread.analysis.ranking import number
from compread.analysis.runs import RunStats
from compread.array_types import Floats
from compread.options import MOST_PAIRS, TOP_SET


@dataclass(frozen=True)
class Pair:
    """Two runs beside each other."""

    one: RunStats
    other: RunStats
    kind: str | None
    """One of ``PAIR_KINDS``; None where they differ in more than that."""
    pearson: float
    pearson_apart: float
    """Between one run on a half of the rows and the other on the other half; NaN without halves."""
    pearson_halves: float
    """Between two halves of the rows of one run, geometric mean of both runs; NaN without."""
    spearman: float
    iou: float
    ceiling: float
    """Of the Pearson correlation; NaN without halves."""
    iou_halves: float
    """Overlap of the top sets of two halves of the rows of one run, mean of both runs."""
    full: float
    """Mean of both full models' accuracies."""
    transferred: float
    """Mean over both directions of Transfer-1."""
    oracle: float
    """Mean of both best components' own accuracies."""

    @property
    def agreement(self) -> float:
        """Correlation freed of noise; NaN without halves, or where these do not correlate."""
        return _ratio(self.pearson_apart, self.pearson_halves)

    @property
    def tasks(self) -> str:
        """The tasks of both runs, in one name."""
        return task_names(self.one.info.task, self.other.info.task)

    def row(self) -> dict[str, Any]:
        """The pair as one row of a result."""
        named = {"store": self.one.path, "other": self.other.path, "pair_kind": self.kind}
        measured = {name: number(getattr(self, name)) for name in MEASURED}
        return named | measured | {"agreement": number(self.agreement)}


MEASURED = (
    "pearson", "pearson_apart", "pearson_halves", "spearman", "iou", "ceiling", "iou_halves",
    "full", "transferred", "oracle",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compared:
    """The pairs of some runs, or those of them that were drawn."""

    pairs: tuple[Pair, ...]
    """In the order of the runs."""
    found: dict[tuple[str, str], int]
    """Pairs that there are, by kind and tasks."""


def compare_runs(
    runs: Sequence[RunStats], top: int = TOP_SET, most: int | None = MOST_PAIRS
) -> Compared:
    """Every two runs that share their component axis; see ``compread.analysis.pairs``."""
    chosen = choose_pairs(runs, most)
    views = {i: _View.of_run(runs[i], top) for i in {i for pair in chosen.pairs for i in pair[:2]}}
    return Compared(
        tuple(_pair(views[i], views[j], kind) for i, j, kind in chosen.pairs), chosen.found
    )


def correlations(runs: Sequence[RunStats]) -> Floats:
    """[R, R] Pearson's correlation of component accuracies; NaN where two axes differ."""
    found = np.full((len(runs), len(runs)), np.nan)
    for axis in dict.fromkeys(run.components for run in runs):
        at = [i for i, run in enumerate(runs) if run.components == axis]
        of = counted(axis)
        accuracy = np.stack([runs[i].stats.parts.accuracy[of] for i in at])
        for row, i in enumerate(at):
            found[i, at] = pearson(accuracy[row], accuracy)
    np.fill_diagonal(found, 1.0)
    return found


def transfer_rows(compared: Compared) -> list[dict[str, Any]]:
    """Means and population sd over the pairs of each kind: a row a task, and one over all.

    A value that a pair lacks (constant accuracies have no correlation) is left out of its mean;
    ``pairs`` counts them all, ``pairs_found`` also those that were not drawn.
    """
    rows = []
    for kind in PAIR_KINDS:
        found = {name: n for (of, name), n in compared.found.items() if of == kind}
        groups: dict[str, list[Pair]] = {}
        for pair in compared.pairs:
            if pair.kind == kind:
                groups.setdefault(pair.tasks, []).append(pair)
        if len(found) > 1:
            found["all"] = sum(found.values())
            groups["all"] = [pair for pair in compared.pairs if pair.kind == kind]
        rows += [_mean_row(kind, name, found[name], of) for name, of in groups.items()]
    return rows


def _mean_row(kind: str, name: str, found: int, pairs: Sequence[Pair]) -> dict[str, Any]:
    row: dict[str, Any] = {"pair_kind": kind, "task": name, "pairs": len(pairs)}
    row["pairs_found"] = found
    for measure in MEASURED:
        known = [v for p in pairs if not np.isnan(v := getattr(p, measure))]
        row[measure] = float(np.mean(known)) if known else None
        row[f"{measure}_sd"] = float(np.std(known)) if known else None
    # Of means, as a pair's own denominator may be next to nothing.
    both = np.array([(p.pearson_apart, p.pearson_halves) for p in pairs])
    apart, halves = both[~np.isnan(both).any(axis=1)].sum(axis=0)
    row["agreement"] = number(_ratio(apart, halves))
    return row


def _ratio(apart: float, halves: float) -> float:
    return apart / halves if halves > 0 else np.nan


def pearson(one: Floats, other: Floats) -> Floats:
    """Pearson's correlation along the last axis; NaN where one is constant."""
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (one, other))
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    constant = ~(size > 1e-12 * one.shape[-1])
    return np.where(constant, np.nan, (a * b).sum(axis=-1) / np.where(constant, 1, size))


def ranks(values: Floats) -> Floats:
    """Workers from 1 up, equal values sharing their mean: ``ranks([3, 1, 3])`` is [2.5, 1, 2.5]."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[which])


def top_set(values: Floats, size: int) -> frozenset[int]:
    """Positions of the largest values, the first among equals."""
    return frozenset(np.argsort(-values, kind="stable")[:size].tolist())


def overlap(one: frozenset[int], other: frozenset[int]) -> float:
    """Intersection over union; 1 for two empty sets."""
    return len(one & other) / max(1, len(one | other)) if one or other else 1.0


@dataclass(frozen=True, eq=False)
class _View:
    """What pairs want of one run."""

    run: RunStats
    of: npt.NDArray[np.int64]
    """[M] positions of the heads, mixers and MLPs."""
    accuracy: Floats
    ranks: Floats
    top: frozenset[int]
    r_halves: float
    """Correlation between two halves of the rows, mean over the splits; NaN without halves."""
    iou_halves: float

    @classmethod
    def of_run(cls, run: RunStats, top: int) -> _View:
        of = np.array(counted(run.components))
        accuracy = run.stats.parts.accuracy[of]
        r_halves = iou = np.nan
        if run.resampled is not None:
            halves = run.resampled.halves[:, :, of]
            known = (r := pearson(halves[:, 0], halves[:, 1]))[~np.isnan(r)]
            r_halves = max(0.0, float(known.mean())) if len(known) else np.nan
            iou = _overlap_of_halves(halves, top)
        ranked = ranks(accuracy)
        return cls(run, of, accuracy, ranked, top_set(accuracy, top), r_halves, iou)

    @property
    def best(self) -> int:
        return int(self.accuracy.argmax())

    @property
    def halves(self) -> Floats:
        """[R, 2, M] accuracies on halves of the rows; R is 0 without."""
        of = self.run.resampled
        return np.zeros((0, 2, len(self.of))) if of is None else of.halves[:, :, self.of]

    @property
    def reliability(self) -> float:
        """Correlation that a second measurement on as many rows would have (Spearman, Brown)."""
        return 2 * self.r_halves / (1 + self.r_halves)


def _overlap_of_halves(halves: Floats, top: int) -> float:
    """Mean intersection over union of the top sets of two halves: halves [R, 2, M]."""
    first, second = np.moveaxis(np.argsort(-halves, axis=2, kind="stable")[:, :, :top], 1, 0)
    common = (first[:, :, None] == second[:, None, :]).sum(axis=(1, 2))
    return float(np.mean(common / (2 * first.shape[1] - common)))


def _apart(one: _View, other: _View) -> float:
    """Mean correlation of the first halves of one with the second of the other, and back."""
    a, b = one.halves, other.halves
    if len(a) != len(b) or not len(a):
        return np.nan
    return float(pearson(a, b[:, ::-1]).mean())


def _pair(a: _View, b: _View, kind: str | None) -> Pair:
    fulls = (a.run.stats.full.accuracy[0], b.run.stats.full.accuracy[0])
    return Pair(
        one=a.run,
        other=b.run,
        kind=kind,
        pearson=float(pearson(a.accuracy, b.accuracy)),
        pearson_apart=_apart(a, b),
        pearson_halves=float(np.sqrt(a.r_halves * b.r_halves)),
        spearman=float(pearson(a.ranks, b.ranks)),
        iou=overlap(a.top, b.top),
        ceiling=float(np.sqrt(a.reliability * b.reliability)),
        iou_halves=(a.iou_halves + b.iou_halves) / 2,
        full=float(np.mean(fulls)),
        transferred=float(a.accuracy[b.best] + b.accuracy[a.best]) / 2,
        oracle=float(a.accuracy.max() + b.accuracy.max()) / 2,
    )

"""How far component accuracies carry over from one run to another (paper section 4).

Two runs give two vectors of component accuracies: their Pearson and Spearman correlation over the
heads, mixers and MLPs, and the intersection over union of their top-k sets. Pairs are averaged by
what the two runs differ in, and in nothing else:

    demonstrations  seed, shots or labels of the demonstrations     30 for 5 seeds × 3 templates
    template        two templates, the same demonstrations          15
    contrast        a template and its minimal edit                  5, one edited template
    task            two tasks, the same seed
    revision        two checkpoints of one model
    model           two models

A template that is an edit of another stands in contrast pairs alone, as in the paper's Table 2.

Two runs measured on N rows cannot correlate more than their noise lets them. The ceiling of a pair
is √(r₁ r₂), where r of a run is the correlation between halves of its rows, averaged over random
splits and brought to N rows by Spearman and Brown's 2r / (1 + r). Runs of one task are on the same
rows and share a part of that noise, so that their correlation may come out above it. Apart from
that is the correlation between one run on one half of the rows and the other run on the other half;
it has half as many rows, so where nothing is shared it is the lower of the two.

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
from compread.analysis.intervals import Floats
from compread.analysis.ranking import number
from compread.analysis.runs import RunStats
from compread.store.schema import RunInfo

PAIR_KINDS = ("demonstrations", "template", "contrast", "task", "revision", "model")
TOP = 5
"""Size of the top set, as in the paper."""


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

    def row(self) -> dict[str, Any]:
        """The pair as one row of a result."""
        named = {"store": self.one.path, "other": self.other.path, "pair_kind": self.kind}
        return named | {name: number(getattr(self, name)) for name in MEASURED}


MEASURED = (
    "pearson", "pearson_apart", "spearman", "iou", "ceiling", "iou_halves", "full", "transferred",
    "oracle",
)  # fmt: skip


def compare_runs(runs: Sequence[RunStats], top: int = TOP) -> list[Pair]:
    """Every two runs that share their component axis, in the order given."""
    views = [_View.of(run, top) for run in runs]
    return [
        _pair(views[i], views[j])
        for i in range(len(runs))
        for j in range(i + 1, len(runs))
        if runs[i].components == runs[j].components
    ]


def transfer_rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Means and population sd over the pairs of each kind: a row a task, and one over all.

    A value that a pair lacks (constant accuracies have no correlation) is left out of its mean;
    ``pairs`` counts them all.
    """
    groups: dict[tuple[str, str], list[Pair]] = {}
    for kind in PAIR_KINDS:
        of_kind = [pair for pair in pairs if pair.kind == kind]
        tasks = {pair: _tasks(pair) for pair in of_kind}
        for name in dict.fromkeys(tasks.values()):
            groups[kind, name] = [pair for pair in of_kind if tasks[pair] == name]
        if len(set(tasks.values())) > 1:
            groups[kind, "all"] = of_kind
    rows = []
    for (kind, name), members in groups.items():
        row: dict[str, Any] = {"pair_kind": kind, "task": name, "pairs": len(members)}
        for measure in MEASURED:
            known = [v for p in members if not np.isnan(v := getattr(p, measure))]
            row[measure] = float(np.mean(known)) if known else None
            row[f"{measure}_sd"] = float(np.std(known)) if known else None
        rows.append(row)
    return rows


def pair_kind(one: RunInfo, other: RunInfo) -> str | None:
    """The one thing that two runs differ in, or None; see the module."""
    first, second = _identity(one), _identity(other)
    differ = {name for name in first if first[name] != second[name]}
    if "task" in differ:
        # Two tasks have no template in common, and may want different numbers of shots.
        same = one.seed == other.seed and differ <= {"task", "template", "demonstrations"}
        return "task" if same else None
    edited = [info.protocol.get("contrast_of") for info in (one, other)]
    if any(edited):
        edits = edited in ([None, one.template], [other.template, None])
        return "contrast" if differ == {"template"} and edits else None
    names = {"demonstrations", "template", "revision", "model"}
    return differ.pop() if len(differ) == 1 and differ <= names else None


def demonstrations_key(info: RunInfo) -> tuple[Any, ...]:
    """What the demonstrations of a run depend on, the task and template apart."""
    labels = info.protocol.get("demo_labels")
    chosen = info.protocol.get("prompt_selection", "fixed")
    return info.seed, info.shots, None if labels is None else tuple(labels), chosen


def pearson(one: Floats, other: Floats) -> float:
    """Pearson's correlation of two vectors; NaN where one is constant."""
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 * len(a) else np.nan


def ranks(values: Floats) -> Floats:
    """Ranks from 1 up, equal values sharing their mean: ``ranks([3, 1, 3])`` is [2.5, 1, 2.5]."""
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
    accuracy: Floats
    ranks: Floats
    top: frozenset[int]
    reliability: float
    """Correlation that a second measurement on as many rows would have; NaN without halves."""
    iou_halves: float
    halves: Floats
    """[R, 2, C] accuracies on halves, each of mean 0 and length 1; R is 0 without."""

    @classmethod
    def of(cls, run: RunStats, top: int) -> _View:
        of = np.array(counted(run.components))
        accuracy = run.stats.parts.accuracy[of]
        reliability = iou = np.nan
        halves = np.zeros((0, 2, len(of)))
        if run.resampled is not None:
            halves = run.resampled.halves[:, :, of]
            reliability = _spearman_brown(halves)
            sets = [[top_set(half, top) for half in split] for split in halves]
            iou = float(np.mean([overlap(a, b) for a, b in sets]))
            halves = halves - halves.mean(axis=2, keepdims=True)
            with np.errstate(invalid="ignore"):  # Constant accuracies have no direction.
                halves = halves / np.linalg.norm(halves, axis=2, keepdims=True)
        top_of = top_set(accuracy, top)
        return cls(run, accuracy, ranks(accuracy), top_of, reliability, iou, halves)

    @property
    def best(self) -> int:
        return int(self.accuracy.argmax())


def _spearman_brown(halves: Floats) -> float:
    found: npt.NDArray[np.float64] = np.array([pearson(a, b) for a, b in halves])
    known = found[~np.isnan(found)]
    if not len(known):
        return np.nan
    r = max(0.0, float(known.mean()))
    return 2 * r / (1 + r)


def _apart(one: Floats, other: Floats) -> float:
    """Mean correlation of the first halves of one with the second of the other, and back."""
    if len(one) != len(other) or not len(one):
        return np.nan
    return float(np.einsum("rhc,rhc->rh", one, other[:, ::-1]).mean())


def _pair(a: _View, b: _View) -> Pair:
    fulls = (a.run.stats.full.accuracy[0], b.run.stats.full.accuracy[0])
    return Pair(
        one=a.run,
        other=b.run,
        kind=pair_kind(a.run.run, b.run.run),
        pearson=pearson(a.accuracy, b.accuracy),
        pearson_apart=_apart(a.halves, b.halves),
        spearman=pearson(a.ranks, b.ranks),
        iou=overlap(a.top, b.top),
        ceiling=float(np.sqrt(a.reliability * b.reliability)),
        iou_halves=(a.iou_halves + b.iou_halves) / 2,
        full=float(np.mean(fulls)),
        transferred=float(a.accuracy[b.best] + b.accuracy[a.best]) / 2,
        oracle=float(a.accuracy.max() + b.accuracy.max()) / 2,
    )


def _identity(info: RunInfo) -> dict[str, Any]:
    revision = info.checkpoint or info.revision
    return {
        "task": info.task,
        "template": info.template,
        "demonstrations": demonstrations_key(info),
        "revision": revision,
        "model": info.model if revision else (info.model, info.fingerprint),
        "dtype": info.dtype,
    }


def _tasks(pair: Pair) -> str:
    return " / ".join(sorted({pair.one.run.task, pair.other.run.task}))

"""One line a run: the full model, its best and worst component, and how many are of which kind.

Mean and sd over runs use the population form of the sd, as the paper's code does.

The best of a thousand on the rows it is scored on looks better than it is. Beside that oracle
(Oracle-T1 and -B1 in the paper's Table 1) stand

- the component chosen on the train rows, scored on the test rows: what a user really gets;
- a cross-fitted estimate: chosen on one half of the test rows, scored on the other, averaged over
  both directions of many random splits. It is unbiased for a choice made on half of the rows;
- what the oracle would show where no component knew anything: the mean, over shuffles of the right
  labels, of the best accuracy under each; and how often a shuffle gets as far as the oracle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compread.analysis.categories import COUNTED_KINDS, DEFAULT_RULES, Rules, categorize, counted
from compread.analysis.ranking import number
from compread.analysis.runs import Resampled, RunStats, Trained, normalize_key
from compread.array_types import Floats

LABELLED = {"seed", "shots", "n", "best_p_value", "worst_p_value"}
"""Numbers whose mean over runs would say nothing."""

OF_FULL = ("macro_f1", "mcc", "ece")
"""The measures that a run says of its full model beside the accuracy."""


@dataclass(frozen=True)
class CategoryCounts:
    """How many components of a group fall in each category."""

    count: int
    good: int
    bad: int
    biased: int

    def keys(self, prefix: str) -> dict[str, float | int | None]:
        """Counts and shares, each key led by ``prefix``; a group of none has no shares."""
        values: dict[str, float | int | None] = {f"{prefix or 'component_'}count": self.count}
        for name in ("good", "bad", "biased"):
            count: int = getattr(self, name)
            values[f"{prefix}{name}_count"] = count
            values[f"{prefix}{name}_share"] = count / self.count if self.count else None
        return values


@dataclass(frozen=True, eq=False)
class RunSummary:
    """What one run shows; heads, MLPs and whole mixers are counted, ``embed`` and ``bias`` not."""

    run: RunStats
    best: Pick
    worst: Pick
    tallies: Mapping[str, CategoryCounts]
    """By kind, and over all of them under the empty name."""
    layers: Mapping[int, CategoryCounts]
    """By layer."""

    def row(self) -> dict[str, Any]:
        """The run as one row of a result."""
        stats = self.run.stats
        row = run_keys(self.run) | {
            "n": stats.full.n,
            "full_accuracy": float(stats.full.accuracy[0]),
            **{f"full_{name}": float(stats.full[name][0]) for name in OF_FULL},
            **self.best.keys("best", self.run),
            **self.worst.keys("worst", self.run),
        }
        for kind, tally in self.tallies.items():
            row |= tally.keys(f"{kind}_" if kind else "")
        return row

    def layer_rows(self) -> list[dict[str, Any]]:
        """One row a layer: how many of its components are in each category."""
        return [
            {"store": self.run.path, "layer": layer, **tally.keys("")}
            for layer, tally in self.layers.items()
        ]


def run_keys(run: RunStats) -> dict[str, Any]:
    """What names a run in a row."""
    info = run.info
    return {
        "store": run.path,
        "model": info.model,
        "revision": info.checkpoint or info.revision,
        "task": info.task,
        "template": info.template,
        "seed": info.seed,
        "shots": info.shots,
        **normalize_key(info.normalize),
    }


def summarize(run: RunStats, rules: Rules = DEFAULT_RULES) -> RunSummary:
    """Pick the best and the worst component of a run and count its categories."""
    category = categorize(run.stats, run.components, rules).category
    of = counted(run.components)

    def tally(members: Iterable[int]) -> CategoryCounts:
        found = [category[j] for j in members]
        counts = [found.count(name) for name in ("good", "bad", "label-biased")]
        return CategoryCounts(len(found), *counts)

    by_layer: dict[int, list[int]] = {}
    for j in of:
        by_layer.setdefault(run.components[j].layer, []).append(j)
    layers = {n: tally(members) for n, members in by_layer.items()}
    tallies: dict[str, CategoryCounts] = {"": tally(of)}
    tallies |= {k: tally(j for j in of if run.components[j].kind == k) for k in COUNTED_KINDS}
    return RunSummary(run, pick(run), pick(run, worst=True), tallies, layers)


def mean_and_sd(
    rows: Sequence[Mapping[str, Any]], setting: str | None = None
) -> list[dict[str, Any]]:
    """Two rows over several runs' rows, with ``mean`` and ``sd`` under ``store``.

    A ``setting`` stands behind these, where it is not that of all runs.

    Only measurements are averaged; a key that names a run, or that some run lacks, is None.
    """
    mean: dict[str, Any] = {}
    sd: dict[str, Any] = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        measured = all(isinstance(v, (int, float)) for v in values) and key not in LABELLED
        mean[key] = float(np.mean(values)) if measured else None
        sd[key] = float(np.std(values)) if measured else None
    of = "" if setting is None else f", {setting}"
    return [{**mean, "store": f"mean{of}"}, {**sd, "store": f"sd{of}"}]


@dataclass(frozen=True)
class Pick:
    """One end of a run's components: the best, or the worst."""

    oracle: int
    """Position of the component picked on the rows it is scored on, the first among equals."""
    oracle_accuracy: float
    trained: int | None
    """Position of the one picked on the train rows, by its margin among equals; None without."""
    trained_accuracy: float
    """Its accuracy on the test rows; NaN without train rows."""
    crossfit_accuracy: float
    """NaN without halves, or with a single row."""
    chance_accuracy: float
    """Mean of the same end under shuffled labels; NaN where none were drawn."""
    p_value: float
    """Of the oracle's accuracy among those under shuffled labels, itself counted in."""

    def keys(self, prefix: str, run: RunStats) -> dict[str, Any]:
        """The keys and values of a row, each key led by ``best`` or ``worst``."""
        names = run.components
        return {
            prefix: names[self.oracle].name,
            f"{prefix}_accuracy": self.oracle_accuracy,
            f"{prefix}_by_train": None if self.trained is None else names[self.trained].name,
            f"{prefix}_by_train_accuracy": number(self.trained_accuracy),
            f"{prefix}_crossfit_accuracy": number(self.crossfit_accuracy),
            f"{prefix}_by_chance_accuracy": number(self.chance_accuracy),
            f"{prefix}_p_value": number(self.p_value),
        }


def pick(run: RunStats, worst: bool = False) -> Pick:
    """The best component of a run among its heads, mixers and MLPs, or the worst."""
    of = np.array(counted(run.components))
    sign = -1.0 if worst else 1.0
    accuracy = run.stats.parts.accuracy
    oracle = int(of[np.argmax(sign * accuracy[of])])
    trained = None if run.train is None else _first(run.train, of, sign)
    crossfit = chance = p = np.nan
    if run.resampled is not None:
        crossfit = _crossfit(sign * run.resampled.halves[:, :, of]) * sign
        chance, p = _by_chance(run.resampled, worst, float(accuracy[oracle]))
    return Pick(
        oracle=oracle,
        oracle_accuracy=float(accuracy[oracle]),
        trained=trained,
        trained_accuracy=np.nan if trained is None else float(accuracy[trained]),
        crossfit_accuracy=crossfit,
        chance_accuracy=chance,
        p_value=p,
    )


def _first(scores: Trained, of: np.ndarray, sign: float) -> int:
    """Of few rows many components get the same share right; the margin tells them apart."""
    order = np.lexsort((-sign * scores.margin[of], -sign * scores.accuracy[of]))
    return int(of[order[0]])


def _crossfit(halves: Floats) -> float:
    """Mean over splits of what the best on one half reaches on the other: halves [R, 2, C]."""
    if np.isnan(halves).any():  # A single row leaves the second half empty.
        return np.nan
    chosen = halves.argmax(axis=2)  # (R, 2)
    other = np.take_along_axis(halves[:, ::-1], chosen[:, :, None], axis=2)
    return float(other.mean())


def _by_chance(resampled: Resampled, worst: bool, reached: float) -> tuple[float, float]:
    ends = resampled.worst if worst else resampled.best  # (P)
    beyond = reached - ends if worst else ends - reached
    as_far = int((beyond >= -1e-12).sum())
    return float(ends.mean()), (1 + as_far) / (1 + len(ends))

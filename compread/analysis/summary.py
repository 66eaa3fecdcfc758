"""One line a run: the full model, its best and worst component, and how many are of which kind.

Mean and sd over runs use the population form of the sd, as the paper's code does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compread.analysis.categories import COUNTED_KINDS, DEFAULT_RULES, Rules, categorize, counted
from compread.analysis.runs import RunStats, normalize_key
from compread.analysis.selection import Pick, pick

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

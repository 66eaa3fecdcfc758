"""One line a run: the full model, its best and worst component, and how many are of which kind.

Best and worst are picked on the rows they are scored on, as Oracle-T1 and Oracle-B1 in the paper's
Table 1: the best of a thousand looks better than it is. Mean and sd over runs use the population
form of the sd, as the paper's code does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compread.analysis.categories import categorize
from compread.analysis.ranking import COUNTED_KINDS
from compread.analysis.runs import RunStats

LABELLED = {"seed", "shots", "n"}
"""Numbers of a row that name the run, so that their mean would say nothing."""


@dataclass(frozen=True)
class Tally:
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
    best: int
    """Position on the axis of the component with the highest accuracy, the first among equals."""
    worst: int
    """Position of the one with the lowest."""
    tallies: Mapping[str, Tally]
    """By kind, and over all of them under the empty name."""

    def row(self) -> dict[str, Any]:
        """The run as one row of a result."""
        info, stats, components = self.run.run, self.run.stats, self.run.components
        row: dict[str, Any] = {
            "store": self.run.path,
            "model": info.model,
            "task": info.task,
            "template": info.template,
            "seed": info.seed,
            "shots": info.shots,
            "n": stats.full.n,
            "full_accuracy": float(stats.full.accuracy[0]),
            "best": components[self.best].name,
            "best_accuracy": float(stats.parts.accuracy[self.best]),
            "worst": components[self.worst].name,
            "worst_accuracy": float(stats.parts.accuracy[self.worst]),
        }
        for kind, tally in self.tallies.items():
            row |= tally.keys(f"{kind}_" if kind else "")
        return row


def summarize(run: RunStats) -> RunSummary:
    """Pick the best and the worst component of a run and count its categories."""
    categories = categorize(run.stats)
    counted = [j for j, c in enumerate(run.components) if c.kind in COUNTED_KINDS]
    accuracy = run.stats.parts.accuracy[counted]
    tallies = {"": _tally([categories[j] for j in counted])}
    for kind in COUNTED_KINDS:
        of_kind = [j for j in counted if run.components[j].kind == kind]
        tallies[kind] = _tally([categories[j] for j in of_kind])
    return RunSummary(run, counted[accuracy.argmax()], counted[accuracy.argmin()], tallies)


def mean_and_sd(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Two rows over several runs' rows, with ``mean`` and ``sd`` under ``store``.

    Only measurements are averaged; a key that names a run, or that some run lacks, is None.
    """
    mean: dict[str, Any] = {}
    sd: dict[str, Any] = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        measured = all(isinstance(v, (int, float)) for v in values) and key not in LABELLED
        mean[key] = float(np.mean(values)) if measured else None
        sd[key] = float(np.std(values)) if measured else None
    return [{**mean, "store": "mean"}, {**sd, "store": "sd"}]


def _tally(categories: Sequence[str]) -> Tally:
    return Tally(
        count=len(categories),
        good=categories.count("good"),
        bad=categories.count("bad"),
        biased=categories.count("label-biased"),
    )

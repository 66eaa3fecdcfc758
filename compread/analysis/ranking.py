"""The components of one or several runs in order of what they can do alone.

The first of a thousand components is first partly by luck, so that its own accuracy and interval
are too high. Cross-fitted, the components are ordered on one half of the rows and scored on the
other, over both directions of many random splits: at each place that is what a choice made on half
of the rows gets. It says nothing of one component, but of whichever comes to stand there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compread.analysis.average import average, right_votes, row_sets, set_votes
from compread.analysis.categories import COUNTED_KINDS, DEFAULT_RULES, Rules, Verdicts, categorize
from compread.analysis.chance import two_sided
from compread.analysis.classes import on_common_classes
from compread.analysis.components import ComponentStats, Scores
from compread.analysis.measures import DEFAULT_MEASURE, PER, PER_STORE
from compread.analysis.runs import HALVINGS, RunStats, normalize_key
from compread.analysis.tally import Resampling
from compread.array_types import Floats, Ints
from compread.components import FULL_KEYS, Component
from compread.errors import UsageError
from compread.options import DEFAULT_NORMALIZATION
from compread.store.schema import Labels


@dataclass(frozen=True, eq=False)
class Ranking:
    """Components in order, with the statistics they were ordered by."""

    order: tuple[int, ...]
    """Positions on the component axis, first rank first."""
    components: tuple[Component, ...]
    labels: Labels
    stats: ComponentStats
    verdicts: Verdicts
    stores: int
    """How many stores the statistics are averages of."""
    crossfit: Floats | None = None
    """Cross-fitted accuracy at each place (``crossfit_accuracy``); None in other orders."""
    by: str = DEFAULT_MEASURE
    """The measure that was asked for."""
    groups: Mapping[str, ComponentStats] = field(default_factory=dict)
    """The statistics of parts of the stores, such as those of each template."""
    normalize: str = DEFAULT_NORMALIZATION
    """How answers of different lengths are made alike."""

    def rows(self, weights: Floats | None = None) -> list[dict[str, Any]]:
        """One row a ranked component, and as the last row the full model, without a rank.

        With ``weights`` [C] each has its ``weight``, the full model's None.
        """
        names = predicted_keys(self.labels)
        rows: list[dict[str, Any]] = []
        for position, j in enumerate(self.order, start=1):
            c = self.components[j]
            rows.append(
                {
                    "rank": position,
                    **c.row_keys(),
                    **_score_keys(self.stats.parts, j, names),
                    **self._in_groups("parts", j),
                    "p_value": float(self.verdicts.p[j]),
                    "q_value": number(self.verdicts.q[j]),
                    "category": self.verdicts.category[j],
                    "crossfit_accuracy": self._crossfit_at(position),
                    "n": self.stats.parts.n,
                    "stores": self.stores,
                    **normalize_key(self.normalize),
                    **({} if weights is None else {"weight": float(weights[j])}),
                }
            )
        full: dict[str, Any] = {"rank": None, **FULL_KEYS}
        full |= _score_keys(self.stats.full, 0, names)
        full |= self._in_groups("full", 0)
        p = float(two_sided(self.stats.full.above, self.stats.full.below)[0])
        full |= {"p_value": p, "q_value": p}  # One test alone has nothing to be corrected for.
        full |= {"category": None, "crossfit_accuracy": None}
        full |= {"n": self.stats.full.n, "stores": self.stores} | normalize_key(self.normalize)
        full |= {} if weights is None else {"weight": None}
        return [*rows, full]

    def _in_groups(self, side: str, j: int) -> dict[str, float]:
        """The measure in each group, ``accuracy_in_s0``, of one of ``parts`` or ``full``."""
        return {
            group_key(self.by, name): float(getattr(stats, side)[self.by][j])
            for name, stats in self.groups.items()
        }

    def _crossfit_at(self, position: int) -> float | None:
        return None if self.crossfit is None else number(self.crossfit[position - 1])


def rank(
    runs: Sequence[RunStats],
    by: str = DEFAULT_MEASURE,
    kinds: Collection[str] = COUNTED_KINDS,
    ascending: bool = False,
    top: int = 0,
    rules: Rules = DEFAULT_RULES,
    values: Floats | None = None,
    per: str | None = None,
) -> Ranking:
    """Order the components by one of the measures, averaged over the runs, or by given numbers.

    Components with equal values stand in the order of the component axis.

    Args:
        runs: at least one run; several must share components and the number of classes.
        by: one of ``compread.analysis.measures.MEASURES``; ``accuracy_low`` is the cautious order.
        kinds: the kinds of components to rank.
        ascending: the lowest first.
        top: how many to keep; 0 keeps all.
        rules: the thresholds between the categories.
        values: [C] what to order by instead of ``by``, such as fitted weights.
        per: show the measure for each of these as well (``compread.analysis.ranking``).

    Raises:
        StoreError: two runs differ in their component axis or their number of classes.
        UsageError: the model has no component of these kinds.
    """
    runs = on_common_classes(runs)
    stats = average(runs)
    groups = {} if per is None else group_runs(runs, per)
    components = runs[0].components
    chosen = np.array([j for j, c in enumerate(components) if c.kind in kinds], dtype=np.int64)
    if not len(chosen):
        there = ", ".join(dict.fromkeys(c.kind for c in components))
        raise UsageError(
            f"{runs[0].path} has no component of kind {' or '.join(sorted(kinds))}; it has {there}"
        )
    value = (stats.parts[by] if values is None else values)[chosen]
    order = chosen[np.argsort(value if ascending else -value, kind="stable")]
    crossfits = by in ("accuracy", "accuracy_low") and values is None and runs[0].rows is not None
    return Ranking(
        order=tuple((order[:top] if top else order).tolist()),
        components=components,
        labels=runs[0].labels,
        stats=stats,
        verdicts=categorize(stats, components, rules),
        stores=len(runs),
        crossfit=crossfit_accuracy(runs, chosen, ascending) if crossfits else None,
        by=by,
        groups={name: average(of) for name, of in groups.items()},
        normalize=runs[0].info.normalize,
    )


def group_key(by: str, name: str) -> str:
    """The key of a measure in a group of the stores: ``accuracy_in_s0``."""
    return f"{by}_in_{name}"


def predicted_keys(labels: Labels) -> list[str]:
    """The key of each label's predicted share: ``predicted_`` and its name (``Labels.names``)."""
    return [f"predicted_{name}" for name in labels.names]


def number(value: float) -> float | None:
    """A plain number, or None for NaN."""
    return None if np.isnan(value) else float(value)


LENGTH_CHANCE = {"picks_longest": ("longest_chance", 0), "picks_shortest": ("shortest_chance", 1)}
"""Behind which measures stands what they are by chance, and which of ``length_chance`` that is."""


def _score_keys(scores: Scores, j: int, predicted: Sequence[str]) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "accuracy": float(scores.accuracy[j]),
        "accuracy_low": float(scores.accuracy_low[j]),
        "accuracy_high": float(scores.accuracy_high[j]),
        "accuracy_sd": number(scores.accuracy_sd[j]),
        "chance": float(scores.chance[j]),
    }
    for name, values in scores.measured.items():
        if name == "entropy":  # Which is of these shares.
            keys |= zip(predicted, scores.predicted[j].tolist(), strict=True)
        keys[name] = float(values[j])
        if name == "margin":
            keys["margin_sd"] = float(scores.margin_sd[j])
        elif name == "direct_effect":
            keys["direct_share"] = number(scores.direct_share[j])
        elif name in LENGTH_CHANCE:
            key, at = LENGTH_CHANCE[name]
            keys[name], keys[key] = number(values[j]), number(scores.length_chance[at])
    return {**keys, "tied": float(scores.tied[j])}


def group_runs(runs: Sequence[RunStats], per: str) -> dict[str, list[RunStats]]:
    """The runs by name, in the order in which each name stands first.

    Args:
        runs: at least one.
        per: ``PER_STORE``, or a key of ``PER``. Templates of several tasks are named with these.
    """
    groups: dict[str, list[RunStats]] = {}
    if per == PER_STORE:
        stems = [Path(run.path).stem for run in runs]
        unique = len(set(stems)) == len(stems)
        return {stem if unique else run.path: [run] for stem, run in zip(stems, runs, strict=True)}
    several = per == "template" and len({run.info.task for run in runs}) > 1
    for run in runs:
        name = PER[per](run.info)
        groups.setdefault(f"{run.info.task} {name}" if several else name, []).append(run)
    return groups


def crossfit_accuracy(runs: Sequence[RunStats], of: Ints, ascending: bool = False) -> Floats:
    """The cross-fitted accuracy at each place among the components ``of`` [M], mean over the runs.

    NaN where a set of rows is a single one.
    """
    halves = np.zeros((HALVINGS, 2, len(of)))
    for members in row_sets(runs).values():
        counts, gold = set_votes(members, "parts")
        first = Resampling.draw(gold, HALVINGS, 0).halves.astype(np.float32)
        sizes = first.sum(axis=1, keepdims=True)
        if len(gold) < 2:
            return np.full(len(of), np.nan)
        hits = right_votes(counts, gold)[:, of].astype(np.float32)
        of_first = first @ hits
        halves[:, 0] += of_first / sizes
        halves[:, 1] += (hits.sum(axis=0) - of_first) / (len(gold) - sizes)
    order = np.argsort(halves if ascending else -halves, axis=2, kind="stable")
    other = np.take_along_axis(halves[:, ::-1], order, axis=2)
    return np.asarray(other.mean(axis=(0, 1)) / len(runs))

"""What sums over some of the components predict: without a layer, heads alone, up to each layer.

The full model's logits are the sum over all components, so a sum over fewer says what the model
would predict from their direct effects alone. What the others made of a component further up stays
where it was written: this is no ablation. The final norm's scale is that of the full model; being
one positive number a row, it moves no prediction by itself. So in a model without biases the sum up
to a layer predicts what the unembedding of the stream behind that layer does, as in early exit and
the logit lens. Where there are biases, it has those of all layers and of the final norm, in
``bias``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compread.analysis.average import average
from compread.analysis.components import ComponentStats, Scores
from compread.analysis.predictions import nothing_named
from compread.analysis.runs import RunStats, normalize_key, run_stats
from compread.analysis.summary import run_keys
from compread.array_types import Bools
from compread.components import LAYERED, Component, named
from compread.errors import UsageError, flag, option
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL
from compread.store import open_store
from compread.store.gather import setting_names

WHOLE = "all components"
"""The sum of all: the full model's own logits but for its rounding and a soft-cap."""


@dataclass(frozen=True, eq=False)
class PartialSum:
    """A sum over some of the components."""

    name: str
    """Such as ``without L29MLP,L3H*``."""
    members: Bools
    """[C] which."""
    layer: int | None = None
    """The last layer of a sum up to it."""


SumsOf = Callable[[Sequence[Component]], Sequence[PartialSum]]
"""The sums that are wanted of a model with these components."""


def matching(group: str, components: Sequence[Component]) -> Bools:
    """[C] which components a group such as ``L29,L3H*,mlps`` names.

    A part of it is a component, a pattern, a layer or a kind (``compread.components.named``).

    Raises:
        UsageError: there is nothing of that name; the message has the nearest.
    """
    found = np.zeros(len(components), bool)
    for part in filter(None, map(str.strip, group.split(","))):
        of = named(part, components)
        if not any(of):
            raise nothing_named(part, components)
        found |= of
    if not found.any():
        raise UsageError("no component is named: expected such as L29, L29MLP, L3H*, heads or mlps")
    return found


def without_and_only(without: Sequence[str], only: Sequence[str]) -> SumsOf:
    """A sum without each of the first groups, and one of each of the second alone."""

    def sums(components: Sequence[Component]) -> list[PartialSum]:
        left = [PartialSum(f"without {g}", ~matching(g, components)) for g in without]
        alone = [PartialSum(f"only {g}", matching(g, components)) for g in only]
        return [*left, *alone]

    return sums


THROUGH = ("all", "attention", "mlp")
"""The sums up to a layer: of all components, of heads and mixers alone, of MLPs alone."""


def up_to_layers(components: Sequence[Component]) -> list[PartialSum]:
    """The sums up to each layer, by ``THROUGH``.

    Those of ``all`` have what is no layer's too, such as ``embed`` and ``bias``, so that the last
    one is the sum of all.
    """
    kinds = {"all": LAYERED, "attention": ("head", "mixer"), "mlp": ("mlp",)}
    layers = sorted({c.layer for c in components if c.kind in LAYERED})
    return [
        PartialSum(
            through,
            np.array(
                [
                    (c.kind in kinds[through] and c.layer <= layer)
                    or (through == "all" and c.kind not in LAYERED)
                    for c in components
                ]
            ),
            layer,
        )
        for layer in layers
        for through in THROUGH
        if any(c.kind in kinds[through] and c.layer <= layer for c in components)
    ]


def sums_asked(without: Sequence[str], only: Sequence[str], early_exit: bool) -> SumsOf | None:
    """The sums that these options ask for; None where they ask for none.

    Raises:
        UsageError: they ask for groups and for layers, which are no table together.
    """
    if early_exit and (without or only):
        raise UsageError(
            f"{flag('early-exit')} has sums of its own: leave {option('without')} and "
            f"{option('only')} out"
        )
    if early_exit:
        return up_to_layers
    return without_and_only(without, only) if without or only else None


@dataclass(frozen=True, eq=False)
class SumScores:
    """How S sums label the rows of one store, or of several on average."""

    run: RunStats | None
    """None: the mean over several."""
    named: Mapping[str, Any]
    """What names the run in a row (``run_keys``)."""
    names: tuple[str, ...]
    """[S]"""
    layers: tuple[int | None, ...]
    """[S]"""
    counts: tuple[int, ...]
    """[S] how many components each is of."""
    stats: ComponentStats
    """``parts`` are the sums."""

    def rows(self) -> list[dict[str, Any]]:
        """One row for the full model, then one a sum."""
        full = self.stats.full
        rows: list[dict[str, Any]] = [
            {"sum": "full", "layer": None, "components": None, **_keys(full, 0, full)}
        ]
        each = zip(self.names, self.layers, self.counts, strict=True)
        rows += [
            {"sum": name, "layer": layer, "components": count, **_keys(self.stats.parts, j, full)}
            for j, (name, layer, count) in enumerate(each)
        ]
        return [{**self.named, **row} for row in rows]


def _keys(scores: Scores, j: int, full: Scores) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "accuracy": float(scores.accuracy[j]),
        "accuracy_low": float(scores.accuracy_low[j]),
        "accuracy_high": float(scores.accuracy_high[j]),
        "change": float(scores.accuracy[j] - full.accuracy[0]),
        "top_share": float(scores.top_share[j]),
    }
    keys |= {name: float(scores[name][j]) for name in ("agreement", "margin", "macro_f1", "mcc")}
    return keys | {"n": scores.n}


def sum_scores(
    paths: Sequence[str | Path],
    sums_of: SumsOf,
    split: str = "test",
    pool: str = DEFAULT_POOL,
    normalize: str = DEFAULT_NORMALIZATION,
) -> list[SumScores]:
    """Score sums over components on the rows of each store, rows of equal prompts as one.

    Raises:
        UsageError: a store has no rows in the split, or nothing has a name that a sum is of.
        StoreError: a store cannot be read.
    """
    found = []
    for path in paths:
        with open_store(path, pool, normalize) as store:
            sums = [PartialSum(WHOLE, np.ones(len(store.components), bool))]
            sums += sums_of(store.components)
            members = np.stack([one.members for one in sums])
            run = run_stats(store, split, sums=members)
        found.append(
            SumScores(
                run,
                run_keys(run),
                tuple(one.name for one in sums),
                tuple(one.layer for one in sums),
                tuple(members.sum(axis=1).tolist()),
                run.stats,
            )
        )
    return found


def mean_scores(found: Sequence[SumScores]) -> SumScores | None:
    """The mean over several stores; None of one, and where a mean would mix what may not be.

    That is runs of other numbers of labels, of other sums, or of several settings
    (``setting_names``).
    """
    runs = [one.run for one in found if one.run is not None]
    labels = {len(run.labels.word) for run in runs}
    alike = {(one.names, one.layers, one.counts) for one in found}
    settings = set(setting_names([run.info for run in runs]))
    if len(found) < 2 or max(len(alike), len(labels), len(settings)) > 1:
        return None
    named = {**dict.fromkeys(found[0].named), "store": f"mean of {len(found)} stores"}
    named |= normalize_key(runs[0].info.normalize)
    return replace(found[0], run=None, named=named, stats=average(runs))


def sum_rows(found: Sequence[SumScores]) -> list[dict[str, Any]]:
    """The rows of each store, and of the mean where there is one."""
    mean = mean_scores(found)
    return [row for one in (*found, *([mean] if mean else [])) for row in one.rows()]

"""Stores as arrays with named axes: ``compread.open``.

    run = compread.open("stores/sst2-review-k4-s0.h5")
    run.parts                       # [N, C, K] float32
    run.axes                        # {"row": ids, "component": names, "label": words}
    run.to_xarray()["parts"].sel(component="L9H4")
    run.statistics().to_pandas().nlargest(5, "accuracy")

pandas and xarray are imported where they are asked for, and are no dependencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compread.analysis.categories import DEFAULT_RULES, Rules
from compread.analysis.ranking import rank
from compread.analysis.runs import RunStats, run_stats
from compread.array_types import Float32
from compread.components import KINDS, Component
from compread.errors import UsageError
from compread.options import DEFAULT_POOL
from compread.store import open_store
from compread.store.schema import Labels, RunInfo, Split

NUMBERS = ("accuracy", "chance", "balanced_accuracy", "macro_f1", "margin", "entropy", "agreement")
"""Statistics of each component that ``Statistics.to_xarray`` has."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """A row a component, as ``compread rank`` shows them."""

    rows: list[dict[str, Any]]
    """In axis order, the full model last."""

    def to_pandas(self) -> Any:
        """A DataFrame with a row a component.

        Raises:
            UsageError: pandas is not installed.
        """
        return _library("pandas").DataFrame(self.rows)

    def to_xarray(self) -> Any:
        """A Dataset over the dimension ``component``.

        Raises:
            UsageError: xarray is not installed.
        """
        names = [row["component"] for row in self.rows]
        data = {key: ("component", [row[key] for row in self.rows]) for key in NUMBERS}
        return _library("xarray").Dataset(data, {"component": names})


@dataclass(frozen=True, eq=False)
class Run:
    """One split of one store, in memory."""

    info: RunInfo
    components: tuple[Component, ...]
    labels: Labels
    split: Split
    stats: RunStats

    @property
    def parts(self) -> Float32:
        """[N, C, K] the contributions: rows, components, labels."""
        return self.split.parts

    @property
    def full(self) -> Float32:
        """[N, K] the model's own logits."""
        return self.split.full

    @property
    def gold(self) -> Any:
        """[N] the right label's number."""
        return self.split.gold

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The names along each axis: ``row``, ``component`` and ``label``."""
        names = tuple(component.name for component in self.components)
        return {"row": self.split.id, "component": names, "label": self.labels.word}

    def statistics(self, rules: Rules = DEFAULT_RULES) -> Statistics:
        """Each component's statistics and category, ``embed`` and ``bias`` too."""
        return statistics([self.stats], rules)

    def to_pandas(self) -> Any:
        """A long DataFrame: a row for each example, component and label.

        Raises:
            UsageError: pandas is not installed.
        """
        pandas = _library("pandas")
        index = pandas.MultiIndex.from_product(self.axes.values(), names=list(self.axes))
        frame = pandas.DataFrame({"logit": self.parts.ravel()}, index=index).reset_index()
        frame["gold"] = np.repeat(np.array(self.labels.word)[self.gold], self.parts[0].size)
        return frame

    def to_xarray(self) -> Any:
        """A Dataset of ``parts``, ``full`` and ``gold`` with the axes' names as coordinates.

        Raises:
            UsageError: xarray is not installed.
        """
        dims = tuple(self.axes)
        coordinates: dict[str, Any] = {name: list(values) for name, values in self.axes.items()}
        for key in ("kind", "layer", "head"):
            coordinates[key] = ("component", [getattr(c, key) for c in self.components])
        data = {
            "parts": (dims, self.parts),
            "full": (("row", "label"), self.full),
            "gold": ("row", np.array(self.labels.word)[self.gold]),
        }
        return _library("xarray").Dataset(data, coordinates, self.info.identity())


def open_run(path: str | Path, split: str = "test", pool: str = DEFAULT_POOL) -> Run:
    """Read one split of a store.

    Args:
        path: the store.
        split: ``train`` or ``test``.
        pool: how the label words of one class become one label (``compread.options.POOLS``).

    Raises:
        UsageError: the split has no rows.
        StoreError: the store is missing, unfinished, damaged or foreign.
    """
    with open_store(path, pool) as store:
        stats = run_stats(store, split)
        return Run(store.run, store.components, store.labels, store.split(split), stats)


def statistics(runs: Sequence[RunStats], rules: Rules = DEFAULT_RULES) -> Statistics:
    """The statistics of each component, averaged over runs, in axis order."""
    ranking = rank(runs, kinds=KINDS, rules=rules)
    *rows, full = ranking.rows()
    order = {component.name: j for j, component in enumerate(runs[0].components)}
    rows.sort(key=lambda row: order[row["component"]])
    return Statistics([*rows, full])


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(f"this needs {name}: pip install {name}") from error

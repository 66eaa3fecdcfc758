"""Runs as a pandas DataFrame or an xarray Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from compread.api.stored import StoredRun
from compread.errors import UsageError


def library(name: str) -> Any:
    """A library that only those have who asked for its form.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(f"this needs {name}: pip install {name}") from error


def long_frame(runs: Sequence[StoredRun]) -> Any:
    """A DataFrame with a row for each store, example, component and label.

    Layer and head are missing where a component has none. Where rows have answers of their own,
    labels are their positions, and there is no row for those that an example lacks.

    Raises:
        UsageError: pandas is not installed.
    """
    pandas = library("pandas")
    return pandas.concat([_frame(pandas, run) for run in runs], ignore_index=True)


def _frame(pandas: Any, run: StoredRun) -> Any:
    info, data = run.info, run.data
    n, c, k = data.parts.shape
    index = np.arange(n * c * k)
    row, component, label = index // (c * k), index // k % c, index % k

    def spread(values: Sequence[Any], at: Any) -> Any:
        return np.array(values, dtype=object)[at]

    def numbers(name: str) -> Any:
        values = [getattr(one, name) for one in run.components]
        column = pandas.array([v if v >= 0 else None for v in values], dtype="Int64")
        return column.take(component)

    names = run.labels.names
    frame = pandas.DataFrame(
        {
            "store": str(run.path),
            "model": info.model,
            "task": info.task,
            "template": info.template,
            "seed": info.seed,
            "shots": info.shots,
            "split": run.split,
            "row": spread(run.ids, row),
            "component": spread([one.name for one in run.components], component),
            "kind": spread([one.kind for one in run.components], component),
            "layer": numbers("layer"),
            "head": numbers("head"),
            "label": spread(names, label),
            "label_text": spread(run.texts, label),
            "class": spread(run.labels.class_names, label),
            "logit": data.parts.ravel(),
            "gold": spread(names, data.gold)[row],
        }
    )
    if not run.answers:
        return frame
    texts = np.array([[*of.text, *[""] * (k - len(of))] for of in run.answers], dtype=object)
    frame["label_text"] = texts[row, label]
    return frame[np.arange(k)[label] < np.array(list(map(len, run.answers)))[row]]


def dataset(run: StoredRun) -> Any:
    """A Dataset over ``row``, ``component`` and ``label`` with their names as coordinates.

    Raises:
        UsageError: xarray is not installed.
    """
    data, names = run.data, np.array(run.labels.names)
    coordinates: dict[str, Any] = {
        "row": list(run.ids),
        "component": [one.name for one in run.components],
        "label": names,
        "label_text": ("label", list(run.texts)),
        "class": ("label", list(run.labels.class_names)),
    }
    for key in ("kind", "layer", "head"):
        coordinates[key] = ("component", [getattr(one, key) for one in run.components])
    arrays = {
        "parts": (("row", "component", "label"), data.parts),
        "full": (("row", "label"), data.full),
        "gold": ("row", names[data.gold]),
        "predictions": (("row", "component"), names[run.predictions]),
    }
    return library("xarray").Dataset(arrays, coordinates, run.info.identity())

"""Curves over layers and over train rows, and one example's answer step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compread.analysis.examples import Breakdown, breakdowns
from compread.analysis.sums import (
    THROUGH,
    SumScores,
    mean_scores,
    sum_scores,
    up_to_layers,
)
from compread.errors import UsageError, option
from compread.reweight.fit import Fit
from compread.reweight.results import summarize
from compread.text import base_settings, printable, with_class
from compread.views.plots.charts import MOST_PANELS, info_name
from compread.views.plots.pictures import Line, Lines, Picture, Steps
from compread.views.tables import normalized

LAYER_LINES = {"all": "all up to it", "attention": "attention alone", "mlp": "MLPs alone"}
STEPS = 12
"""How many components stand between ``embed`` and ``bias``."""


def layers(paths: Sequence[Path], split: str, pool: str, normalize: str) -> Picture:
    """Accuracy of the sum up to each layer, a panel a task: the mean over its stores.

    Raises:
        UsageError: a store has no such rows, or there are more tasks than fit a page.
        StoreError: a store cannot be read.
    """
    tasks: dict[str, list[SumScores]] = {}
    for one in sum_scores(paths, up_to_layers, split, pool, normalize):
        tasks.setdefault(str(one.named["task"]), []).append(one)
    shown = [each for of in tasks.values() for each in _mean_or_each(of)]
    _check_panels("layers", len(shown))
    return Picture([_layers(title, one) for title, one in shown])


def _mean_or_each(found: list[SumScores]) -> list[tuple[str, SumScores]]:
    """A task's mean; each of its stores where they have none."""
    if len(found) > 1 and (mean := mean_scores(found)) is not None:
        return [(f"{found[0].named['task']}, mean of {len(found)} stores", mean)]
    return [(info_name(one.run.info) if one.run else "", one) for one in found]


def _layers(title: str, found: SumScores) -> Lines:
    places = sorted({layer for layer in found.layers if layer is not None})
    scores = found.stats.parts
    lines = []
    for name in THROUGH:
        at = {
            layer: j
            for j, (of, layer) in enumerate(zip(found.names, found.layers, strict=True))
            if of == name and layer is not None
        }
        if at:
            columns = (scores.accuracy, scores.accuracy_low, scores.accuracy_high)
            values = [np.array([c[at[p]] if p in at else np.nan for p in places]) for c in columns]
            lines.append(Line(LAYER_LINES[name], *values))
    full = float(found.stats.full.accuracy[0])
    return Lines(
        tuple(lines),
        tuple(map(str, places)),
        "layer",
        "accuracy",
        printable(title),
        full,
        f"full model {full:.3f}",
    )


def learning(fits: Sequence[Fit], method: str | None = None) -> Picture:
    """Test accuracy over the number of train rows, a line a method, a panel a task and setting.

    The band is one standard deviation over the stores, or of a single store its 95 % interval.

    Raises:
        UsageError: the fits are of one number of train rows, or of more tasks than fit a page.
    """
    rows = [row for row in summarize(fits) if method in (None, row["method"])]
    numbers = sorted({row["n_train"] for row in rows})
    if len(numbers) < 2:
        there = f"{numbers[0]} train rows alone" if numbers else "no such method"
        raise UsageError(
            f"learning draws accuracy over train rows, and the weights have {there}: save fits of "
            f"several numbers with reweight {option('n-train', '4,8,16')} --save FILE"
        )
    panels = list(dict.fromkeys((row["task"], row["setting"]) for row in rows))
    _check_panels("learning", len(panels))
    found = []
    named = base_settings(row["setting"] for row in rows)
    for task, setting in panels:
        of = [row for row in rows if (row["task"], row["setting"]) == (task, setting)]
        places = sorted({row["n_train"] for row in of})
        lines = [
            _learning_line(name, [row for row in of if row["method"] == name], places, fits)
            for name in dict.fromkeys(row["method"] for row in of)
        ]
        title = ", ".join(filter(None, [task, named[setting], f"{of[0]['runs']} stores"]))
        places_named = tuple(map(str, places))
        found.append(Lines(tuple(lines), places_named, "train rows", "accuracy", printable(title)))
    return Picture(found)


def _learning_line(
    name: str, rows: Sequence[dict[str, Any]], places: Sequence[int], fits: Sequence[Fit]
) -> Line:
    y, low, high = (np.full(len(places), np.nan) for _ in range(3))
    for row in rows:
        at, accuracy, sd = places.index(row["n_train"]), row["accuracy"], row["accuracy_sd"]
        y[at], low[at], high[at] = accuracy, accuracy - sd, accuracy + sd
        if row["runs"] == 1:
            (test,) = [
                fit.test
                for fit in fits
                if fit.test
                and (fit.title, len(fit.train_ids), fit.run.task)
                == (name, row["n_train"], row["task"])
            ][:1]
            low[at], high[at] = test.accuracy_low, test.accuracy_high
    return Line(name, y, low, high)


def waterfall(
    paths: Sequence[Path], split: str, pool: str, normalize: str, example: str | None
) -> Picture:
    """What the answer to one example is made of, a panel a store that has it.

    Raises:
        UsageError: no example is named, none has that id, or more stores than fit a page have it.
        StoreError: a store cannot be read.
    """
    if example is None:
        raise UsageError(f"waterfall draws one example: name it with {option('example', 'ID')}")
    found = breakdowns(paths, split, example, pool, normalize)
    _check_panels("waterfall", len(found))
    return Picture([_waterfall(one) for one in found])


def _waterfall(found: Breakdown) -> Steps:
    first, rest = found.order[:1], found.order[1:]
    strong, weak = rest[:STEPS], rest[STEPS:]
    names = [found.components[j].name for j in (*first, *strong)]
    changes = [found.difference[j] for j in (*first, *strong)]
    if weak:
        names.append(f"{len(weak)} more")
        changes.append(found.difference[list(weak)].sum())
    right, rival, said = (
        with_class(f"“{printable(found.answers[k].strip())}”", printable(found.classes[k]))
        for k in (found.right, found.rival, found.said)
    )
    number = "log p" if found.components[-1].kind == "normalizer" else "logit"
    return Steps(
        tuple(names),
        np.array(changes),
        np.cumsum(changes),
        found.margin,
        "full model",
        f"{number} of {right} less {rival}",
        f"{printable(found.row)}: right is {right}, the full model says {said}"
        f"{normalized(found.run.normalize)}; {info_name(found.run)}",
    )


def _check_panels(kind: str, panels: int) -> None:
    if panels > MOST_PANELS:
        raise UsageError(
            f"{kind} draws {MOST_PANELS} panels at most; got {panels}: give fewer stores"
        )

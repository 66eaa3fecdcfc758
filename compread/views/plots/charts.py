"""The plots of the paper, and of reweight, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from compread.analysis.average import average
from compread.analysis.bias import Leaning
from compread.analysis.categories import DEFAULT_RULES, Rules, categorize, counted
from compread.analysis.change import Change
from compread.analysis.measures import DEFAULT_MEASURE, MEASURES
from compread.analysis.metric import Metric, metric_name, ranked_by
from compread.analysis.ranking import rank
from compread.analysis.runs import RunStats
from compread.analysis.training import CURVES, training_rows
from compread.analysis.transfer import correlations
from compread.array_types import Floats, Ints
from compread.components import KINDS, Component
from compread.errors import UsageError, command, option
from compread.reweight.fit import Fit
from compread.reweight.select import mean_weights
from compread.store.schema import RunInfo
from compread.text import printable
from compread.views.plots.pictures import Grid, Group, Line, Lines, Picture, Points
from compread.views.tables import normalized

MOST_PANELS = 9
NAMED = 3
"""How many of the best and of the worst components a scatter names."""
DRAWING_ORDER = ("other", "label-biased", "bad", "good")
"""Categories in the order they are drawn in, so that few are not hidden by many."""


def scatter(
    runs: Sequence[RunStats], by_kind: bool = False, rules: Rules = DEFAULT_RULES
) -> Picture:
    """Accuracy over the share predicted as the last label, a panel a run (figures 1 and 7).

    With more than two labels that share is of the label predicted most.

    Raises:
        UsageError: there are more runs than fit a page.
    """
    if len(runs) > MOST_PANELS:
        raise UsageError(f"scatter draws a panel a store, {MOST_PANELS} at most; got {len(runs)}")
    return Picture([_scatter(run, by_kind, rules) for run in runs])


def _scatter(run: RunStats, by_kind: bool, rules: Rules) -> Points:
    parts, of = run.stats.parts, np.array(counted(run.components))
    category = categorize(run.stats, run.components, rules).category
    kind = [c.kind for c in run.components]
    group_of = np.array(kind if by_kind else category)[of]
    order = ("head", "mixer", "mlp") if by_kind else DRAWING_ORDER
    two = len(run.labels.word) == 2
    x = (parts.predicted[:, 1] if two else parts.top_share)[of]
    groups = [
        Group(name, x[at], parts.accuracy[of][at], _names(run.components, of[at]))
        for name in order
        if len(at := np.flatnonzero(group_of == name))
    ]
    word = printable(run.labels.quoted[1]) if two else ""
    full = float(run.stats.full.accuracy[0])
    return Points(
        groups=tuple(groups),
        x_label=f"share predicted {word}" if two else "share of its commonest answer",
        y_label="accuracy",
        title=run_name(run),
        level=full,
        level_name=f"full model {full:.3f}",
        unit=True,
        named=_ends(run.components, parts.accuracy, of),
    )


def _ends(components: Sequence[Component], accuracy: Floats, of: Ints) -> tuple[str, ...]:
    """The names of the best and the worst few, in order of accuracy."""
    order = of[np.argsort(-accuracy[of], kind="stable")].tolist()
    ends = [*order[:NAMED], *order[NAMED:][-NAMED:]]
    return _names(components, ends)


def heatmap(runs: Sequence[RunStats], by: str | Metric = DEFAULT_MEASURE) -> Picture:
    """One measure, averaged over the runs, in a grid of heads by layers (figure 2)."""
    if not isinstance(by, str):
        return _metric_map(runs, by)
    stats = average(runs)
    values = stats.parts[by]
    grid = np.asarray(values[counted(runs[0].components)])
    low, high = float(grid.min()), float(grid.max())
    middle = {"accuracy": 1 / len(runs[0].labels.word), "logits": 0.0, "": None}
    centre = middle[MEASURES[by].scale]
    words = by.replace("_", " ")
    over = f", mean of {len(runs)} stores" if len(runs) > 1 else ""
    full = stats.full[by][0]
    title = f"{words} of each component{over}; full model {full:.3f}"
    title += normalized(runs[0].info.normalize)
    return Picture([layer_grid(runs[0].components, values, words, low, high, centre, title)])


def _metric_map(runs: Sequence[RunStats], metric: Metric) -> Picture:
    """A measure of one's own in the same grid."""
    *rows, full = ranked_by(rank(runs, kinds=KINDS).rows(), metric)
    value = {row["component"]: row["metric"] for row in rows}
    values = np.array([value[c.name] for c in runs[0].components])
    grid = values[counted(runs[0].components)]
    over = f", mean of {len(runs)} stores" if len(runs) > 1 else ""
    title = f"{metric_name(metric)}{over}; full model {full['metric']:.3f}"
    low, high = (float(end(grid)) for end in (np.nanmin, np.nanmax))
    return Picture([layer_grid(runs[0].components, values, "metric", low, high, None, title)])


def transfer(runs: Sequence[RunStats]) -> Picture:
    """Pearson's correlation of component accuracies between every two runs."""
    names = tuple(run_name(run) for run in runs)
    title = "Correlation of accuracies between runs"
    values = correlations(runs)
    return Picture([Grid(values, names, names, "Pearson's r", -1.0, 1.0, 0.0, title)])


def bias(leanings: Sequence[Leaning]) -> Picture:
    """Logits of two labels on each row, by the labels of the demonstrations (figure 5)."""
    panels = []
    for number, one in enumerate(leanings):
        pooled: dict[str, list[Any]] = {}
        for setting, logits in zip(one.settings, one.logits, strict=True):
            pooled.setdefault(setting, []).append(logits)
        groups = []
        for setting, several in pooled.items():
            both = np.concatenate(several).astype(np.float64)
            groups.append(Group(f"{setting} demonstrations", both[:, 0], both[:, 1]))
        words = list(map(printable, one.words))
        x, y = (f"{one.number} of {word}" for word in words)
        title = f"{one.component.name} says {words[number]} on {min(one.biased):.0%} of the rows"
        title += " at least" if len(one.biased) > 1 else ""
        sides = f"says {words[1]}", f"says {words[0]}"
        panels.append(Points(tuple(groups), x, y, title, sides=sides))
    return Picture(panels)


def training(runs: Sequence[RunStats]) -> Picture:
    """Full, best, best at the last revision and worst, a panel a task (figures 3 and 6).

    Raises:
        UsageError: the runs are of one revision.
    """
    rows = training_rows(runs)
    panels = []
    for task in dict.fromkeys(row["task"] for row in rows):
        of = [row for row in rows if row["task"] == task]
        if len(of) < 2:
            raise UsageError(
                f"{task}: all runs are of {of[0]['revision']}; training wants stores of several "
                f"revisions ({command('extract')}, {option('revision')})"
            )
        lines = tuple(_with_sd(c, of) for c in CURVES)
        places = tuple(str(row["revision"]) for row in of)
        panels.append(Lines(lines, places, "revision", "accuracy", task))
    return Picture(panels)


def _with_sd(curve: str, rows: Sequence[Mapping[str, Any]]) -> Line:
    y, sd = (np.array([row[key] for row in rows]) for key in (curve, f"{curve}_sd"))
    return Line(curve, y, y - sd, y + sd)


def change_map(found: Change) -> Picture:
    """The change of each component's accuracy between two models, in a grid."""
    values = (found.after - found.before)[:-1]
    of = counted(found.components)
    reach = max(1e-9, float(np.abs(values[of]).max()))
    full = found.after[-1] - found.before[-1]
    runs = "one pair of runs" if found.pairs == 1 else f"{found.pairs} pairs of runs"
    title = f"Change of accuracy, {runs}; full model {full:+.3f}"
    title += normalized(found.normalize)
    return Picture(
        [layer_grid(found.components, values, "change of accuracy", -reach, reach, 0.0, title)]
    )


def weight_map(
    components: Sequence[Component], values: Floats, unchanged: float, title: str
) -> Picture:
    """A weight for each component in a grid, whose middle leaves a component as it is."""
    shown = values[counted(components)]
    low, high = float(shown.min()), float(shown.max())
    what = f"weight ({unchanged:.3g}: unchanged)"
    return Picture([layer_grid(components, values, what, low, high, unchanged, title)])


def layer_grid(
    components: Sequence[Component],
    values: Floats,
    what: str,
    low: float,
    high: float,
    centre: float | None,
    title: str,
) -> Grid:
    """Values [C] with a column a layer, a row a head, and rows for MLPs and mixers below."""
    layers = sorted({c.layer for c in components if c.layer >= 0})
    heads = sorted({c.head for c in components if c.kind == "head"})
    rows = [str(head) for head in heads]
    rows += [
        n for k, n in (("mlp", "MLP"), ("mixer", "MIX")) if any(c.kind == k for c in components)
    ]
    grid = np.full((len(rows), len(layers)), np.nan)
    row_of: Mapping[str, Callable[[Component], str]] = {
        "head": lambda c: str(c.head), "mlp": lambda c: "MLP", "mixer": lambda c: "MIX",
    }  # fmt: skip
    for j, c in enumerate(components):
        if c.kind in row_of:
            grid[rows.index(row_of[c.kind](c)), layers.index(c.layer)] = values[j]
    columns = tuple(map(str, layers))
    return Grid(grid, tuple(rows), columns, what, low, high, centre, title, "layer", "head")


def run_name(run: RunStats) -> str:
    """A run in few characters: task, template and seed."""
    return info_name(run.info)


def info_name(info: RunInfo) -> str:
    """What ``run_name`` says of a run."""
    seed = f" s{info.seed}" if info.seed is not None else ""
    template = f" {info.template}" if info.template else ""
    checkpoint = f" {info.checkpoint}" if info.checkpoint else ""
    return printable(f"{info.task}{template}{seed}{checkpoint}{normalized(info.normalize)}")


def _names(components: Sequence[Component], of: Iterable[int]) -> tuple[str, ...]:
    return tuple(components[j].name for j in of)


def fitted_weights(fits: Sequence[Fit], method: str | None = None) -> Picture:
    """The weights that ``rank --weights`` shows, in a grid (``mean_weights``).

    Raises:
        UsageError: as ``mean_weights``.
    """
    found = mean_weights(fits, method=method)
    over = f"mean of {found.fits} fits" if found.fits > 1 else "one fit"
    title = f"Weights by {found.title}, {found.n_train} train rows, {over}"
    sizeless = any(fit.fitted.sizeless for fit in fits if fit.title == found.title)
    shown = np.abs(found.values[counted(found.components)])
    # Weights without a size of their own leave the model as it is where all are of one size.
    unchanged = float(shown.mean()) if sizeless else 1.0
    return weight_map(found.components, found.values, unchanged, title)

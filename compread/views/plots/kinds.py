"""The kinds of plots: an entry here and a drawing in ``charts`` are all that a new one takes.

Nothing is imported that ``--help`` would wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compread.errors import UsageError

if TYPE_CHECKING:
    from compread.analysis.categories import Rules
    from compread.analysis.change import Change
    from compread.analysis.metric import Metric
    from compread.analysis.runs import RunStats
    from compread.reweight.fit import Fit
    from compread.views.plots.pictures import Picture


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of a plot; stores and weights are read when it looks at them."""

    paths: Sequence[Path]
    split: str
    pool: str
    normalize: str
    rules: Rules
    by: str | Metric
    """A measure, or one of the user's own."""
    by_kind: bool
    """Whether colours are kinds of components, rather than categories."""
    labels: Sequence[int]
    example: str | None
    """The id of a row."""
    method: str | None
    runs: Callable[[], Sequence[RunStats]]
    """Reads the statistics of the stores."""
    fits: Callable[[], Sequence[Fit]]
    """Reads the weights files that stand in the place of stores."""
    beside: Callable[[], Sequence[Fit]]
    """Reads the weights that are drawn beside the stores; none where none are asked for."""
    change: Callable[[], Change]
    """Compares the stores with those of another model."""


@dataclass(frozen=True)
class PlotKind:
    """One kind of plot."""

    about: str
    """What it shows, in a few words."""
    draw: Callable[[Asked], Picture]
    reads: Literal["one", "revisions", "weights"] = "one"
    """Stores of one model, also of several revisions of it, or weights files."""
    compares: bool = False
    """Whether it wants the stores of another model."""
    weighs: bool = False
    """Whether weights can be drawn beside the stores."""


def _scatter(asked: Asked) -> Picture:
    from compread.views.plots.charts import scatter

    return scatter(asked.runs(), asked.by_kind, asked.rules)


def _heatmap(asked: Asked) -> Picture:
    from compread.views.plots.charts import heatmap

    return heatmap(asked.runs(), asked.by)


def _transfer(asked: Asked) -> Picture:
    from compread.views.plots.charts import transfer

    return transfer(asked.runs())


def _bias(asked: Asked) -> Picture:
    from compread.analysis.bias import leanings
    from compread.views.plots.charts import bias

    if len(asked.labels) != 2:
        raise UsageError("--labels: expected two numbers, such as 0,1")
    one, two = asked.labels
    return bias(leanings(asked.paths, asked.split, asked.pool, (one, two), asked.normalize))


def _training(asked: Asked) -> Picture:
    from compread.views.plots.charts import training

    return training(asked.runs())


def _change(asked: Asked) -> Picture:
    from compread.views.plots.charts import change_map

    return change_map(asked.change())


def _weights(asked: Asked) -> Picture:
    from compread.views.plots.charts import fitted_weights

    return fitted_weights(asked.fits(), asked.method)


def _reliability(asked: Asked) -> Picture:
    from compread.views.plots.reliability import reliability_diagram

    return reliability_diagram(
        asked.paths, asked.split, asked.pool, asked.normalize, asked.beside()
    )


def _layers(asked: Asked) -> Picture:
    from compread.views.plots.curves import layers

    return layers(asked.paths, asked.split, asked.pool, asked.normalize)


def _learning(asked: Asked) -> Picture:
    from compread.views.plots.curves import learning

    return learning(asked.fits(), asked.method)


def _waterfall(asked: Asked) -> Picture:
    from compread.views.plots.curves import waterfall

    return waterfall(asked.paths, asked.split, asked.pool, asked.normalize, asked.example)


PLOTS: Mapping[str, PlotKind] = {
    "scatter": PlotKind(
        "accuracy over the share of one answer, a panel a store; Figures 1 and 7",
        _scatter,
        reads="revisions",
    ),
    "heatmap": PlotKind("a measure by layer and head; Figure 2", _heatmap),
    "transfer": PlotKind("correlation between every two runs", _transfer, reads="revisions"),
    "bias": PlotKind("two label-biased components row by row; Figure 5", _bias),
    "training": PlotKind("accuracy over revisions; Figures 3 and 6", _training, reads="revisions"),
    "change": PlotKind("difference between two models, with --versus", _change, compares=True),
    "weights": PlotKind(
        "component weights; STORE is the file that reweight --save wrote",
        _weights,
        reads="weights",
    ),
    "reliability": PlotKind(
        "how often answers are right by how sure they are, a panel a store",
        _reliability,
        reads="revisions",
        weighs=True,
    ),
    "layers": PlotKind(
        "accuracy of the sum up to each layer, attention and MLPs apart, a panel a task",
        _layers,
        reads="revisions",
    ),
    "learning": PlotKind(
        "accuracy over train rows by method; STORE is the file that reweight --save wrote",
        _learning,
        reads="weights",
    ),
    "waterfall": PlotKind(
        "what the answer to one row is made of, with --example ID", _waterfall, reads="revisions"
    ),
}
STYLE_NAMES = ("paper", "talk")
"""The sizes of text and lines (``palette.STYLES``)."""
DEFAULT_STYLE = "paper"
THEME_NAMES = ("light", "dark")
"""The grounds of a picture's file (``palette.THEMES``)."""
DEFAULT_THEME = "light"
DRAWN = ("png", "svg", "pdf")
"""The forms of a picture's file; ``NUMBERS`` have its numbers."""
NUMBERS = ("csv", "json")

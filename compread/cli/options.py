"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from compread import options
from compread.analysis.measures import DEFAULT_MEASURE, MEASURES, PER, PER_STORE
from compread.cli import complete
from compread.components import KINDS
from compread.views.plots.kinds import PLOTS, STYLE_NAMES
from compread.views.render import FORMATS


def named_options(context: typer.Context) -> set[str]:
    """The options that stand on the command line, such as ``{"--pool"}``, whatever their values."""
    return {
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.param_type_name == "option" and parameter.name is not None
        if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    }


class Choice(str, Enum):
    """One of a list of names; the lists are those of ``compread.options`` and of the rooms."""


if TYPE_CHECKING:
    By: TypeAlias = Choice
    Ensemble: TypeAlias = Choice
    Format: TypeAlias = Choice
    Kind: TypeAlias = Choice
    Normalize: TypeAlias = Choice
    Per: TypeAlias = Choice
    Plot: TypeAlias = Choice
    PlotStyle: TypeAlias = Choice
    Pool: TypeAlias = Choice
    Split: TypeAlias = Choice
    Table: TypeAlias = Choice
else:
    By = Choice("By", {name: name for name in (*MEASURES, options.WEIGHT)})
    Ensemble = Choice("Ensemble", {name: name for name in options.ENSEMBLES})
    Format = Choice("Format", {name: name for name in FORMATS})
    Kind = Choice("Kind", {name: name for name in (*KINDS, options.ALL)})
    Normalize = Choice("Normalize", {name: name for name in options.NORMALIZATIONS})
    Per = Choice("Per", {name: name for name in (PER_STORE, *PER)})
    Plot = Choice("Plot", {name: name for name in PLOTS})
    PlotStyle = Choice("PlotStyle", {name: name for name in STYLE_NAMES})
    Pool = Choice("Pool", {name: name for name in options.POOLS})
    Split = Choice("Split", {name: name for name in options.SPLITS})
    Table = Choice("Table", {name: name for name in options.TABLES})

ACCURACY = By(DEFAULT_MEASURE)
WEIGHT = By(options.WEIGHT)
POOLED = Pool(options.DEFAULT_POOL)
AS_STORED = Normalize(options.DEFAULT_NORMALIZATION)
TEST = Split(options.DEFAULT_SPLIT)
MEASURE_NAMES = ", ".join(MEASURES)

_STORES = typer.Argument(
    metavar="STORE",
    autocompletion=complete.stores,
    help="Stores: .h5 files, folders (subfolders too), or - for paths on standard input.",
    show_default=False,
)
STORES = Annotated[list[str], _STORES]
ANY_STORES = Annotated[list[str] | None, _STORES]
POOL = Annotated[
    Pool, typer.Option("--pool", help="How several label words of one class become one label.")
]
NORMALIZE = Annotated[
    Normalize,
    typer.Option(
        "--normalize",
        help="What makes answers of different lengths alike: characters is lm-eval's acc_norm.",
    ),
]
SPLIT = Annotated[Split, typer.Option("--split", help="Which rows to score the components on.")]
ACROSS_MODELS = Annotated[
    bool, typer.Option("--across-models", help="Take stores of several models as one.")
]
ALPHA = Annotated[
    float,
    typer.Option("--alpha", help="Good and bad: largest corrected p-value that is significant."),
]
BIAS_SHARE = Annotated[
    float,
    typer.Option("--bias-share", help="Biased: smallest share of rows with one prediction."),
]
GOOD_ACCURACY = Annotated[
    float | None,
    typer.Option(
        "--good-accuracy",
        help="Good: smallest accuracy.  [default: the full model's]",
        show_default=False,
    ),
]
BAD_ACCURACY = Annotated[
    float | None,
    typer.Option(
        "--bad-accuracy",
        help="Bad: largest accuracy.  [default: any below chance]",
        show_default=False,
    ),
]

"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from compread import options
from compread.analysis.measures import MEASURES, PER, PER_STORE
from compread.cli import complete
from compread.views.plots.kinds import PLOTS, STYLE_NAMES, THEME_NAMES
from compread.views.render import FORMATS


def named_options(context: typer.Context) -> set[str]:
    """The options that stand on the command line, such as ``{"--pool"}``, whatever their values."""
    return {
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.param_type_name == "option" and parameter.name is not None
        if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    }


def unless_from_environment(context: typer.Context, name: str, value: Path | None) -> Path | None:
    """The value, or None where a variable of the environment has set it for other questions."""
    source = context.get_parameter_source(name)
    return None if getattr(source, "name", "") == "ENVIRONMENT" else value


class Choice(str, Enum):
    """One of a list of names; the lists are those of ``compread.options`` and of the rooms."""


if TYPE_CHECKING:
    Ensemble: TypeAlias = Choice
    Format: TypeAlias = Choice
    Normalize: TypeAlias = Choice
    Per: TypeAlias = Choice
    Plot: TypeAlias = Choice
    PlotStyle: TypeAlias = Choice
    PlotTheme: TypeAlias = Choice
    Pool: TypeAlias = Choice
    Split: TypeAlias = Choice
    Table: TypeAlias = Choice
else:
    Ensemble = Choice("Ensemble", {name: name for name in options.ENSEMBLES})
    Format = Choice("Format", {name: name for name in FORMATS})
    Normalize = Choice("Normalize", {name: name for name in options.NORMALIZATIONS})
    Per = Choice("Per", {name: name for name in (PER_STORE, *PER)})
    Plot = Choice("Plot", {name: name for name in PLOTS})
    PlotStyle = Choice("PlotStyle", {name: name for name in STYLE_NAMES})
    PlotTheme = Choice("PlotTheme", {name: name for name in THEME_NAMES})
    Pool = Choice("Pool", {name: name for name in options.POOLS})
    Split = Choice("Split", {name: name for name in options.SPLITS})
    Table = Choice("Table", {name: name for name in options.TABLES})

POOLED = Pool(options.DEFAULT_POOL)
AS_STORED = Normalize(options.DEFAULT_NORMALIZATION)
TEST = Split(options.DEFAULT_SPLIT)
MEASURE_NAMES = ", ".join(MEASURES)

_STORES = typer.Argument(
    metavar="STORE",
    autocompletion=complete.stores,
    help="Stores: .h5 files, folders (subfolders too), or - for paths on standard input.",
)
STORES = Annotated[list[str], _STORES]
ANY_STORES = Annotated[list[str] | None, _STORES]
POOL = Annotated[Pool, typer.Option("--pool", help="How to join the label words of one class.")]
NORMALIZE = Annotated[
    Normalize,
    typer.Option(
        "--normalize",
        help="How to compare answers of different lengths; characters is lm-eval's acc_norm.",
    ),
]
SPLIT = Annotated[Split, typer.Option("--split", help="Which rows to score the components on.")]
ACROSS_MODELS = Annotated[
    bool, typer.Option("--across-models", help="Allow stores of different models.")
]
ALPHA = Annotated[
    float,
    typer.Option("--alpha", help="Largest corrected p-value that makes a component good or bad."),
]
BIAS_SHARE = Annotated[
    float,
    typer.Option(
        "--bias-share", help="A component is biased from this share of rows with one prediction on."
    ),
]
GOOD_ACCURACY = Annotated[
    float | None,
    typer.Option(
        "--good-accuracy",
        help="Smallest accuracy of a good component.  [default: the full model's]",
    ),
]
BAD_ACCURACY = Annotated[
    float | None,
    typer.Option(
        "--bad-accuracy",
        help="Largest accuracy of a bad component.  [default: any below chance]",
    ),
]

"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


def named_options(context: typer.Context) -> set[str]:
    """The options that stand on the command line, such as ``{"--pool"}``, whatever their values."""
    return {
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.param_type_name == "option" and parameter.name is not None
        if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    }


class Format(str, Enum):
    """The forms a result can be printed in."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    latex = "latex"
    parquet = "parquet"


class Pool(str, Enum):
    """How the label words of one class become one label (``compread.store.pooling``)."""

    logsumexp = "logsumexp"
    max = "max"
    mean = "mean"
    first = "first"


class Split(str, Enum):
    """The two halves of a store."""

    train = "train"
    test = "test"


FORMAT = Annotated[
    Format,
    typer.Option("--format", help="How to print the result; json, csv and parquet are exact."),
]
_STORES = typer.Argument(
    metavar="STORE",
    help="Stores: .h5 files, folders of them, or - for paths on standard input.",
    show_default=False,
)
STORES = Annotated[list[str], _STORES]
ANY_STORES = Annotated[list[str] | None, _STORES]
POOL = Annotated[
    Pool, typer.Option("--pool", help="How several label words of one class become one label.")
]
SPLIT = Annotated[Split, typer.Option("--split", help="Which rows to score the components on.")]
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

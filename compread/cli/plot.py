"""``compread plot``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compread import options
from compread.cli.inputs import found_stores, scored_runs, tell_alone, tell_repeats
from compread.cli.options import (
    ACCURACY,
    ACROSS_MODELS,
    ALPHA,
    BIAS_SHARE,
    MEASURE_NAMES,
    POOL,
    POOLED,
    SPLIT,
    STORES,
    TEST,
    WEIGHT,
    By,
    Plot,
)
from compread.cli.output import color_depth, note, unicode, width, write_path, write_styled
from compread.cli.values import number_ranges, path

if TYPE_CHECKING:
    from compread.analysis.runs import RunStats
    from compread.views.plots.pictures import Picture

EXAMPLE = (
    "compread plot scatter out.h5 -o scatter.pdf\ncompread plot heatmap stores/ -o -\n"
    "compread plot change base/ --versus chat/ -o change.svg"
)
ENDINGS = tuple(f".{form}" for form in (*options.DRAWN, *options.PICTURE_NUMBERS))


class ColorBy(str, Enum):
    """What the colours of a scatter plot are."""

    category = "category"
    kind = "kind"


def plot(
    kind: Annotated[Plot, typer.Argument(metavar="KIND", help="What to draw; see above.")],
    stores: STORES,
    out: Annotated[
        str,
        typer.Option("-o", "--out", help="A .png, .svg, .pdf, .csv or .json file, or - to draw."),
    ],
    by: Annotated[
        By, typer.Option("--by", metavar="MEASURE", help=f"heatmap: {MEASURE_NAMES}.")
    ] = ACCURACY,
    color: Annotated[ColorBy, typer.Option("--color", help="scatter: what colours are.")] = (
        ColorBy.category
    ),
    versus: Annotated[
        list[str] | None,
        typer.Option("--versus", help="change: stores of the other model; may be repeated."),
    ] = None,
    labels: Annotated[
        str, typer.Option("--labels", help="bias: the two labels, by number.")
    ] = "0,1",
    method: Annotated[
        str | None,
        typer.Option(
            "--method", help="weights: whose, if of several. [default: blend, else comprw]"
        ),
    ] = None,
    alpha: ALPHA = options.ALPHA,
    bias_share: BIAS_SHARE = options.BIAS_SHARE,
    split: SPLIT = TEST,
    pool: POOL = POOLED,
    across_models: ACROSS_MODELS = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Draw a figure of the paper, or of reweight, from stores.

    KIND is scatter (accuracy over the share of one answer, a panel a store; Figures 1 and 7),
    heatmap (a measure by layer and head; Figure 2), transfer (correlation between every two
    runs), bias (two label-biased components row by row; Figure 5), training (accuracy over
    revisions; Figures 3 and 6), change (difference between two models, with --versus), or weights
    (component weights; STORE is the file that reweight --save wrote).

    The file's ending says the form; .csv and .json have the numbers. With -o - the figure is
    drawn in the terminal. The path of the file is printed.
    """
    from compread.errors import UsageError
    from compread.output_files import check_target, write_file

    ending = Path(out).suffix.lower()
    if out != "-":
        if ending not in ENDINGS:
            raise UsageError(f"-o {out}: expected a name that ends in {', '.join(ENDINGS)}, or -")
        check_target(path(out), force)
    if (versus is not None) != (kind.value == "change"):
        raise UsageError("--versus goes with `plot change`, and `plot change` wants it")
    if by is WEIGHT:
        raise UsageError("--by weight goes with `rank`; draw weights with `plot weights FILE`")
    paths = _paths(kind, stores, across_models)
    others = _paths(kind, versus, across_models) if versus else []
    pair = number_ranges("--labels", labels)
    picture = _picture(
        kind, paths, others, by.value, color is ColorBy.kind, pair, method,
        (alpha, bias_share), split.value, pool.value,
    )  # fmt: skip
    if out == "-":
        from compread.views.plots.terminal import to_blocks

        terminal = sys.stdout
        write_styled(to_blocks(picture, width(terminal), color_depth(terminal), unicode(terminal)))
        return
    write_file(path(out), _file(picture, ending.removeprefix(".")), force)
    note(f"drew {len(picture.panels)} panel(s) of {kind.value}")
    write_path(path(out))


def _paths(kind: Plot, arguments: list[str], across_models: bool) -> Sequence[Path]:
    if kind.value == "weights":
        from compread.store import store_paths

        return store_paths(arguments, sys.stdin)
    compared = kind.value in ("scatter", "transfer", "training")
    return found_stores(arguments, "revisions" if compared else "one", across_models).paths


def _picture(
    kind: Plot,
    paths: Sequence[Path],
    others: Sequence[Path],
    by: str,
    by_kind: bool,
    labels: list[int],
    method: str | None,
    thresholds: tuple[float, float],
    split: str,
    pool: str,
) -> Picture:
    from compread.analysis.bias import leanings
    from compread.analysis.categories import Rules
    from compread.analysis.change import change
    from compread.cli.inputs import read_weights
    from compread.errors import UsageError
    from compread.views.plots import charts
    from compread.views.plots.charts import fitted_weights

    if kind.value == "bias":
        if len(labels) != 2:
            raise UsageError("--labels: expected two numbers, such as 0,1")
        return charts.bias(leanings(paths, split, pool, (labels[0], labels[1])))
    if kind.value == "change":
        found = change(paths, others, split, pool)
        tell_alone(found.alone)
        tell_repeats(found.repeats, split)
        return charts.change_map(found)
    if kind.value == "weights":
        return fitted_weights([fit for path in paths for fit in read_weights(path)], method)
    runs = scored_runs(paths, split, pool)
    draw: dict[str, Callable[[list[RunStats]], Picture]] = {
        "scatter": lambda runs: charts.scatter(runs, by_kind, Rules(*thresholds)),
        "heatmap": lambda runs: charts.heatmap(runs, by),
        "transfer": charts.transfer,
        "training": charts.training,
    }
    return draw[kind.value](runs)


def _file(picture: Picture, form: str) -> bytes:
    if form in options.PICTURE_NUMBERS:
        from compread.views.plots.pictures import picture_rows
        from compread.views.render import to_csv, to_json

        return (to_csv if form == "csv" else to_json)(picture_rows(picture)).encode()
    from compread.views.plots.draw import draw

    return draw(picture, form)

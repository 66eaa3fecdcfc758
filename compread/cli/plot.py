"""``compread plot``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compread.cli.options import ALPHA, BIAS_SHARE, POOL, SPLIT, STORES, Pool, Split
from compread.cli.output import color_depth, note, unicode, width, write_path, write_styled
from compread.cli.rank import MEASURES, By
from compread.cli.runs import scored_runs
from compread.cli.values import number_ranges, path

if TYPE_CHECKING:
    from compread.analysis.runs import RunStats
    from compread.views.pictures import Picture

EXAMPLE = (
    "compread plot scatter out.h5 -o scatter.pdf\ncompread plot heatmap stores/ -o -\n"
    "compread plot change base/ --versus chat/ -o change.svg"
)
ENDINGS = (".png", ".svg", ".pdf", ".csv", ".json")


class What(str, Enum):
    """The kinds of plots."""

    scatter = "scatter"
    heatmap = "heatmap"
    transfer = "transfer"
    bias = "bias"
    training = "training"
    change = "change"
    weights = "weights"


class ColorBy(str, Enum):
    """What the colours of a scatter plot are."""

    category = "category"
    kind = "kind"


def plot(
    kind: Annotated[What, typer.Argument(metavar="KIND", help="What to draw; see above.")],
    stores: STORES,
    out: Annotated[
        str,
        typer.Option("-o", "--out", help="A .png, .svg, .pdf, .csv or .json file, or - to draw."),
    ],
    by: Annotated[
        By, typer.Option("--by", metavar="MEASURE", help=f"heatmap: {MEASURES}.")
    ] = By.accuracy,
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
        str, typer.Option("--method", help="weights: the method of the fits to draw.")
    ] = "comprw",
    alpha: ALPHA = 0.05,
    bias_share: BIAS_SHARE = 1.0,
    split: SPLIT = Split.test,
    pool: POOL = Pool.logsumexp,
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
    from compread.store import store_paths

    ending = Path(out).suffix.lower()
    if out != "-":
        if ending not in ENDINGS:
            raise UsageError(f"-o {out}: expected a name that ends in {', '.join(ENDINGS)}, or -")
        check_target(path(out), force)
    if (versus is not None) != (kind is What.change):
        raise UsageError("--versus goes with `plot change`, and `plot change` wants it")
    if by is By.weight:
        raise UsageError("--by weight goes with `rank`; draw weights with `plot weights FILE`")
    paths = store_paths(stores, sys.stdin)
    others = store_paths(versus or [], sys.stdin) if versus else []
    pair = number_ranges("--labels", labels)
    picture = _picture(
        kind, paths, others, by.value, color is ColorBy.kind, pair, method,
        (alpha, bias_share), split.value, pool.value,
    )  # fmt: skip
    if out == "-":
        from compread.views.blocks import to_blocks

        terminal = sys.stdout
        write_styled(to_blocks(picture, width(terminal), color_depth(terminal), unicode(terminal)))
        return
    write_file(path(out), _file(picture, ending.removeprefix(".")), force)
    note(f"drew {len(picture.panels)} panel(s) of {kind.value}")
    write_path(path(out))


def _picture(
    kind: What,
    paths: list[Path],
    others: list[Path],
    by: str,
    by_kind: bool,
    labels: list[int],
    method: str,
    thresholds: tuple[float, float],
    split: str,
    pool: str,
) -> Picture:
    from compread.analysis.bias import leanings
    from compread.analysis.categories import Rules
    from compread.analysis.change import change
    from compread.cli.weights_file import read_weights
    from compread.errors import UsageError
    from compread.views import charts
    from compread.views.weights import fitted_weights

    if kind is What.bias:
        if len(labels) != 2:
            raise UsageError("--labels: expected two numbers, such as 0,1")
        return charts.bias(leanings(paths, split, pool, (labels[0], labels[1])))
    if kind is What.change:
        return charts.change_map(change(paths, others, split, pool))
    if kind is What.weights:
        return fitted_weights([fit for path in paths for fit in read_weights(path)], method)
    runs = scored_runs(paths, split, pool)
    draw: dict[What, Callable[[list[RunStats]], Picture]] = {
        What.scatter: lambda runs: charts.scatter(runs, by_kind, Rules(*thresholds)),
        What.heatmap: lambda runs: charts.heatmap(runs, by),
        What.transfer: charts.transfer,
        What.training: charts.training,
    }
    return draw[kind](runs)


def _file(picture: Picture, form: str) -> bytes:
    if form in ("csv", "json"):
        from compread.views.pictures import picture_rows
        from compread.views.tables import to_csv, to_json

        return (to_csv if form == "csv" else to_json)(picture_rows(picture)).encode()
    from compread.views.draw import draw

    return draw(picture, form)

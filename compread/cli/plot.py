"""``compread plot``."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compread import options
from compread.analysis.measures import DEFAULT_MEASURE
from compread.cli import complete
from compread.cli.inputs import changed, found_stores, read_weights, scored_runs
from compread.cli.options import (
    ACROSS_MODELS,
    ALPHA,
    AS_STORED,
    BIAS_SHARE,
    MEASURE_NAMES,
    NORMALIZE,
    POOL,
    POOLED,
    SPLIT,
    STORES,
    TEST,
    Plot,
    PlotStyle,
    PlotTheme,
)
from compread.cli.output import note, write_path, write_picture
from compread.cli.values import number_ranges, path
from compread.views.plots.kinds import (
    DEFAULT_STYLE,
    DEFAULT_THEME,
    DRAWN,
    NUMBERS,
    PLOTS,
    Asked,
    PlotKind,
)

if TYPE_CHECKING:
    from compread.reweight.fit import Fit
    from compread.views.plots.pictures import Picture

EXAMPLE = (
    "compread plot scatter out.h5 -o scatter.pdf\ncompread plot heatmap stores/ -o -\n"
    "compread plot change base/ --versus chat/ -o change.svg"
)
ENDINGS = tuple(f".{form}" for form in (*DRAWN, *NUMBERS))
MOST_INCHES = 60
"""At 300 dots an inch a picture of more takes gigabytes."""


class ColorBy(str, Enum):
    """What the colours of a scatter plot are."""

    category = "category"
    kind = "kind"


KIND = Annotated[Plot, typer.Argument(metavar="KIND", help="What to draw; see below.")]
OUT = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        "--out",
        metavar="FILE",
        help="A .png, .svg, .pdf, .csv or .json file, or - to draw in the terminal.",
    ),
]
BY = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="MEASURE",
        autocompletion=complete.measures,
        help=f"heatmap: {MEASURE_NAMES}; or arithmetic, as in rank.",
    ),
]
COLOR = Annotated[ColorBy, typer.Option("--color", help="scatter: what colours are.")]
VERSUS = Annotated[
    list[str] | None,
    typer.Option("--versus", help="change: stores of the other model; may be repeated."),
]
LABELS = Annotated[str, typer.Option("--labels", help="bias: the two labels, by number.")]
EXAMPLE_ID = Annotated[
    str | None, typer.Option("--example", metavar="ID", help="waterfall: which row, by its id.")
]
STYLE = Annotated[
    PlotStyle,
    typer.Option("--style", help="Sizes of text: for a paper's column, or for a talk's slide."),
]
THEME = Annotated[
    PlotTheme, typer.Option("--theme", help="On white, or on a dark ground for dark slides.")
]
SIZE = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WxH",
        help="Inches of the whole, such as 3.3x2.5.  [default: a column or a page wide]",
    ),
]
WEIGHTS_FILE = Annotated[
    Path | None,
    typer.Option(
        "--weights", help="reliability: draw these weights too (reweight --save).", metavar="FILE"
    ),
]
METHOD = Annotated[
    str | None,
    typer.Option(
        "--method",
        autocompletion=complete.methods,
        help="weights: whose [default: blend, else comprw]; reliability and learning: whose "
        "[default: all].",
    ),
]
FORCE = Annotated[bool, typer.Option("--force", help="Replace the file.")]


def plot(
    kind: KIND,
    stores: STORES,
    out: OUT,
    by: BY = DEFAULT_MEASURE,
    color: COLOR = (ColorBy.category),
    versus: VERSUS = None,
    labels: LABELS = "0,1",
    weights: WEIGHTS_FILE = None,
    method: METHOD = None,
    example: EXAMPLE_ID = None,
    style: STYLE = PlotStyle(DEFAULT_STYLE),
    theme: THEME = PlotTheme(DEFAULT_THEME),
    size: SIZE = None,
    alpha: ALPHA = options.ALPHA,
    bias_share: BIAS_SHARE = options.BIAS_SHARE,
    split: SPLIT = TEST,
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
    across_models: ACROSS_MODELS = False,
    force: FORCE = False,
) -> None:
    """Draw a figure of the paper, or of reweight, from stores.

    The ending of the file decides its form; .csv and .json have the numbers. With -o - the figure
    is drawn in the terminal. The path of the file is printed.
    """
    from compread.analysis.categories import Rules
    from compread.analysis.metric import measure_or_metric
    from compread.errors import UsageError
    from compread.output_files import write_file

    wanted = PLOTS[kind.value]
    measure = measure_or_metric(by)
    _check(wanted, out, measure, versus, force)
    _check_weights(wanted, weights, method)
    if example is not None and kind.value != "waterfall":
        raise UsageError("--example goes with `plot waterfall`")
    inches = _inches(size)
    paths = _paths(wanted, stores, across_models)
    others = _paths(wanted, versus, across_models) if versus else []
    picture = wanted.draw(
        Asked(
            paths=paths,
            split=split.value,
            pool=pool.value,
            normalize=normalize.value,
            rules=Rules(alpha, bias_share),
            by=measure,
            by_kind=color is ColorBy.kind,
            labels=number_ranges("--labels", labels),
            method=method,
            example=example,
            runs=lambda: scored_runs(paths, split.value, pool.value, normalize=normalize.value),
            fits=lambda: [fit for path in paths for fit in read_weights(path).fits],
            beside=lambda: _fits(weights, method),
            change=lambda: changed(paths, others, split.value, pool.value, normalize.value),
        )
    )
    if out == "-":
        write_picture(picture)
        return
    drawn = _file(picture, _ending(out).removeprefix("."), style.value, theme.value, inches)
    write_file(path(out), drawn, force)
    note(f"drew {kind.value}, {picture.counted}")
    write_path(path(out))


def _check(
    wanted: PlotKind, out: str, by: object, versus: Sequence[str] | None, force: bool
) -> None:
    """Refuse what cannot be drawn or written, before a store is read."""
    from compread.errors import UsageError
    from compread.output_files import check_target

    if out != "-":
        if _ending(out) not in ENDINGS:
            raise UsageError(f"-o {out}: expected a name that ends in {', '.join(ENDINGS)}, or -")
        check_target(path(out), force)
    if (versus is not None) != wanted.compares:
        known = " or ".join(f"`plot {name}`" for name, one in PLOTS.items() if one.compares)
        raise UsageError(f"--versus goes with {known}, and {known} wants it")
    if by == options.WEIGHT:
        raise UsageError("--by weight goes with `rank`; draw weights with `plot weights FILE`")


def _check_weights(wanted: PlotKind, weights: Path | None, method: str | None) -> None:
    from compread.errors import UsageError

    if method is not None and not wanted.weighs and wanted.reads != "weights":
        takers = [f"`plot {k}`" for k, one in PLOTS.items() if one.weighs or one.reads == "weights"]
        raise UsageError(f"--method goes with {' or '.join(takers)}")
    if weights is not None and not wanted.weighs:
        known = " or ".join(f"`plot {name}`" for name, one in PLOTS.items() if one.weighs)
        raise UsageError(f"--weights goes with {known}; draw weights with `plot weights FILE`")


def _fits(weights: Path | None, method: str | None) -> Sequence[Fit]:
    """The fits of a weights file that are drawn beside stores."""
    from compread.errors import UsageError
    from compread.reweight.apply import check_titles

    if weights is None:
        if method is not None:
            raise UsageError("--method goes with --weights FILE, which it chooses from")
        return ()
    fits = read_weights(weights).fits
    check_titles(None if method is None else [method], [fit.title for fit in fits], "method")
    return [fit for fit in fits if method in (None, fit.title)]


def _ending(out: str) -> str:
    """What says the file's form, such as ``.pdf``."""
    return Path(out).suffix.lower()


def _paths(kind: PlotKind, arguments: list[str], across_models: bool) -> Sequence[Path]:
    if kind.reads == "weights":
        from compread.store import store_paths

        return store_paths(arguments, sys.stdin)
    return found_stores(arguments, kind.reads, across_models).paths


def _inches(size: str | None) -> tuple[float, float] | None:
    """Width and height of ``--size``."""
    from compread.errors import UsageError

    if size is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)[xX×](\d+(?:\.\d+)?)", size.strip())
    width, height = map(float, found.groups()) if found else (0.0, 0.0)
    if not (1 <= width <= MOST_INCHES and 1 <= height <= MOST_INCHES):
        raise UsageError(
            f"--size {size}: expected width and height in inches from 1 to {MOST_INCHES}, such as "
            "3.3x2.5"
        )
    return width, height


def _file(
    picture: Picture, form: str, style: str, theme: str, size: tuple[float, float] | None
) -> bytes:
    if form in NUMBERS:
        from compread.views.plots.pictures import picture_rows
        from compread.views.render import to_csv, to_json

        return (to_csv if form == "csv" else to_json)(picture_rows(picture)).encode()
    from compread.views.plots.draw import draw

    return draw(picture, form, style, size, theme)

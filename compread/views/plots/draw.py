"""Pictures on paper: PNG, SVG and PDF by matplotlib, at the size of a column or a page.

Text is 8 points and smaller at that size, so that a picture goes into a two-column paper unscaled.
"""

from __future__ import annotations

import io
import math
import textwrap
from typing import Any

import numpy as np

from compread.errors import UsageError, option
from compread.text import printable
from compread.views.plots.palette import ONE_WAY, TWO_WAYS, group_style
from compread.views.plots.pictures import Grid, Group, Lines, Panel, Picture, Points

COLUMN, PAGE = 3.35, 6.9
"""Widths in inches of a paper's column and page."""
LONGEST_TICK = 40
STYLE: Any = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7,
    "ytick.labelsize": 7, "legend.fontsize": 7, "axes.linewidth": 0.6, "lines.linewidth": 1.2,
    "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100, "savefig.dpi": 300,
    "pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "compread",
    "text.parse_math": False,  # a `$` in a name is a `$`
}  # fmt: skip


def draw(picture: Picture, format: str) -> bytes:
    """The picture as a PNG, SVG or PDF file; equal pictures give equal bytes.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "pictures need matplotlib: pip install 'compread[plot]', or draw in the terminal "
            f"with {option('o', '-')}"
        ) from error
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        columns = min(3, len(picture.panels)) if _narrow(picture) else 1
        rows = math.ceil(len(picture.panels) / columns)
        width = COLUMN if columns == 1 and _narrow(picture) else PAGE
        heights = [_height(panel, width / columns) for panel in picture.panels]
        # Not pyplot: that keeps figures and looks for a display.
        figure = Figure(figsize=(width, rows * max(heights)), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis, panel in zip(axes.flat, picture.panels, strict=False):
            _panel(figure, axis, panel, width / columns)
        for axis in axes.flat[len(picture.panels) :]:
            axis.set_visible(False)
        if picture.title:
            figure.suptitle(printable(picture.title), fontsize=8)
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
        figure.savefig(out, format=format, metadata=metadata)
    return out.getvalue()


def _narrow(picture: Picture) -> bool:
    """Whether panels fit a column; a grid of many columns wants the page."""
    return not any(isinstance(p, Grid) and len(p.columns) > 40 for p in picture.panels)


def _height(panel: Panel, width: float) -> float:
    if isinstance(panel, Grid):
        cell = (width - 1.1) / max(1, len(panel.columns))
        return min(7.0, max(1.6, cell * len(panel.rows) + 0.9))
    return min(2.6, max(2.0, 0.8 * width))


def _panel(figure: Any, axis: Any, panel: Panel, width: float) -> None:
    axis.set_title(textwrap.fill(printable(panel.title), round(13 * width)))
    axis.set_xlabel(printable(panel.x_label))
    axis.set_ylabel(printable(panel.y_label))
    if isinstance(panel, Grid):
        _grid(figure, axis, panel)
    elif isinstance(panel, Points):
        _points(axis, panel)
    else:
        _lines(axis, panel)


def _grid(figure: Any, axis: Any, panel: Grid) -> None:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    stops = ONE_WAY if panel.centre is None else TWO_WAYS
    colours = LinearSegmentedColormap.from_list("compread", [np.array(c) / 255 for c in stops])
    axis.set_facecolor("0.88")  # What shows where there is no value.
    low, high = panel.low, panel.high
    if panel.centre is not None:
        reach = max(high - panel.centre, panel.centre - low)
        low, high = panel.centre - reach, panel.centre + reach
    scale = Normalize(low, high if high > low else low + 1)
    image = axis.imshow(panel.values, cmap=colours, norm=scale, aspect="auto")
    for set_ticks, names in ((axis.set_xticks, panel.columns), (axis.set_yticks, panel.rows)):
        step = max(1, math.ceil(len(names) / 12)) if names and names[0].isdigit() else 1
        shown = [i for i in range(len(names)) if i % step == 0 or not names[i].isdigit()]
        set_ticks(shown, [_tick(names[i]) for i in shown])
    if panel.columns and max(map(len, panel.columns)) > 4:
        axis.tick_params("x", rotation=90)
    if len(panel.rows) > 14 and not panel.rows[0].isdigit():
        axis.tick_params(labelsize=max(3.5, 7 - len(panel.rows) / 12))
    figure.colorbar(image, ax=axis, label=printable(panel.what), shrink=0.9, pad=0.02)


def _tick(name: str) -> str:
    """A name beside an axis, its middle left out where it would take the picture's room."""
    name = printable(name)
    return name if len(name) <= LONGEST_TICK else f"{name[:17]}...{name[-20:]}"


def _points(axis: Any, panel: Points) -> None:
    for number, group in enumerate(panel.groups):
        colour, marker, _ = group_style(group.name, number)
        size: Any = 9 if group.name == "other" else 16 if len(group.x) < 500 else 4
        size = size if group.shares is None else 4 + 90 * group.shares
        if panel.diagonal:
            axis.plot(group.x, group.y, color=np.array(colour) / 255, linewidth=0.7, alpha=0.6)
        axis.scatter(
            group.x, group.y, s=size, marker=marker, color=np.array(colour) / 255, linewidths=0.7,
            label=_group_name(group, panel), alpha=0.8,
            rasterized=len(group.x) > 5000,
        )  # fmt: skip
    if panel.diagonal:
        axis.plot([0, 1], [0, 1], color="black", linewidth=0.6, linestyle=":", zorder=0)
    if panel.level is not None:
        axis.axhline(panel.level, color="black", linewidth=0.8, linestyle="--")
        axis.set_title(f"{axis.get_title()}\ndashed: {printable(panel.level_name)}")
    if panel.unit:
        axis.set_xlim(-0.03, 1.03)
        axis.set_ylim(-0.03, 1.03)
    place = {"loc": "lower left", "ncols": 2} if panel.unit else {"loc": "best"}
    if panel.diagonal:
        place = {"loc": "upper left"}
    legend = axis.legend(
        frameon=False, handletextpad=0.2, borderpad=0.1, labelspacing=0.25, columnspacing=0.6,
        handlelength=1.2, **place,
    )  # fmt: skip
    legend.set_in_layout(False)  # It may lie over the points, not make room for itself.


def _group_name(group: Group, panel: Points) -> str:
    """In the legend: how many points it has, where their number says something."""
    name = printable(group.name)
    return name if panel.diagonal else f"{name} ({len(group.x)})"


def _lines(axis: Any, panel: Lines) -> None:
    at = np.arange(len(panel.places))
    for number, line in enumerate(panel.lines):
        colour, marker, _ = group_style(line.name, number)
        rgb = np.array(colour) / 255
        name = printable(line.name.replace("_", " "))
        axis.plot(at, line.y, color=rgb, marker=marker, markersize=3, label=name)
        axis.fill_between(at, line.y - line.sd, line.y + line.sd, color=rgb, alpha=0.15, lw=0)
    step = max(1, math.ceil(len(at) / 8))
    axis.set_xticks(at[::step], list(map(_tick, panel.places[::step])), rotation=45, ha="right")
    axis.legend(frameon=False, loc="best")

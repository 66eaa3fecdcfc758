"""Pictures in files: PNG, SVG and PDF by matplotlib, at the size of a column or a page."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from compread.array_types import Floats
from compread.errors import UsageError, option
from compread.text import printable
from compread.views.plots.kinds import DEFAULT_STYLE, DEFAULT_THEME
from compread.views.plots.palette import (
    ONE_WAY,
    STEP_COLORS,
    STYLES,
    THEMES,
    TWO_WAYS,
    Style,
    group_style,
    shares,
)
from compread.views.plots.pictures import (
    Grid,
    Group,
    Lines,
    Panel,
    Picture,
    Points,
    Steps,
    wrapped,
)

LONGEST_TICK = 40
PANEL = (2.3, 2.0)
"""Inches of a panel of three on a page."""
LEGEND_TOP = 0.2
"""Share of the height that a legend takes below points of shares."""
FEW = 50
"""Points that hide few of each other, and are drawn solid."""
LEGEND: Any = {
    "frameon": True, "framealpha": 0.8, "edgecolor": "none", "handletextpad": 0.3,
    "borderpad": 0.1, "labelspacing": 0.25, "columnspacing": 0.6, "handlelength": 1.4,
}  # fmt: skip
"""On a ground that lets what lies below shine through, and its words be read."""


def draw(
    picture: Picture,
    format: str,
    style: str = DEFAULT_STYLE,
    size: tuple[float, float] | None = None,
    theme: str = DEFAULT_THEME,
) -> bytes:
    """The picture as a PNG, SVG or PDF file; equal pictures give equal bytes.

    Args:
        picture: what to draw.
        format: ``png``, ``svg`` or ``pdf``.
        style: one of ``STYLES``.
        size: inches of width and height of the whole; None: what the style and the panels ask for.
        theme: one of ``THEMES``.

    Raises:
        UsageError: matplotlib is not installed, or the panels do not fit the size.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "pictures need matplotlib: pip install 'compread[plot]', or draw in the terminal "
            f"with {option('o', '-')}"
        ) from error
    out, sizes = io.BytesIO(), replace(STYLES[style], theme=THEMES[theme])
    with matplotlib.rc_context(sizes.settings()):
        columns = _columns(len(picture.panels), size) if _narrow(picture) else 1
        rows = math.ceil(len(picture.panels) / columns)
        width = sizes.column if columns == 1 and _narrow(picture) else sizes.page
        if size is not None:
            width = size[0]
        heights = [_height(panel, width / columns, sizes) for panel in picture.panels]
        # Not pyplot: that keeps figures and looks for a display.
        whole = (width, rows * max(heights)) if size is None else size
        figure = Figure(figsize=whole, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis, panel in zip(axes.flat, picture.panels, strict=False):
            _panel(figure, axis, panel, whole[0] / columns, whole[1] / rows, sizes)
        for axis in axes.flat[len(picture.panels) :]:
            axis.set_visible(False)
        if picture.title:
            figure.suptitle(printable(picture.title), fontsize=sizes.font)
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "constrained_layout not applied")
            try:
                figure.savefig(out, format=format, metadata=metadata)
            except UserWarning as error:
                raise UsageError(
                    f"{whole[0]:.3g} x {whole[1]:.3g} inches have no room for {picture.counted} in "
                    f"style {style}: give a larger {option('size', '12x9')}, or fewer"
                ) from error
    return out.getvalue()


def _columns(panels: int, size: tuple[float, float] | None) -> int:
    """How many panels stand side by side: as many as a page holds, or what gives them most room."""
    most = min(3, panels)
    if size is None:
        return most
    width, height = size

    def room(columns: int) -> float:
        return min(width / columns / PANEL[0], height / math.ceil(panels / columns) / PANEL[1])

    return max(range(1, most + 1), key=room)


def _narrow(picture: Picture) -> bool:
    """Whether panels fit a column; a grid of many columns wants the page."""
    return not any(isinstance(p, Grid) and len(p.columns) > 40 for p in picture.panels)


def _height(panel: Panel, width: float, style: Style) -> float:
    scale = style.font / 8
    if isinstance(panel, Grid):
        cell = (width - 1.1 * scale) / max(1, len(panel.columns))
        return min(7.0, max(1.6 * scale, cell * len(panel.rows) + 0.9 * scale))
    if isinstance(panel, Steps):
        return scale * (0.9 + 0.15 * (len(panel.names) + 1))
    apart = isinstance(panel, Points) and (panel.diagonal or panel.sides is not None)
    below = 0.15 * len(panel.groups) if isinstance(panel, Points) and apart else 0.0
    return scale * below + min(2.6 * scale, max(2.0 * scale, 0.8 * width))


def _panel(figure: Any, axis: Any, panel: Panel, width: float, height: float, style: Style) -> None:
    scale = style.font / 8
    letters = round(style.letters * width)
    title = wrapped(printable(panel.title), letters)
    if isinstance(panel, (Points, Lines)) and panel.level is not None:
        title += "\n" + wrapped(f"dashed: {printable(panel.level_name)}", letters)
        axis.axhline(panel.level, color=style.ink, linewidth=style.line * 0.6, linestyle="--")
    axis.set_title(title)
    axis.set_xlabel(printable(panel.x_label))
    axis.set_ylabel(printable(panel.y_label))
    if isinstance(panel, Grid):
        _grid(figure, axis, panel, style)
    elif isinstance(panel, Points):
        _points(axis, panel, style, (width - 0.6 * scale, height - 0.8 * scale))
    elif isinstance(panel, Steps):
        _steps(axis, panel, style)
    else:
        _lines(axis, panel, style)


def _grid(figure: Any, axis: Any, panel: Grid, style: Style) -> None:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    stops = ONE_WAY if panel.centre is None else TWO_WAYS
    colours = LinearSegmentedColormap.from_list("compread", [np.array(c) / 255 for c in stops])
    axis.set_facecolor(shares(style.theme.empty))
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
        axis.tick_params(labelsize=style.font / 8 * max(3.5, 7 - len(panel.rows) / 12))
    figure.colorbar(image, ax=axis, label=printable(panel.what), shrink=0.9, pad=0.02)


def _tick(name: str) -> str:
    """A name beside an axis, its middle left out where it would take the picture's room."""
    name = printable(name)
    return name if len(name) <= LONGEST_TICK else f"{name[:17]}...{name[-20:]}"


def _points(axis: Any, panel: Points, style: Style, inches: tuple[float, float]) -> None:
    scale = (style.font / 8) ** 2  # of areas
    for number, group in enumerate(panel.groups):
        colour, marker, _ = group_style(group.name, number)
        size: Any = 9 if group.name == "other" else 16 if len(group.x) < 500 else 4
        size = size if group.shares is None else 4 + 90 * group.shares
        if panel.diagonal:
            axis.plot(group.x, group.y, color=style.color(colour), linewidth=0.7, alpha=0.6)
        axis.scatter(
            group.x, group.y, s=size * scale, marker=marker, color=style.color(colour),
            linewidths=0.7, label=_group_name(group, panel),
            alpha=1.0 if len(group.x) <= FEW else 0.8,
            rasterized=len(group.x) > 5000,
        )  # fmt: skip
    if panel.diagonal:
        axis.plot([0, 1], [0, 1], color=style.ink, linewidth=0.6, linestyle=":", zorder=0)
    if panel.sides is not None:
        _sides(axis, panel.sides, style)
    if panel.unit:
        axis.set_xlim(-0.03, 1.03)
        axis.set_ylim(-0.03, 1.03)
    place: Any = {"loc": "lower left", "ncols": 2} if panel.unit else {"loc": "best"}
    narrow = panel.unit and inches[0] < 1.6 * style.font / 8
    below = panel.diagonal or panel.sides is not None or narrow
    if below:  # Points or words are in every corner; the legend makes room for itself below.
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderaxespad": 4.5}
    legend = axis.legend(**LEGEND, **place)
    legend.set_in_layout(below)
    _name_points(axis, panel, style, inches)


def _sides(axis: Any, sides: tuple[str, str], style: Style) -> None:
    """The line x = y, and what lies above and below it."""
    low = min(axis.get_xlim()[0], axis.get_ylim()[0])
    high = max(axis.get_xlim()[1], axis.get_ylim()[1])
    x, y = axis.get_xlim(), axis.get_ylim()
    axis.plot([low, high], [low, high], color=style.ink, linewidth=style.line / 2, zorder=0)
    axis.set_xlim(x)
    axis.set_ylim(y)
    small, (above, below) = style.font * 7 / 8, map(printable, sides)
    words: Any = {"transform": axis.transAxes, "fontsize": small, "style": "italic"}
    words["bbox"] = _under_words(style)
    places = ((0.02, 0.98, above, "left", "top"), (0.98, 0.02, below, "right", "bottom"))
    for across, up, side, ha, va in places:
        axis.text(across, up, _tick(side), ha=ha, va=va, **words).set_in_layout(False)


def _under_words(style: Style) -> Any:
    """A ground that lets what lies below words shine through, and them be read."""
    return {"facecolor": style.ground, "alpha": 0.8, "edgecolor": "none", "pad": 0.5}


def _name_points(axis: Any, panel: Points, style: Style, inches: tuple[float, float]) -> None:
    """Names beside the points that have one, each at the nearest place that is free.

    Free of points, of the line and of other names; in a crowd of other names and their points.
    """
    if not panel.named:
        return
    low, high = np.transpose([axis.get_xlim(), axis.get_ylim()])
    size = style.font * 6 / 8
    places = {
        name: (np.array([x, y]) - low) / (high - low)
        for group in panel.groups
        for name, x, y in zip(group.names, group.x, group.y, strict=False)
    }
    # In shares of the axes: a point's marker, and a name of so many letters.
    dot = np.array([size / 2, size / 2]) / 72 / inches
    crowd = [(at - dot / 2, at + dot / 2) for at in places.values()]
    if panel.level is not None:
        height = (panel.level - low[1]) / (high - low)[1]
        crowd.append((np.array([0.0, height]), np.array([1.0, height])))
    place = {name: at for name, at in places.items() if name in panel.named}
    taken = [(at - dot, at + dot) for at in place.values()]
    for name, at in place.items():
        half = np.array([0.36 * len(name) * size, 0.65 * size]) / 72 / inches
        bottom = LEGEND_TOP if panel.unit else 0.0
        centre = _free_place(at, half, dot, [*taken, *crowd], bottom)
        if centre is None:
            centre = _free_place(at, half, dot, taken, bottom)
        centre = at + half + dot if centre is None else centre
        taken.append((centre - half, centre + half))
        named = axis.annotate(
            printable(name), at, centre, "axes fraction", "axes fraction", fontsize=size,
            ha="center", va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 1,
                        "color": style.ink},
        )  # fmt: skip
        named.set_in_layout(False)


def _free_place(
    at: Floats, half: Floats, dot: Floats, taken: Sequence[tuple[Floats, Floats]], bottom: float
) -> Floats | None:
    """The middle of a box of half sizes [2] near a point [2], over none of those that are taken."""
    begins, ends = np.array(taken).swapaxes(0, 1)  # [M, 2] each: there are a thousand points
    for far in np.arange(1.0, 6.0, 0.5):
        for angle in np.radians([0, 180, 90, 270, 45, 135, 225, 315]):
            centre = at + (half + far * dot) * [np.cos(angle), np.sin(angle)]
            low, high = centre - half, centre + half
            inside = low[0] >= 0 and low[1] >= bottom and high.max() <= 1
            if inside and not ((low < ends) & (high > begins)).all(axis=1).any():
                return np.asarray(centre)
    return None


def _group_name(group: Group, panel: Points) -> str:
    """In the legend: how many points it has, where their number says something."""
    name = printable(group.name)
    return name if panel.diagonal else f"{name} ({len(group.x)})"


def _steps(axis: Any, panel: Steps, style: Style) -> None:
    at = np.arange(len(panel.names))
    starts = panel.ends - panel.changes
    colours = [style.color(STEP_COLORS[int(change >= 0)]) for change in panel.changes]
    axis.barh(at, panel.changes, left=starts, color=colours, height=0.7)
    for i in at[:-1]:
        axis.plot([panel.ends[i]] * 2, [i - 0.35, i + 1.35], color="0.5", linewidth=0.5)
    axis.barh(len(at), panel.total, color=style.ink, alpha=0.75, height=0.7)
    rights = [*np.maximum(starts, panel.ends), max(panel.total, 0.0)]
    for i, (change, right) in enumerate(zip([*panel.changes, panel.total], rights, strict=True)):
        axis.annotate(
            f"{change:+.2f}", (right, i), (2, 0), textcoords="offset points", va="center",
            fontsize="small", bbox=_under_words(style),
        )  # fmt: skip
    axis.axvline(0, color=style.ink, linewidth=0.6)
    axis.set_yticks([*at, len(at)], [*map(_tick, panel.names), panel.total_name])
    axis.set_ylim(len(at) + 0.6, -0.6)
    axis.use_sticky_edges = False  # A bar's end is no edge of the picture.
    axis.margins(x=0.14)


def _lines(axis: Any, panel: Lines, style: Style) -> None:
    at = np.arange(len(panel.places))
    for number, line in enumerate(panel.lines):
        colour, marker, _ = group_style(line.name, number)
        rgb = style.color(colour)
        name = printable(line.name.replace("_", " "))
        axis.plot(at, line.y, color=rgb, marker=marker, markersize=3, label=name)
        # Bands lie over one another: the more there are, the lighter each is.
        light = 0.3 / max(2, len(panel.lines))
        axis.fill_between(at, line.low, line.high, color=rgb, alpha=light, lw=0)
    step = max(1, math.ceil(len(at) / 8))
    ticks = list(map(_tick, panel.places[::step]))
    turned: Any = {"rotation": 45, "ha": "right"} if max(map(len, ticks)) > 4 else {}
    axis.set_xticks(at[::step], ticks, **turned)
    axis.legend(**LEGEND, loc="best").set_in_layout(False)

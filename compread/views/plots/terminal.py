"""Pictures in a terminal, of characters: blocks in colour, or shades and letters without."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Literal

import numpy as np

from compread.text import printable
from compread.views.plots.palette import INK, RGB, STEP_COLORS, group_style, scale_color, share_of
from compread.views.plots.pictures import Grid, Group, Lines, Panel, Picture, Points, Steps, wrapped

Depth = Literal["none", "256", "true"]
SHADES, ASCII_SHADES = " ░▒▓█", " .:*#"
HEIGHT = 18
"""Lines of a plane."""


def to_blocks(
    picture: Picture, width: int = 80, depth: Depth = "none", unicode: bool = True
) -> str:
    """The panels one below the other, each of lines of at most ``width`` columns.

    Args:
        picture: what to draw.
        width: columns of the terminal.
        depth: whether there are colours, and how many.
        unicode: whether the shades may be other than ASCII.
    """
    blocks = [list(_panel(panel, width, depth, unicode)) for panel in picture.panels]
    head = [printable(picture.title)[:width]] if picture.title else []
    return "\n\n".join("\n".join(lines) for lines in ([head] if head else []) + blocks) + "\n"


def _panel(panel: Panel, width: int, depth: Depth, unicode: bool) -> Iterator[str]:
    if panel.title:
        yield from wrapped(printable(panel.title), width).split("\n")
    if isinstance(panel, Grid):
        yield from _grid(panel, width, depth, unicode)
    elif isinstance(panel, Points):
        yield from _plane(panel.groups, panel, width, depth)
    elif isinstance(panel, Steps):
        yield from _steps(panel, width, depth, unicode)
    else:
        at = np.arange(len(panel.places), dtype=np.float64)
        groups = tuple(Group(line.name, at, line.y) for line in panel.lines)
        yield from _plane(groups, panel, width, depth)
        yield f"{panel.x_label}: {', '.join(map(printable, panel.places))}"[:width]


def _grid(panel: Grid, width: int, depth: Depth, unicode: bool) -> Iterator[str]:
    rows = list(map(printable, panel.rows))
    margin = min(max(map(len, rows), default=0), max(4, width // 3))
    room = width - margin - 1
    n = len(panel.columns)
    cell = 2 if 2 * n <= room else 1
    shown = min(n, room // cell)
    for name, values in zip(rows, panel.values, strict=True):
        cells = (_cell(panel, v, cell, depth, unicode) for v in values[:shown])
        yield f"{name[-margin:]:>{margin}} {''.join(cells)}".rstrip()
    yield f"{'':{margin}} {_ruler(tuple(map(printable, panel.columns[:shown])), cell)}".rstrip()
    low, high = (f"{v:.2f}" for v in (panel.low, panel.high))
    steps = [panel.low + (panel.high - panel.low) * i / 4 for i in range(5)]
    scale = "".join(_cell(panel, v, 2, depth, unicode) for v in steps)
    cut = f"; {n - shown} of {n} columns do not fit" if shown < n else ""
    if panel.x_label and panel.y_label:
        yield f"across: {printable(panel.x_label)}; down: {printable(panel.y_label)}"[:width]
    yield f"{printable(panel.what)}: {low} {scale} {high}{cut}"


def _cell(panel: Grid, value: float, size: int, depth: Depth, unicode: bool) -> str:
    if np.isnan(value):
        return " " * size
    if depth == "none":
        shades = SHADES if unicode else ASCII_SHADES
        share = (value - panel.low) / (panel.high - panel.low) if panel.high > panel.low else 0.5
        return shades[min(4, max(0, int(share * 5)))] * size
    share = share_of(value, panel.low, panel.high, panel.centre)
    return _paint(" " * size, scale_color(share, panel.centre is not None), depth, ground=True)


def _ruler(names: tuple[str, ...], cell: int) -> str:
    """Names under the columns, as many as have room."""
    line = ""
    for i, name in enumerate(names):
        if len(name) < 4 and len(line) <= i * cell:
            line = line.ljust(i * cell) + name + " "
    return line


def _plane(
    groups: tuple[Group, ...], panel: Points | Lines, width: int, depth: Depth
) -> Iterator[str]:
    columns = width - 8
    x, y = (np.concatenate([getattr(g, axis) for g in groups]) for axis in ("x", "y"))
    unit = isinstance(panel, Points) and panel.unit
    (x_low, x_high), (y_low, y_high) = [(0.0, 1.0) if unit else _span(v) for v in (x, y)]
    if panel.level is not None:
        y_low, y_high = min(y_low, panel.level), max(y_high, panel.level)
    page: list[list[str]] = [[" "] * columns for _ in range(HEIGHT)]

    def row_of(value: float) -> int:
        return round((y_high - value) / (y_high - y_low) * (HEIGHT - 1))

    if isinstance(panel, Points) and panel.diagonal:
        for column in range(columns):
            page[row_of(column / (columns - 1))][column] = "."
    if isinstance(panel, Points) and panel.sides:
        for column in range(columns):
            value = x_low + (x_high - x_low) * column / (columns - 1)
            if y_low <= value <= y_high:
                page[row_of(value)][column] = "."
    level = panel.level
    if level is not None:
        page[row_of(level)] = ["-"] * columns
    legend = []
    for number, group in enumerate(groups):
        colour, _, letter = group_style(group.name, number)
        mark = _paint(letter, colour, depth)
        legend.append(f"{mark} {printable(group.name).replace('_', ' ')}")
        for a, b in zip(group.x, group.y, strict=True):
            if not np.isnan(b):
                page[row_of(b)][round((a - x_low) / (x_high - x_low) * (columns - 1))] = mark
    for i, line in enumerate(page):
        text = "".join(line).rstrip()
        tick = y_high - (y_high - y_low) * i / (HEIGHT - 1)
        yield f"{tick:6.2f} |{text}" if i % 4 == 0 else f"{'':6} |{text}"
    if isinstance(panel, Points):
        yield f"{'':6} {x_low:<{columns // 2}.2f}{x_high:>{columns - columns // 2}.2f}"
        yield printable(f"x: {panel.x_label}; y: {panel.y_label}")[:width]
    else:
        yield printable(f"y: {panel.y_label}")[:width]
    yield "  ".join(legend) + (f"  - {panel.level_name}" if level is not None else "")
    if isinstance(panel, Points) and panel.sides:
        above, below = map(printable, panel.sides)
        yield f". x = y; above it: {above}; below: {below}"[:width]
    if isinstance(panel, Points) and panel.named:
        yield from textwrap.wrap(f"best and worst: {_named(panel)}", width)


def _named(panel: Points) -> str:
    """The labelled points with their heights, in their order."""
    height = {
        name: float(y)
        for group in panel.groups
        for name, y in zip(group.names, group.y, strict=False)
    }
    return ", ".join(f"{printable(name)} {height[name]:.3f}" for name in panel.named)


def _steps(panel: Steps, width: int, depth: Depth, unicode: bool) -> Iterator[str]:
    names = [*map(printable, panel.names), printable(panel.total_name)]
    margin = min(max(map(len, names)), max(4, width // 3))
    room = width - margin - 17  # numbers of seven characters on either side
    starts = [*(panel.ends - panel.changes), 0.0]
    ends, changes = [*panel.ends, panel.total], [*panel.changes, panel.total]
    low, high = min([0.0, *starts, *ends]), max([0.0, *starts, *ends])
    scale = (room - 1) / (high - low) if high > low else 0.0
    full = "█" if unicode else "#"
    yield f"{'':{margin}} {'change':>7} {'':{room}} {'sum':>7}"
    for name, start, end, change in zip(names, starts, ends, changes, strict=True):
        first, last = sorted(round((value - low) * scale) for value in (start, end))
        colour = STEP_COLORS[int(change >= 0)]
        bar = " " * first + _paint(full * (last - first + 1), colour, depth)
        bar += " " * (room - 1 - last)
        yield f"{name[-margin:]:>{margin}} {change:>+7.2f} {bar} {end:>+7.2f}"
    yield f"x: {printable(panel.x_label)}"[:width]


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    beyond = max(0.5, abs(low) / 1000)  # half of one alone would vanish beside a huge number
    return (low, high) if high > low else (low - beyond, high + beyond)


def _paint(text: str, colour: RGB, depth: Depth, ground: bool = False) -> str:
    if depth == "none" or colour == INK:
        return text
    layer = 48 if ground else 38
    if depth == "true":
        code = ";".join(map(str, (layer, 2, *colour)))
    else:
        r, g, b = (round(part / 255 * 5) for part in colour)
        code = f"{layer};5;{16 + 36 * r + 6 * g + b}"
    return f"\x1b[{code}m{text}\x1b[0m"

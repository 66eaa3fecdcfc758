"""Panels as SVG inside a page: small, legible on light and dark, and with what a pointer asks for.

Colours and lines are classes, so that the page's style sheet decides. Each group of points is one
path, and each colour of a grid too; what single points and cells are called is in ``data-``
attributes, for the page's script to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

import numpy as np

from compread.array_types import Floats
from compread.text import printable
from compread.views.plots.palette import INK, group_style, scale_color, share_of
from compread.views.plots.pictures import Grid, Group, Lines, Panel, Points, Steps

WIDTH, HEIGHT = 360, 250
"""Of a plane, in pixels; grids are as large as their cells ask for."""
LEFT, TOP, RIGHT, BOTTOM = 48, 8, 8, 40
"""Room beside a plane."""
STEPS = 24
"""Colours of a grid."""
DOT = "dot", "h0"
MARKS = {
    "^": ("area", "m0-15l10 25h-20z"),
    "v": ("area", "m0 15l-10-25h20z"),
    "x": ("cross", "m-7-10l14 20m0-20l-14 20"),
    ".": ("dot small", "h0"),
    "s": ("dot square", "h0"),
}
"""By matplotlib's name of a marker: its class, and how it is drawn from its place on, in
thousandths of a plane's width and height. Shares are exact to three digits that way."""


def to_svg(panel: Panel) -> str:
    """One panel; its title is the caption's."""
    if isinstance(panel, Grid):
        return _grid(panel)
    assert not isinstance(panel, Steps)  # A page has no sum of one row.
    return _plane(panel)


def _svg(width: float, height: float, label: str, data: str, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{_text(label)}"{data}>{inside}</svg>'
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _write(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{more}>{_text(text)}</text>'


# Grids.


def _grid(panel: Grid) -> str:
    longest = max(map(len, panel.rows), default=0)
    left, below = 18 + 6 * min(longest, 30), 34 if _short(panel.columns) else 6.2 * _longest(panel)
    cell = max(9, min(16, 900 // max(1, len(panel.columns))))
    width, height = cell * len(panel.columns), cell * len(panel.rows)
    two = panel.centre is not None
    drawn = "".join(
        f'<path fill="{_rgb(step / STEPS, two)}" d="{path}"/>' for step, path in _runs(panel)
    )
    cells = f'<g transform="translate({left:g} {TOP}) scale({cell})">{drawn}</g>'
    data = (
        f' data-cell="{left:g} {TOP} {cell}" data-rows="{_list(panel.rows)}" '
        f'data-columns="{_list(panel.columns)}" data-what="{_text(panel.what)}" '
        f'data-axes="{_text(panel.y_label)}|{_text(panel.x_label)}" '
        f'data-values="{" ".join(_brief(v) for v in panel.values.ravel())}"'
    )
    label = f"{panel.title or panel.what}: {len(panel.rows)} rows by {len(panel.columns)} columns"
    total = max(left + width + RIGHT, left + 190 + 6 * len(panel.what))
    inside = cells + "".join(_names(panel, left, cell)) + _legend(panel, left, TOP + height + below)
    return _svg(total, TOP + height + below + 40, label, data, inside)


def _runs(panel: Grid) -> list[tuple[int, str]]:
    """A path for each colour, in cells: neighbours of one colour in a row are one piece."""
    paths: dict[int, list[str]] = {}
    for i, row in enumerate(panel.values.tolist()):
        steps = [
            None if v != v else round(share_of(v, panel.low, panel.high, panel.centre) * STEPS)
            for v in row
        ]
        j = 0
        for step, of in groupby(steps):
            n = len(list(of))
            if step is not None:
                paths.setdefault(step, []).append(f"M{j} {i}h{n}v1h-{n}z")
            j += n
    return [(step, "".join(of)) for step, of in sorted(paths.items())]


def _rgb(share: float, two_ways: bool) -> str:
    return f"#{bytes(scale_color(share, two_ways)).hex()}"


def _short(names: Sequence[str]) -> bool:
    return all(len(name) <= 3 for name in names)


def _longest(panel: Grid) -> int:
    return max((len(name) for name in panel.columns), default=0)


def _names(panel: Grid, left: float, cell: int) -> Iterator[str]:
    """Rows' names at the left, columns' below: every one, or of short ones every third."""
    for i, name in enumerate(panel.rows):
        yield _write(left - 4, TOP + i * cell + cell / 2 + 4, name, ' class="end"')
    bottom = TOP + len(panel.rows) * cell
    for j, name in enumerate(panel.columns):
        x = left + j * cell + cell / 2
        if not _short(panel.columns):
            turn = f' class="end" transform="rotate(-90 {x + 4:g} {bottom + 6})"'
            yield _write(x + 4, bottom + 6, name, turn)
        elif j % 3 == 0:
            yield _write(x, bottom + 14, name, ' class="middle"')
    if panel.x_label:
        middle = left + cell * len(panel.columns) / 2
        yield _write(middle, bottom + 30, panel.x_label, ' class="middle"')
    if panel.y_label:
        middle = TOP + cell * len(panel.rows) / 2
        turn = f' class="middle" transform="rotate(-90 12 {middle:g})"'
        yield _write(12, middle, panel.y_label, turn)


def _legend(panel: Grid, left: float, top: float) -> str:
    """The colours from low to high, with what they are."""
    two = panel.centre is not None
    low, high = panel.low, panel.high
    if panel.centre is not None:
        reach = max(high - panel.centre, panel.centre - low)
        low, high = panel.centre - reach, panel.centre + reach
    boxes = ""
    for i in range(12):
        fill = _rgb(i / 11, two)
        boxes += f'<path fill="{fill}" d="M{left + 40 + i * 8:g} {top + 6:g}h8v10h-8z"/>'
    ends = _write(left + 36, top + 15, _number(low), ' class="end"')
    ends += _write(left + 140, top + 15, f"{_number(high)}  {panel.what}")
    return boxes + ends


# Planes.


def _plane(panel: Points | Lines) -> str:
    groups = panel.groups if isinstance(panel, Points) else _curves(panel)
    x, y = (np.concatenate([getattr(g, axis) for g in groups]) for axis in ("x", "y"))
    unit = isinstance(panel, Points) and panel.unit
    spans = [(0.0, 1.0) if unit else _span(v) for v in (x, y)]
    inside = "".join(_frame(panel, spans))
    joined = isinstance(panel, Lines) or panel.diagonal
    inside += _inner(
        (LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM),
        "".join(_group(group, number, spans, joined) for number, group in enumerate(groups)),
    )
    if isinstance(panel, Points):
        inside += "".join(_labels(panel, spans))
    ends = " ".join(_number(v) for span in spans for v in span)
    names = panel.places if isinstance(panel, Lines) else ()
    data = f' data-plane="{ends}" data-axes="{_text(panel.x_label)}|{_text(panel.y_label)}"'
    data += f' data-places="{_list(names)}"' if names else ""
    counted = ", ".join(f"{len(g.x)} {g.name}" for g in groups)
    label = f"{panel.title}: {panel.y_label} over {panel.x_label}; {counted}"
    key, height = _key(panel, groups)
    return _svg(WIDTH, height, label, data, inside + key)


def _labels(panel: Points, spans: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The names of the points that are labelled, where there is room beside them."""
    taken: list[tuple[float, float, float]] = []
    for group in panel.groups:
        for name, x, y in zip(group.names, group.x, group.y, strict=False):
            if name not in panel.named:
                continue
            across, down = _at(x, y, spans)
            wide = 6.5 * len(name)
            for left, base in ((across + s, down + d) for d in (4, -6, 14) for s in (5, -5 - wide)):
                inside = left > LEFT and left + wide < WIDTH - RIGHT
                apart = all(
                    abs(base - b) >= 10 or left + wide < a or left > a + w for a, b, w in taken
                )
                if inside and apart:
                    taken.append((left, base, wide))
                    yield _write(round(left, 1), round(base, 1), name)
                    break


def _inner(box: tuple[float, float, float, float], inside: str) -> str:
    """What is drawn in thousandths of a box."""
    x, y, width, height = box
    return (
        f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" viewBox="0 0 1000 1000" '
        f'preserveAspectRatio="none" overflow="visible">{inside}</svg>'
    )


def _curves(panel: Lines) -> tuple[Group, ...]:
    """Each line's points, where it has some."""
    found = []
    for line in panel.lines:
        at = np.flatnonzero(~np.isnan(line.y))
        found.append(Group(line.name, at.astype(np.float64), line.y[at]))
    return tuple(found)


def _span(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = (high - low) / 20 or 0.5
    return low - room, high + room


def _place(value: float, span: tuple[float, float]) -> int:
    """Where a value lies on an axis, in thousandths of it."""
    return round(1000 * (value - span[0]) / (span[1] - span[0]))


def _at(x: float, y: float, spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The place of a value on the picture."""
    across = LEFT + _place(x, spans[0]) / 1000 * (WIDTH - LEFT - RIGHT)
    down = TOP + (1 - _place(y, spans[1]) / 1000) * (HEIGHT - TOP - BOTTOM)
    return round(across, 1), round(down, 1)


def _frame(panel: Points | Lines, spans: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The box, ticks, what the axes are, and what points are compared with."""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    yield f'<path class="frame" d="M{LEFT} {TOP}h{wide}v{high}h-{wide}z"/>'
    for share in (0, 0.25, 0.5, 0.75, 1):
        (x_low, x_high), (y_low, y_high) = spans
        x, y = x_low + share * (x_high - x_low), y_low + share * (y_high - y_low)
        yield _write(LEFT - 4, _at(x, y, spans)[1] + 4, f"{y:.3g}", ' class="end"')
        if isinstance(panel, Points):
            yield _write(_at(x, y, spans)[0], TOP + high + 14, f"{x:.3g}", ' class="middle"')
    if isinstance(panel, Lines):
        for i, place in enumerate(panel.places):
            yield _write(_at(i, 0, spans)[0], TOP + high + 14, place, ' class="middle"')
    yield _write(LEFT + wide / 2, TOP + high + 30, panel.x_label, ' class="middle"')
    turn = f' class="middle" transform="rotate(-90 12 {TOP + high / 2:g})"'
    yield _write(12, TOP + high / 2, panel.y_label, turn)
    if panel.level is not None:
        x, y = _at(spans[0][0], panel.level, spans)
        yield f'<path class="level" d="M{x} {y}h{wide}"/>'
    if isinstance(panel, Points) and panel.diagonal:
        yield f'<path class="level" d="M{LEFT} {TOP + high}L{LEFT + wide} {TOP}"/>'


def _group(group: Group, number: int, spans: Sequence[tuple[float, float]], joined: bool) -> str:
    places = [
        (_place(x, spans[0]), 1000 - _place(y, spans[1]))
        for x, y in zip(group.x, group.y, strict=True)
    ]
    line = ""
    if joined and len(places) > 1:
        line = "L".join(f"{x} {y}" for x, y in places)
        line = f'<path class="line"{_colour(group, number)} d="M{line}"/>'
    names = f' data-names="{_list(group.names)}"' if group.names else ""
    data = f' data-group="{_text(group.name.replace("_", " "))}"{names}'
    return line + _marks(group, number, places, data)


def _marks(group: Group, number: int, places: Sequence[tuple[float, float]], data: str = "") -> str:
    """All of a group's points as one path."""
    kind, drawn = MARKS.get(group_style(group.name, number)[1], DOT)
    path = "".join(f"M{x} {y}{drawn}" for x, y in places)
    return f'<path class="{kind}"{_colour(group, number)}{data} d="{path}"/>'


def _colour(group: Group, number: int) -> str:
    colour = group_style(group.name, number)[0]
    name = f"#{bytes(colour).hex()}" if colour != INK else "currentColor"
    return f' style="--c:{name}"'


def _key(panel: Points | Lines, groups: Sequence[Group]) -> tuple[str, int]:
    """What the groups are called, below the plane, and how high that is."""
    names = [group.name.replace("_", " ") for group in groups]
    names += [panel.level_name] if panel.level is not None else []
    x, y, text = 8.0, HEIGHT + 6.0, ""
    for number, name in enumerate(names):
        wide = 24 + 6 * len(name)
        if x > 8 and x + wide > WIDTH:
            x, y = 8.0, y + 16
        if number < len(groups):
            text += _inner(
                (x, y, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM),
                _marks(groups[number], number, [(0, 0)]),
            )
        else:
            text += f'<path class="level" d="M{x - 4:g} {y:g}h12"/>'
        text += _write(x + 11, y + 4, name)
        x += wide
    return text, round(y + 12)


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"


def _brief(value: float) -> str:
    """Without the 0 before the point: a map has a thousand of these."""
    return re.sub(r"^(-?)0\.", r"\1.", _number(value))


def _list(names: Sequence[str]) -> str:
    return _text("|".join(name.replace("|", "/") for name in names))

"""The map of layers and heads: one number of each component, under a cursor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from compread.components import Component
from compread.views.plots.palette import scale_color, share_of

CELL, MARGIN = 2, 4
"""Columns of a cell, and of the rows' names before it."""
STEPS = ("blue", "cyan", "white", "yellow", "red")
"""From low to high where a terminal has 16 colours."""
Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Map:
    """Numbers of components, their places on the map, and how they are coloured."""

    names: Mapping[Place, str]
    """Components by row and column, both from 0."""
    rows: Sequence[str]
    columns: Sequence[str]
    values: Mapping[str, float]
    """By the component's name."""
    kept: Collection[str]
    """The names that a filter leaves."""
    low: float
    high: float
    centre: float | None = None

    def share(self, name: str) -> float:
        """Where a component's value lies between low and high, from 0 to 1."""
        return share_of(self.values[name], self.low, self.high, self.centre)


def map_of(
    components: Sequence[Component],
    values: Mapping[str, float],
    kept: Collection[str],
    centre: float | None = None,
) -> Map:
    """The map of values by name: a row a head, then MLPs and mixers, a column a layer."""
    layered = [c for c in components if c.layer >= 0]
    layers = sorted({c.layer for c in layered})
    rows = [f"H{head}" for head in sorted({c.head for c in layered if c.kind == "head"})]
    rows += [n for k, n in (("mlp", "MLP"), ("mixer", "MIX")) if any(c.kind == k for c in layered)]
    at = {name: i for i, name in enumerate(rows)}
    names = {
        (at[c.name.removeprefix(f"L{c.layer}")], layers.index(c.layer)): c.name for c in layered
    }
    there = [values[name] for name in names.values() if name in values] or [0.0]
    low, high = min(there), max(there)
    if centre is not None:
        reach = max(high - centre, centre - low)
        low, high = centre - reach, centre + reach
    return Map(names, rows, list(map(str, layers)), values, kept, low, high, centre)


class HeatMap(ScrollView, can_focus=True):
    """A map with a cursor, moved by the arrows or the mouse; Enter opens a component."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", show=False),
        Binding("down", "move(1, 0)", show=False),
        Binding("left", "move(0, -1)", show=False),
        Binding("right", "move(0, 1)", show=False),
        Binding("home", "move(0, -999999)", show=False),
        Binding("end", "move(0, 999999)", show=False),
        Binding("pageup", "move(-10, 0)", show=False),
        Binding("pagedown", "move(10, 0)", show=False),
        Binding("enter", "open", "open"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another component, or on none."""

        name: str | None

    @dataclass
    class Opened(Message):
        """A component is to be looked at."""

        name: str

    def __init__(self, id: str) -> None:
        """Without numbers until ``show``."""
        super().__init__(id=id)
        self.map = Map({}, (), (), {}, (), 0.0, 0.0)
        self.cursor: Place = (0, 0)

    def show(self, shown: Map) -> None:
        """Draw other numbers; the cursor stays where that is on the map."""
        self.map = shown
        self.virtual_size = Size(MARGIN + CELL * len(shown.columns), 1 + len(shown.rows))
        self.action_move(0, 0)
        self.refresh()

    @property
    def under_cursor(self) -> str | None:
        """The component under the cursor."""
        return self.map.names.get(self.cursor)

    def go_to(self, name: str) -> None:
        """Put the cursor on a component, if it is on the map."""
        self.cursor = next((at for at, of in self.map.names.items() if of == name), self.cursor)
        self.action_move(0, 0)

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor, as far as the map goes, and the map under it."""
        row, column = self.cursor[0] + down, self.cursor[1] + right
        self.cursor = (
            max(0, min(row, len(self.map.rows) - 1)),
            max(0, min(column, len(self.map.columns) - 1)),
        )
        # Without the scrollbars, which ``size`` has in it.
        width, height = self.scrollable_content_region.size
        room = max(1, height - 1), max(1, (width - MARGIN) // CELL)
        x, y = self.scroll_offset
        top = max(min(y, self.cursor[0]), self.cursor[0] - room[0] + 1)
        left = max(min(x // CELL, self.cursor[1]), self.cursor[1] - room[1] + 1)
        self.scroll_to(left * CELL if left != x // CELL else x, top, animate=False)
        self.refresh()
        self.post_message(self.Moved(self.under_cursor))

    def action_open(self) -> None:
        """Open the component under the cursor."""
        if (name := self.under_cursor) is not None:
            self.post_message(self.Opened(name))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; on the cursor itself, open."""
        x, y = self.scroll_offset
        at = event.y - 1 + y, (event.x - MARGIN + x) // CELL
        if event.y < 1 or event.x < MARGIN or at not in self.map.names:
            return
        if at == self.cursor:
            self.action_open()
        else:
            self.cursor = at
            self.action_move(0, 0)

    def render_line(self, y: int) -> Strip:
        """One line: the layers' numbers on top, then a row of cells."""
        x, top = self.scroll_offset
        width = self.size.width - MARGIN
        if y == 0:
            cells = Strip([Segment(_ruler(self.map.columns), Style(bold=True))])
            name = ""
        elif (row := y - 1 + top) < len(self.map.rows):
            cells = Strip([self._cell((row, column)) for column in range(len(self.map.columns))])
            name = self.map.rows[row]
        else:
            return Strip.blank(self.size.width)
        label = Strip([Segment(f"{name:>{MARGIN - 1}} ", Style(bold=True))])
        return Strip.join([label, cells.crop(x, x + width)]).adjust_cell_length(self.size.width)

    def _cell(self, at: Place) -> Segment:
        name = self.map.names.get(at)
        cursor = Style(reverse=True, bold=True) if at == self.cursor else Style()
        if name is None or name not in self.map.values:
            return Segment("  ", cursor)
        if name not in self.map.kept:
            return Segment(" .", cursor)
        digit = min(9, int(self.map.share(name) * 10))
        return Segment(f" {digit}", self._style(digit) + cursor)

    def _style(self, digit: int) -> Style:
        """A colour a digit, so that nothing is lost where there are none."""
        depth = None if self.app.no_color else self.app.console.color_system
        if depth is None:
            return Style()
        if depth == "standard":
            return Style(color="black", bgcolor=STEPS[digit // 2])
        ground = scale_color((digit + 0.5) / 10, self.map.centre is not None)
        dark = sum(ground) < 380
        return Style(color="bright_white" if dark else "black", bgcolor=Color.from_rgb(*ground))


def _ruler(names: Sequence[str]) -> str:
    """Every fifth name over its column."""
    line = ""
    for i, name in enumerate(names):
        if i % 5 == 0:
            line = line.ljust(i * CELL + 1) + name
    return line.ljust(CELL * len(names))

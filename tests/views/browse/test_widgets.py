"""The viewer's table and map by themselves, each under keys and the mouse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("textual")
from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget

from compread.components import LayerShape, component_axis
from compread.views.browse.heat import CELL, MARGIN, HeatMap, map_of
from compread.views.browse.listing import Listing
from compread.views.browse.reading import Asked
from compread.views.tables import Column

COLUMNS = {Column("name", "the\nname", justify="left"): 6, Column("size", format=".0f"): 5}
ROWS = [{"name": f"row{n}", "size": n} for n in range(20)]
LINES = 10
"""Of the screen: two of headings, one of the pinned row, and seven of others."""


def alone(
    widget: Widget, steps: Callable[[Pilot[None], list[Any]], Awaitable[None]], width: int = 40
) -> None:
    """Take steps in an application that is one widget, whose messages are listed."""
    told: list[Any] = []

    class Alone(App[None]):
        CSS = "Listing, HeatMap { height: 1fr; }"

        def compose(self) -> Any:
            yield widget

        def on_listing_chosen(self, message: Listing.Chosen) -> None:
            told.append(message.row["name"])

        def on_listing_heading(self, message: Listing.Heading) -> None:
            told.append(message.key)

        def on_heat_map_opened(self, message: HeatMap.Opened) -> None:
            told.append(message.name)

    async def run() -> None:
        async with Alone().run_test(size=(width, LINES)) as pilot:
            widget.focus()
            await pilot.pause()
            await steps(pilot, told)

    asyncio.run(run())


def listing(pinned: int = 1) -> Listing:
    """A table that is longer than its screen."""
    return Listing("rows", pinned)


def lines(widget: Listing) -> list[str]:
    """The text of each line of the screen."""
    return [widget.render_line(y).text.rstrip() for y in range(LINES)]


def test_a_table_moves_no_further_than_its_cursor() -> None:
    """Down where the cursor would go below the last line, up where above the first."""
    table = listing()

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        table.show(COLUMNS, ROWS)
        for keys, cursor, top in (
            (["down"] * 7, 7, 0), (["down"], 8, 1), (["up"] * 6, 2, 1), (["up"], 1, 0),
            (["pagedown"], 7, 0), (["end"], 19, 12), (["pageup"], 13, 12), (["home"], 0, 0),
        ):  # fmt: skip
            await pilot.press(*keys)
            await pilot.pause()
            assert (table.cursor, table.scroll_offset.y) == (cursor, top), keys
        await pilot.press("end")
        await pilot.pause()
        shown = [line.split()[0] for line in lines(table)]
        assert shown == ["the", "name", "row0", *(f"row{n}" for n in range(13, 20))]

    alone(table, steps)


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_a_click_is_on_the_row_that_is_seen(pinned: int) -> None:
    """Pinned ones stay where they are; a click on the cursor chooses, beside the rows nothing."""
    table = listing(pinned)

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        table.show(COLUMNS, ROWS)
        await pilot.press("end")
        await pilot.pause()
        for y in range(2, LINES):
            seen = table.render_line(y).text.split()[0]
            await pilot.click("#rows", offset=(3, y))
            assert f"row{table.cursor}" == seen
        assert told == []
        await pilot.click("#rows", offset=(3, LINES - 1))
        assert told == ["row19"]
        table.show(COLUMNS, ROWS[:3])
        await pilot.click("#rows", offset=(3, 6))
        assert table.cursor == 0 and told == ["row19"]

    alone(table, steps)


def test_a_click_on_a_heading_names_its_column() -> None:
    """Up to the blank behind it; beside the last one is none."""
    table = listing()

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        table.show(COLUMNS, ROWS)
        for x in (0, 6, 7, 12, 13):
            await pilot.click("#rows", offset=(x, 1))
        assert told == ["name", "name", "size", "size"]

    alone(table, steps)


def test_the_pinned_row_and_the_one_under_the_cursor_stand_out() -> None:
    """Headings and pinned rows are bold, the cursor is reversed, and others are plain."""
    table = listing()

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        table.show(COLUMNS, ROWS, cursor=2)
        styles = [next(iter(table.render_line(y))).style for y in range(6)]
        assert [bool(style and style.bold) for style in styles] == [True] * 3 + [False] * 3
        assert [bool(style and style.reverse) for style in styles] == [False] * 4 + [True, False]

    alone(table, steps)


def test_a_wide_table_scrolls_sideways() -> None:
    """Headings, which begin on one line, and rows alike; a line beyond the rows is blank."""
    table = listing()

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        table.show(COLUMNS, ROWS[:2])
        await pilot.pause()
        whole = ["the     size", "name", "row0       0", "row1       1"]
        assert lines(table) == [line[:8].rstrip() for line in whole] + [""] * 6
        table.scroll_to(x=3, animate=False)
        await pilot.pause()
        assert lines(table)[:4] == [line[3:11].rstrip() for line in whole]

    alone(table, steps, width=8)


def test_nothing_is_drawn_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other runs were chosen meanwhile, reading is told to stop."""
    main = import_module("compread.views.browse.main")
    monkeypatch.setattr(main, "get_current_worker", lambda: SimpleNamespace(is_cancelled=True))
    drawn: list[str] = []
    ask = main.MainScreen([], Asked(), [])._asker()
    assert ask(drawn.append, "read") is False and drawn == []


COMPONENTS = component_axis([LayerShape(12)] * 30)
VALUES = {c.name: float(n) for n, c in enumerate(COMPONENTS)}


def test_a_map_moves_no_further_than_its_cursor() -> None:
    """Each way by what the cursor needs, and no further than the map goes."""
    heat = HeatMap("map")

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        heat.show(map_of(COMPONENTS, VALUES, VALUES))
        seen = (40 - MARGIN) // CELL - 1  # without the scrollbar
        for keys, cursor, offset in (
            (["down"] * 7, (7, 0), (0, 0)), (["down"], (8, 0), (0, 1)),
            (["right"] * (seen - 1), (8, seen - 1), (0, 1)),
            (["right"], (8, seen), (CELL, 1)), (["end"], (8, 29), (CELL * (30 - seen), 1)),
            (["pageup"], (0, 29), (CELL * (30 - seen), 0)), (["home"], (0, 0), (0, 0)),
            (["pagedown"], (10, 0), (0, 3)),
        ):  # fmt: skip
            await pilot.press(*keys)
            await pilot.pause()
            assert (heat.cursor, tuple(heat.scroll_offset)) == (cursor, offset), keys

    alone(heat, steps)


def test_a_click_on_a_map_is_on_the_cell_that_is_seen() -> None:
    """The second one opens it; on the layers' numbers and the rows' names is none."""
    heat = HeatMap("map")

    async def steps(pilot: Pilot[None], told: list[Any]) -> None:
        heat.show(map_of(COMPONENTS, VALUES, VALUES))
        for at, cursor in (
            ((MARGIN + CELL, 1), (0, 1)), ((MARGIN + 2 * CELL - 1, 1), (0, 1)),
            ((MARGIN, 3), (2, 0)), ((MARGIN - 1, 4), (2, 0)), ((MARGIN, 0), (2, 0)),
        ):  # fmt: skip
            await pilot.click("#map", offset=at)
            assert heat.cursor == cursor, at
        assert told == ["L1H0"]
        await pilot.press("end", "pagedown")
        await pilot.pause()
        await pilot.click("#map", offset=(MARGIN, 1))
        x, y = heat.scroll_offset
        assert heat.cursor == (y, x // CELL) and x > 0 < y
        # Where another row and layer would be if the map were not scrolled.
        await pilot.click("#map", offset=(MARGIN, 0))
        assert heat.cursor == (y, x // CELL)

    alone(heat, steps)

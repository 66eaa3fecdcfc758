"""The full-screen application, through the library's own pilot."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textual")
from rich.console import Console
from stores import rot
from textual.pilot import Pilot

from compread.store import gather
from compread.views.browse.app import Viewer
from compread.views.browse.component import ComponentPage
from compread.views.browse.heat import HeatMap
from compread.views.browse.help import HelpPage
from compread.views.browse.listing import Listing
from compread.views.browse.reading import Asked
from compread.views.browse.sources import sources
from compread.views.plots.palette import scale_color

Steps = Callable[[Viewer, Pilot[None]], Awaitable[None]]


def look(*where: Path, steps: Steps, size: tuple[int, int] = (80, 24), **asked: Any) -> None:
    """Take some steps in an application that looks at files and folders."""

    async def run() -> None:
        found = gather(list(map(str, where)))
        app = Viewer(sources(found.paths, found.infos), Asked(**asked), found.notes)
        async with app.run_test(size=size) as pilot:
            await settled(app, pilot)
            await steps(app, pilot)

    asyncio.run(run())


async def settled(app: Viewer, pilot: Pilot[None]) -> None:
    """What was asked for is begun, read and drawn."""
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


async def press(app: Viewer, pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait for what they begin."""
    await pilot.press(*keys)
    await settled(app, pilot)


def screen(app: Viewer) -> str:
    """The text on the screen."""
    drawn = re.findall(r"<text[^>]*>(.*?)</text>", app.export_screenshot(), re.S)
    return html.unescape("\n".join(drawn)).replace("\xa0", " ")


def names(app: Viewer) -> list[str]:
    """The components in the table, the full model first."""
    return [row["component"] for row in app.main.query_one("#components", Listing).rows]


def test_one_store_is_shown_at_once(stores: Path) -> None:
    """The full model on top, then every component, the best first, under the cursor."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        assert names(app)[:2] == ["full", "L0H0"] and len(names(app)) == 11
        assert "sst2 t1 s0: 100 test rows" in screen(app) and "0.900 [.83, .94]" in screen(app)

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_of_several_stores_none_is_read_before_it_is_chosen(stores: Path) -> None:
    """The list of runs comes first; Enter shows an entry."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        assert "sst2 t1, mean of 3 runs" in screen(app) and app.main.looking.shown is None
        await press(app, pilot, "enter")
        assert app.main.looking.shown is not None and len(app.main.looking.shown.runs) == 3
        assert "300 test rows" in screen(app)

    look(stores, steps=steps)


def test_components_are_found_by_name_kind_category_and_layer(stores: Path) -> None:
    """Each narrows what is left, the line above says so, and Esc shows all again."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "slash", *"l1h")
        assert sorted(names(app)) == ["L1H0", "L1H1", "full"]
        await press(app, pilot, "enter", "k")
        assert len(names(app)) == 3 and "find l1h, kind head" in screen(app)
        await press(app, pilot, "k")
        assert names(app) == ["full"] and "kind mixer" in screen(app)
        await press(app, pilot, "escape", "c")
        assert names(app) == ["full", "L0H0"] and "category good" in screen(app)
        await press(app, pilot, "escape", "l", "2", "minus", "enter")
        # What is no range yet leaves the layer that was typed before.
        assert names(app) == ["full", "L2MIX", "L2MLP"]
        await press(app, pilot, "escape")
        assert len(names(app)) == 11

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_the_table_is_sorted_by_keys_and_by_clicks(stores: Path) -> None:
    """By the next column, the other way round, and by the heading under the mouse."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "end", "r")
        assert names(app)[1] == "L0H1"
        assert app.main.query_one("#components", Listing).cursor == 1
        await press(app, pilot, "s")
        assert app.main.looking.by == "q_value" and not app.main.looking.descending
        await pilot.click("#components", offset=(3, 0))
        assert app.main.looking.by == "component" and names(app)[1:3] == ["L0H0", "L0H1"]
        await pilot.click("#components", offset=(3, 0))
        assert names(app)[1] == "embed"

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_a_click_moves_to_a_row_and_a_second_one_chooses_it(stores: Path) -> None:
    """In the list of runs; below the last row and on a heading is none."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        runs = app.main.query_one("#runs", Listing)
        for y in (3, 0, 9):
            await pilot.click("#runs", offset=(3, y))
            await settled(app, pilot)
            assert runs.cursor == 2 and app.main.looking.shown is None
        await pilot.click("#runs", offset=(3, 3))
        await settled(app, pilot)
        assert app.main.looking.shown is not None
        assert app.main.looking.shown.source is app.main.sources[2]

    look(stores, steps=steps)


def test_the_row_under_the_cursor_stands_out(stores: Path) -> None:
    """It alone, wherever keys and mouse have moved the cursor to."""

    def standing_out(app: Viewer) -> list[int]:
        """Rows in dark letters, as what is reversed has on a dark screen."""
        drawn, top = app.export_screenshot(), app.main.query_one("#runs").region.y + 1
        dark = "|".join(re.findall(r"\.([\w-]+) \{ fill: #[0-7]", drawn))
        lines = re.findall(rf'<text class="(?:{dark})" x="0" y="([\d.]+)"', drawn)
        rows = [round((float(y) - 20) / 24.4) - top for y in lines]
        return [row for row in rows if 0 <= row < len(app.main.sources)]

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        assert standing_out(app) == [0]
        await press(app, pilot, "down")
        assert standing_out(app) == [1]
        await pilot.click("#runs", offset=(3, 4))
        await settled(app, pilot)
        assert standing_out(app) == [3]
        await press(app, pilot, "home")
        assert standing_out(app) == [0]

    look(stores, steps=steps)


def test_nothing_is_put_beside_nothing(stores: Path) -> None:
    """Before an entry is shown, b says what comes first, and reads none."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "b")
        assert "Enter shows an entry; b puts another beside it" in screen(app)
        assert app.main.looking.beside is None and app.main.looking.shown is None

    look(stores, steps=steps)


def test_a_components_page_has_its_numbers_and_rows(stores: Path) -> None:
    """Statistics, most for and most against; n and p go on, Esc goes back."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter")
        assert isinstance(app.screen, ComponentPage)
        text = screen(app)
        assert "L0H0, head in layer 0" in text and "0.900 [.83, .94]" in text
        rows = app.screen.query_one("#examples", Listing).rows
        assert len(rows) == 35 and rows[0]["difference"] > 0 > rows[-1]["difference"]
        assert f"{rows[0]['id']}: says {rows[0]['gold']!r}" in text
        await press(app, pilot, "p")
        assert isinstance(app.screen, ComponentPage) and app.screen.component == "full"
        await press(app, pilot, "n", "k", "escape")
        assert not isinstance(app.screen, ComponentPage) and len(names(app)) == 11

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_the_map_moves_and_opens(stores: Path) -> None:
    """Arrows and mouse move, what is under the cursor is told, m changes the measure."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "2")
        heat = app.main.query_one(HeatMap)
        assert heat.under_cursor == "L0H0" and "L0H0: accuracy 0.9, good" in screen(app)
        await press(app, pilot, "right", "down")
        assert heat.under_cursor == "L1H1"
        await pilot.click("#map", offset=(5, 2))
        assert heat.under_cursor == "L0H1"
        await press(app, pilot, *["m"] * app.main.looking.measures().index("margin"))
        assert app.main.looking.measure == "margin" and "L0H1: margin -1, bad" in screen(app)
        await press(app, pilot, "l", "1", "enter")
        assert heat.map.kept == {"L1H0", "L1H1", "L1MLP"}
        await press(app, pilot, "enter")
        assert isinstance(app.screen, ComponentPage) and app.screen.component == "L0H1"

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def standing_out(app: Viewer) -> list[tuple[int, int]]:
    """The cells of the map, by row and column on the screen, that are drawn as its cursor."""
    drawn = app.export_screenshot().replace("&#160;", " ")
    bold = "|".join(re.findall(r"\.([\w-]+) \{[^}]*bold", drawn))
    cells = re.findall(rf'<text class="(?:{bold})" x="([\d.]+)" y="([\d.]+)"[^>]*> \d</', drawn)
    place = app.main.query_one(HeatMap).region
    return [(round((float(y) - 20) / 24.4) - place.y - 1, round(float(x) / 12.2 - 4) // 2)
            for x, y in cells]  # fmt: skip


def test_a_large_map_moves_under_its_cursor(tmp_path: Path, write_store: Any) -> None:
    """No further than the cursor needs to be seen: to the edge that it went beyond."""
    from compread.components import LayerShape, component_axis

    path = write_store(tmp_path / "a.h5", axis=component_axis([LayerShape(30)] * 60), n_test=20)

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "2")
        heat = app.main.query_one(HeatMap)
        last = heat.size.height - 3, (heat.size.width - 5) // 2 - 1  # A line for each scrollbar.
        for keys, at, seen in [
            (["home", *["pageup"] * 3], (0, 0), (0, 0)),
            (["end"], (0, 59), (0, last[1])),
            (["left", "left"], (0, 57), (0, last[1] - 2)),
            (["pagedown"] * 2, (20, 57), (last[0], last[1] - 2)),
            (["up", "right"], (19, 58), (last[0] - 1, last[1] - 1)),
            (["pagedown"] * 2, (30, 58), (last[0], last[1] - 1)),
            (["home"], (30, 0), (last[0], 0)),
            (["pageup"] * 3, (0, 0), (0, 0)),
        ]:
            await press(app, pilot, *keys)
            assert heat.cursor == at and standing_out(app) == [seen]

    look(path, steps=steps)


def test_the_maps_cursor_is_drawn_where_it_is(stores: Path) -> None:
    """By keys and by the mouse, the cell under the cursor stands out, and no other."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "2")
        assert standing_out(app) == [(0, 0)]
        await press(app, pilot, "right", "down")
        assert standing_out(app) == [(1, 1)]
        await pilot.click("#map", offset=(5, 2))
        await settled(app, pilot)
        assert standing_out(app) == [(1, 0)]

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_a_click_on_a_views_name_goes_to_it(stores: Path) -> None:
    """Each of the three, its key included; beside them is none."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        for x, view in [
            (17, "map"),
            (26, "runs"),
            (3, "components"),
            (19, "map"),
            (12, "components"),
            (16, "map"),
            (15, "components"),
            (25, "runs"),
            (24, "map"),
        ]:
            await pilot.click("#views", offset=(x, 0))
            await settled(app, pilot)
            assert app.main.current == view
        await pilot.click("#views", offset=(50, 0))
        await settled(app, pilot)
        assert app.main.current == "map"

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_tab_goes_round_the_views(stores: Path) -> None:
    """From each to the one behind it; in a line that is typed in it stays."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        for view in ("map", "runs", "components"):
            await press(app, pilot, "tab")
            assert app.main.current == view
        await press(app, pilot, "slash", "tab")
        assert app.main.current == "components"
        await press(app, pilot, "escape", "tab")
        assert app.main.current == "map"

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_a_page_of_a_store_that_went_away_says_so(tmp_path: Path, write_store: Any) -> None:
    """The numbers stay, and ? shows the help from there too."""
    path = write_store(tmp_path / "a.h5")

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        path.unlink()
        await press(app, pilot, "enter")
        assert "error: " in screen(app) and str(path.name) in screen(app)
        assert "0.900 [.83, .94]" in screen(app)
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, HelpPage)

    # Wide enough for the path of any temporary folder on one line.
    look(path, steps=steps, size=(300, 24))


def test_two_entries_stand_side_by_side(stores: Path) -> None:
    """Another run's accuracy and the difference, in the table, on the map and on a page."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "down", "enter", "b", "down", "b")
        assert app.main.looking.shown is not None and app.main.looking.beside is not None
        one, other = (dict((r["component"], r["accuracy"]) for r in side.rows)
                      for side in (app.main.looking.shown, app.main.looking.beside))  # fmt: skip
        for row in app.main.query_one("#components", Listing).rows[1:]:
            name = row["component"]
            assert row["difference"] == pytest.approx(one[name] - other[name])
        assert "accuracy\n" in screen(app) or "- beside" in screen(app)
        await press(app, pilot, "2", *["m"] * (len(app.main.looking.measures()) - 1))
        assert app.main.looking.measure == "difference"
        await press(app, pilot, "1", "enter")
        assert "sst2 t1 s0 | sst2 t1 s1" in screen(app)
        await press(app, pilot, "escape", "x")
        assert app.main.looking.shown.source.name == "sst2 t1 s1"
        await press(app, pilot, "escape")
        assert app.main.looking.beside is None

    look(stores, steps=steps)


def test_what_is_read_while_a_page_lies_over_it_is_shown(stores: Path) -> None:
    """Help is opened, and a page is closed, before what was begun is there."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "question_mark")
        await settled(app, pilot)
        assert isinstance(app.screen, HelpPage) and app.main.looking.shown is not None
        await press(app, pilot, "escape")
        assert len(names(app)) == 11
        await pilot.press("enter", "escape", "enter", "n", "escape")
        await settled(app, pilot)
        assert app.screen is app.main

    look(stores, steps=steps)


def test_a_damaged_store_is_told_and_the_rest_goes_on(tmp_path: Path, write_store: Any) -> None:
    """The error stands on the screen in the words of every command."""
    whole = write_store(tmp_path / "a.h5", seed=0)
    damaged = write_store(tmp_path / "b.h5", seed=1)
    rot(damaged)

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "down", "down", "enter")
        assert app.main.looking.shown is None and "error:" in screen(app) and "b.h5" in screen(app)
        await press(app, pilot, "up", "enter")
        assert app.main.looking.shown is not None and app.main.looking.shown.runs[0].path == str(
            whole
        )

    look(tmp_path, steps=steps)


def test_a_wider_terminal_has_more_columns(stores: Path) -> None:
    """And the cursor stays on its component."""

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "down", "down")
        table = app.main.query_one("#components", Listing)
        before, row = len(table.columns), table.under_cursor
        await pilot.resize_terminal(120, 40)
        await settled(app, pilot)
        assert len(table.columns) > before and table.under_cursor == row

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_help_has_the_keys_the_columns_and_the_notes(tmp_path: Path, write_store: Any) -> None:
    """Also what was left out of a folder."""
    first = write_store(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(first.read_bytes())

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "question_mark")
        assert isinstance(app.screen, HelpPage)
        text = screen(app)
        assert "only this kind" in text and "permutation" in text
        assert "the same run again, so left out" in text
        await press(app, pilot, "q")
        assert not isinstance(app.screen, HelpPage)
        await press(app, pilot, "q")
        assert not app.is_running

    look(tmp_path, steps=steps, size=(90, 60))


def test_names_are_shown_as_they_are(tmp_path: Path, write_store: Any) -> None:
    """A task that looks like the library's markup is text."""
    path = write_store(tmp_path / "a.h5", task="[b]x[/nothing]", words=(" [red]", " [/]"))

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter", "escape", "3")
        assert "[b]x[/nothing]" in screen(app)

    look(path, steps=steps)


def test_nothing_is_written(stores: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """No file is made or touched, and no command of the library's that would is offered."""
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in stores.iterdir()}

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter", "enter", "escape", "2", "ctrl+p", "ctrl+s", "3", "b")
        assert not app.ENABLE_COMMAND_PALETTE

    look(stores, steps=steps)
    assert {path: path.stat().st_mtime_ns for path in stores.iterdir()} == before
    assert list(tmp_path.iterdir()) == []


def test_without_colours_the_map_has_its_digits(stores: Path, monkeypatch: Any) -> None:
    """NO_COLOR leaves no colour in a cell, and the digit says the same."""
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "2", "down")
        line = app.main.query_one(HeatMap).render_line(1)
        assert line.text.split() == ["H0", "9", "5"]
        styles = [segment.style for segment in line if segment.style is not None]
        assert styles and not any(style.color or style.bgcolor for style in styles)

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_the_cursor_is_above_the_scrollbar(tmp_path: Path, write_store: Any) -> None:
    """Where a table is too wide and too long, its last row under the cursor is seen too."""
    from compread.components import LayerShape, component_axis

    path = write_store(tmp_path / "a.h5", axis=component_axis([LayerShape(30)] * 2), n_test=20)

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        table = app.main.query_one("#components", Listing)
        await press(app, pilot, "end")
        assert names(app)[-1] in screen(app)
        assert table.show_horizontal_scrollbar and table.show_vertical_scrollbar

    look(path, steps=steps, size=(24, 24))


@pytest.mark.parametrize(
    ("depth", "grounds"),
    [
        ("standard", ["red", "white", "blue", "white"]),
        ("truecolor", [scale_color(share, True) for share in (0.95, 0.55, 0.05, 0.55)]),
    ],
)
def test_a_cells_colour_says_what_its_digit_does(
    stores: Path, monkeypatch: Any, depth: str, grounds: list[Any]
) -> None:
    """Of five in a terminal of 16 colours, else one a digit; letters stand out from each."""
    monkeypatch.setattr(Console, "color_system", depth)

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        await press(app, pilot, "2", "down", "down", "down")
        heat = app.main.query_one(HeatMap)
        found = []
        for segment in [s for y in (1, 2) for s in heat.render_line(y) if s.text.strip().isdigit()]:
            assert segment.style is not None and segment.style.bgcolor and segment.style.color
            ground, ink = segment.style.bgcolor, segment.style.color
            found.append(ground.name if ground.triplet is None else tuple(ground.triplet))
            dark = ground.triplet is not None and sum(ground.triplet) < 380
            assert ink.name == ("bright_white" if dark else "black")
        assert found == grounds

    look(stores / "sst2-t1-k4-s0.h5", steps=steps)


def test_a_long_table_scrolls_with_its_cursor(tmp_path: Path, write_store: Any) -> None:
    """The last of many rows is on the screen when the cursor is there."""
    from compread.components import LayerShape, component_axis

    axis = component_axis([LayerShape(30)] * 4)
    path = write_store(tmp_path / "a.h5", axis=axis, n_test=20)

    async def steps(app: Viewer, pilot: Pilot[None]) -> None:
        table = app.main.query_one("#components", Listing)
        await press(app, pilot, "end")
        assert table.cursor == len(axis) and names(app)[-1] in screen(app)
        assert "full" in screen(app)
        last = table.size.height - 1
        for line, row in [(last - 3, len(axis) - 3), (last, len(axis)), (last - 4, len(axis) - 4)]:
            await pilot.click("#components", offset=(3, line))
            await settled(app, pilot)
            assert table.cursor == row
        # Below the headings the full model stays; the rows that are left move below it.
        pinned = last - len(axis) + table.scroll_offset.y
        for line, row in [(pinned + 1, 1 + table.scroll_offset.y), (pinned, 0)]:
            await pilot.click("#components", offset=(3, line))
            await settled(app, pilot)
            assert table.cursor == row
        await press(app, pilot, "home", "pagedown", "down")
        assert str(table.under_cursor["component"]) in screen(app)  # type: ignore[index]

    look(path, steps=steps)

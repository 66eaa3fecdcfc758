"""The application: the table of components, the map and the list of runs over one selection."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher, Footer, Input, Static
from textual.worker import get_current_worker

from compread.analysis.measures import MEASURES
from compread.errors import CompreadError
from compread.options import WEIGHT
from compread.text import number_spans, one_line
from compread.views.browse import rows as shown_rows
from compread.views.browse.component import ComponentPage
from compread.views.browse.heat import HeatMap, map_of
from compread.views.browse.help import HelpPage
from compread.views.browse.listing import Listing
from compread.views.browse.reading import Asked, Reader, Shown
from compread.views.browse.rows import DIFFERENCE, Filter
from compread.views.browse.sources import Source
from compread.views.tables import Column, Row, Table, plain
from compread.views.terminal import fit

RUNS = (
    Column("entry", justify="left", shorten="end"),
    Column("runs"),
    Column("shots", drop=1),
    Column("date", justify="left", drop=2),
    Column("model", justify="left", shorten="start"),
)
"""The list of runs."""
VIEWS = ("components", "map", "runs")
THEMES = ("ansi-dark", "textual-ansi")
"""The terminal's own colours, by the names that older and newer Textuals have for them."""


OF_VIEWS: Mapping[str, str | None] = {
    "look": None,
    "next_view": None,
    "ask": None,
    "cycle": None,
    "clear": None,
    "put_beside": None,
    "exchange": None,
    "reverse": "components",
    "sort": "components",
    "measure": "map",
}
"""The actions of the three views, and which one wants."""


FAILURES = (CompreadError, OSError, MemoryError)
"""What a store can get wrong while it is read; all else is looked at again."""


class Viewer(App[None]):
    """Looks at stores; reads a store when it is chosen, and writes nothing."""

    CSS_PATH = "browse.tcss"
    ENABLE_COMMAND_PALETTE = False  # It has an entry that writes a file.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "look('components')", show=False),
        Binding("2", "look('map')", show=False),
        Binding("3", "look('runs')", show=False),
        Binding("tab", "next_view", show=False, priority=True),
        Binding("slash", "ask('find')", "find", key_display="/"),
        Binding("k", "cycle('kind')", "kind"),
        Binding("c", "cycle('category')", "category"),
        Binding("l", "ask('layers')", "layers"),
        Binding("greater_than_sign,full_stop", "sort(1)", show=False),
        Binding("less_than_sign,comma", "sort(-1)", show=False),
        Binding("s", "sort(1)", "sort"),
        Binding("r", "reverse", show=False),
        Binding("m", "measure(1)", "measure"),
        Binding("b", "put_beside", "beside"),
        Binding("x", "exchange", show=False),
        Binding("escape", "clear", "all", key_display="Esc"),
        # These two stand on top.
        Binding("question_mark", "help", show=False),
        Binding("q,ctrl+c", "quit", show=False),
    ]

    def __init__(self, found: Sequence[Source], asked: Asked, notes: Sequence[str] = ()) -> None:
        """Look at some sources; ``notes`` are what a reader must know of them."""
        super().__init__(ansi_color=True)
        self.sources, self.notes = found, notes
        self.reader = Reader(asked)
        self.shown: Shown | None = None
        self.beside: Shown | None = None
        self.filter = Filter()
        self.by, self.descending = shown_rows.ACCURACY, True
        self.measure = shown_rows.ACCURACY
        self._asking = ""
        self._fitted: tuple[object, dict[Column, int]] = (None, {})

    def compose(self) -> ComposeResult:
        """Two lines on top, one of the three views, a line to type in, the keys."""
        yield Static(id="views")
        yield Static(id="what", classes="title")
        yield Static(id="filter")
        with ContentSwitcher(initial="runs" if len(self.sources) > 1 else "components"):
            yield Listing("components", pinned=1)
            yield HeatMap("map")
            yield Listing("runs")
        yield Input(id="ask")
        yield Static(id="status")
        yield Footer()

    def on_mount(self) -> None:
        """List the runs; the only one there is is read at once."""
        if not self.is_headless:
            # As Ctrl-C: the terminal is left as it was.
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGTERM, self.exit, None, 128 + signal.SIGTERM
            )
        self.theme = next(name for name in THEMES if name in self.available_themes)
        self.query_one("#ask").display = False
        self._list_runs()
        if self.notes:
            self._tell(f"? shows {len(self.notes)} notes; {one_line(self.notes[0], 60)} ...")
        self._focus()
        if len(self.sources) == 1:
            self._read(self.sources[0], "shown")
        else:
            self._headings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of the three views do nothing on a page over them, nor those of another view."""
        if action in OF_VIEWS and len(self.screen_stack) > 1:
            return False
        view = OF_VIEWS.get(action)
        return view is None or not self.is_running or view == self.current

    # What is looked at.

    @property
    def current(self) -> str:
        """Which of the views is on the screen."""
        return str(self.query_one(ContentSwitcher).current)

    def rows(self) -> list[Row]:
        """The components that are shown, in order; the full model is not among them."""
        if self.shown is None:
            return []
        found = [row for row in self._compared(self.shown.rows) if self.filter.keeps(row)]
        return shown_rows.ordered(found, self.by, self.descending)

    def _compared(self, rows: Sequence[Row]) -> list[Row]:
        if self.beside is None:
            return list(rows)
        return shown_rows.with_beside(rows, [*self.beside.rows, self.beside.full])

    def _measures(self) -> list[str]:
        """What the map can show."""
        if self.shown is None:
            return []
        extra = [WEIGHT, *([DIFFERENCE] if self.beside else [])]
        first = self._compared(self.shown.rows[:1])[0]
        return [name for name in (*MEASURES, *extra) if name in first]

    # Reading, beside the application.

    def _read(self, source: Source, side: str) -> None:
        work = partial(self._read_in_thread, source, side)
        self.run_worker(work, thread=True, exclusive=True, group="read")

    def _read_in_thread(self, source: Source, side: str) -> None:
        worker, count = get_current_worker(), len(source.paths)

        def on(done: int) -> bool:
            if not worker.is_cancelled:
                more = f" ({done} of {count} runs read)" if count > 1 else ""
                self.call_from_thread(self._tell, f"reading {source.name}{more} ...")
            return not worker.is_cancelled

        try:
            read = self.reader.read(source, on)
        except FAILURES as error:
            self.call_from_thread(self._tell, f"error: {error}")
            return
        if read is not None and not worker.is_cancelled:
            self.call_from_thread(self._take, read, side)

    def _take(self, read: Shown, side: str) -> None:
        if side == "beside":
            self.beside = read
        else:
            self.shown = read
        if self.measure not in self._measures():
            self.measure = shown_rows.ACCURACY
        self._tell(read.note)
        self.action_look("map" if self.current == "map" else "components")

    def _read_examples(self, page: ComponentPage, source: Source) -> None:
        worker = get_current_worker()
        try:
            found = self.reader.examples(source, page.component, lambda _: not worker.is_cancelled)
        except FAILURES as error:
            self.call_from_thread(page.show_error, f"error: {error}")
            return
        if found is not None and not worker.is_cancelled:
            self.call_from_thread(page.show_examples, found)

    # Drawing.

    def _draw(self) -> None:
        """Draw what is on the screen again."""
        self._headings()
        if self.shown is None:
            return
        if self.current == "components":
            self._draw_table(self.shown)
        elif self.current == "map":
            self._draw_map(self.shown)

    def _headings(self) -> None:
        names = {"components": "Components", "map": "Map", "runs": "Runs"}
        tabs = Text(no_wrap=True)
        for i, (view, name) in enumerate(names.items(), 1):
            style = "reverse bold" if view == self.current else "bold"
            tabs.append(f" {i} {name} ", style).append("  ")
        tabs.append("? help   q quit")
        self.query_one("#views", Static).update(tabs)
        self.query_one("#what", Static).update(Text(self._what(), no_wrap=True))
        self.query_one("#filter", Static).update(Text(self._chosen(), no_wrap=True))

    def _what(self) -> str:
        if self.shown is None:
            return f"{len(self.sources)} entries; Enter shows one, b puts one beside"
        info = self.shown.runs[0].info
        model = info.model.rstrip("/").rpartition("/")[2]
        what = f"{self.shown.source.name}: {self.shown.full['n']} {self.reader.asked.split} rows"
        beside = f", beside {self.beside.source.name}" if self.beside else ""
        full = f", full model {self.shown.full['accuracy']:.3f}"
        return f"{what}{full}{beside}, {model}"

    def _chosen(self) -> str:
        if self.current == "runs" or self.shown is None:
            return ""
        one, layers = self.filter, _spelled(self.filter.layers)
        filters = {"find": one.text, "kind": one.kind, "category": one.category, "layers": layers}
        said = ", ".join(f"{name} {value}" for name, value in filters.items() if value)
        count = f"{len(self.rows())} of {len(self.shown.rows)} components"
        if self.current == "map":
            return f"{self.measure.replace('_', ' ')}{self._scale()}; {count}, {said or 'all'}"
        order = "highest first" if self.descending else "lowest first"
        return f"{count}, {said or 'all'}; by {self.by.replace('_', ' ')}, {order}"

    def _scale(self) -> str:
        shown = self.query_one(HeatMap).map
        return f", 0 to 9 from {shown.low:.3g} to {shown.high:.3g}"

    def _draw_table(self, shown: Shown) -> None:
        table = self.query_one("#components", Listing)
        at, rows = self._under_cursor(), [*self._compared([shown.full]), *self.rows()]
        names = [row["component"] for row in rows]
        # One row is the full model's; the first component is what one wants to see.
        cursor = names.index(at) if at in names else min(1, len(rows) - 1)
        table.show(self._columns(shown), rows, cursor)

    def _columns(self, shown: Shown) -> dict[Column, int]:
        """Those that have room for every component, whatever the filter leaves."""
        now = (shown, self.beside, self.by, self.descending, self.size.width)
        if self._fitted[0] != now:
            rows = self._compared([shown.full, *shown.rows])
            columns = shown_rows.shown_columns(
                shown.table.columns,
                rows,
                max(40, self.size.width - 2),
                self.by,
                self.descending,
                self.beside is not None,
            )
            self._fitted = now, columns
        return self._fitted[1]

    def _draw_map(self, shown: Shown) -> None:
        numbers = {
            row["component"]: float(row[self.measure])
            for row in self._compared(shown.rows)
            if plain(row.get(self.measure)) is not None
        }
        kept = {row["component"] for row in self.rows()}
        scale = MEASURES[self.measure].scale if self.measure in MEASURES else "logits"
        labels = len(shown.runs[0].labels.word)
        centre = {"accuracy": 1 / labels, "logits": 0.0}.get(scale)
        self.query_one(HeatMap).show(map_of(shown.components, numbers, kept, centre))
        self._headings()

    def _list_runs(self) -> None:
        rows = [_run_row(i, source) for i, source in enumerate(self.sources)]
        self.query_one("#runs", Listing).show(fit(Table(RUNS, [rows]), self.size.width - 2), rows)

    def _tell(self, message: str) -> None:
        self.query_one("#status", Static).update(Text(message))
        self.query_one("#status").display = bool(message)

    # Keys and mouse.

    def action_look(self, view: str) -> None:
        """Go to one of the three views."""
        if view != "runs" and self.shown is None:
            return
        name = self._under_cursor()
        self.query_one(ContentSwitcher).current = view
        self._draw()
        if name is not None and view == "map":
            self.query_one(HeatMap).go_to(name)
        self._focus()

    def action_next_view(self) -> None:
        """Go to the view behind this one."""
        if not isinstance(self.focused, Input):
            self.action_look(VIEWS[(VIEWS.index(self.current) + 1) % len(VIEWS)])

    def action_ask(self, what: str) -> None:
        """Type what to look for, or which layers."""
        if self.shown is None or self.current == "runs":
            return
        self._asking = what
        line = self.query_one("#ask", Input)
        line.placeholder = {
            "find": "part of a name, or a pattern such as L3H*",
            "layers": "layers, such as 3 or 0-4,7",
        }[what]
        line.value = self.filter.text if what == "find" else _spelled(self.filter.layers)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter with every letter."""
        if self._asking == "find":
            self._filter(text=event.value)
        elif self._asking == "layers":
            try:
                layers = number_spans(event.value)
            except ValueError:  # not typed to its end
                return
            self._filter(layers=tuple(layers))

    def on_input_submitted(self) -> None:
        """Back to what is filtered."""
        self._asking = ""
        self.query_one("#ask").display = False
        self._focus()

    def action_cycle(self, what: str) -> None:
        """Show the next kind or category alone, and after the last all."""
        if self.shown is not None:
            of = shown_rows.kinds_of if what == "kind" else shown_rows.categories_of
            there = of(self.shown.rows)
            self._filter(**{what: shown_rows.next_of(there, getattr(self.filter, what))})

    def action_clear(self) -> None:
        """Show everything again, and nothing beside it."""
        if self._asking:
            self.on_input_submitted()
        elif self.filter != Filter():
            self._filter(text="", kind="", category="", layers=())
        elif self.beside is not None:
            self.beside, self.by, self.measure = None, shown_rows.ACCURACY, shown_rows.ACCURACY
            self._draw()

    def _filter(self, **changes: Any) -> None:
        self.filter = replace(self.filter, **changes)
        self._draw()

    def action_sort(self, step: int) -> None:
        """Sort by the next column, or by the one before."""
        keys = [column.key for column in self.query_one("#components", Listing).columns]
        if keys:
            at = keys.index(self.by) if self.by in keys else 0
            self._sort_by(keys[(at + step) % len(keys)])

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.descending = not self.descending
        self._draw()

    def on_listing_heading(self, event: Listing.Heading) -> None:
        """A click on a heading sorts by it, a second one turns the order round."""
        if event.listing.id == "components":
            self._sort_by(event.key)

    def _sort_by(self, key: str) -> None:
        text = self.shown is not None and isinstance(self.shown.full.get(key), str)
        first = key not in ("q_value", "layer", "head", "component", "category") and not text
        self.descending = not self.descending if key == self.by else first
        self.by = key
        self._draw()

    def action_measure(self, step: int) -> None:
        """Show the next measure on the map."""
        if there := self._measures():
            self.measure = there[(there.index(self.measure) + step) % len(there)]
            self._draw()

    def action_put_beside(self) -> None:
        """Choose what stands beside; in the list, the entry under the cursor."""
        if self.current != "runs":
            self.action_look("runs")
            self._tell("b puts the entry under the cursor beside what is shown")
        elif self.shown is None:
            self._tell("Enter shows an entry; b puts another beside it")
        else:
            self._read(self._chosen_source(), "beside")

    def action_exchange(self) -> None:
        """What is beside is shown, and the other way round."""
        if self.shown is not None and self.beside is not None:
            self.shown, self.beside = self.beside, self.shown
            self._draw()

    def action_help(self) -> None:
        """The keys, and what the columns say."""
        notes = [f"{note}." for note in self.notes]
        columns = [self.shown.table.note] if self.shown else []
        self.push_screen(HelpPage([*columns, *notes]))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Enter, or a click on the row under the cursor."""
        if event.listing.id == "runs":
            self._read(self._chosen_source(), "shown")
        elif event.listing.id == "components":
            self._open(event.row["component"])

    def on_heat_map_opened(self, event: HeatMap.Opened) -> None:
        """Enter on the map."""
        self._open(event.name)

    def on_heat_map_moved(self, event: HeatMap.Moved) -> None:
        """What is under the map's cursor is told below."""
        row = next((r for r in self.rows() if r["component"] == event.name), None)
        if self.current != "map" or row is None:
            return
        value = plain(row.get(self.measure))
        number = "none" if value is None else f"{value:.4g}"
        self._tell(f"{event.name}: {self.measure.replace('_', ' ')} {number}, {row['category']}")

    def on_component_page_stepped(self, event: ComponentPage.Stepped) -> None:
        """From one component's page to a neighbour's."""
        names = [
            row["component"] for row in [*([self.shown.full] if self.shown else []), *self.rows()]
        ]
        if event.name in names:
            self.pop_screen()
            self._open(names[(names.index(event.name) + event.by) % len(names)])

    def on_resize(self, event: events.Resize) -> None:
        """Other columns have room."""
        self.call_after_refresh(self._refit)

    def _refit(self) -> None:
        self._list_runs()
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """A click on a view's name goes to it."""
        if getattr(event.widget, "id", "") == "views":
            place = 0
            for view, name in zip(VIEWS, ("Components", "Map", "Runs"), strict=True):
                place += len(name) + 6
                if event.x < place:
                    self.action_look(view)
                    return

    def _open(self, name: str) -> None:
        assert self.shown is not None  # There is no row to open before.
        rows = {row["component"]: row for row in [*self.shown.rows, self.shown.full]}
        others = self.beside
        beside = None
        if others is not None:
            beside = {r["component"]: r for r in [*others.rows, others.full]}.get(name)
        what = self.shown.source.name + (f" | {others.source.name}" if others else "")
        page = ComponentPage(self.shown.table.columns, rows[name], beside, what)
        self.push_screen(page)
        work = partial(self._read_examples, page, self.shown.source)
        self.run_worker(work, thread=True, exclusive=True, group="examples")

    def _under_cursor(self) -> str | None:
        """The component under the cursor of the view that is on the screen."""
        if self.current == "map":
            return self.query_one(HeatMap).under_cursor
        row = self.query_one("#components", Listing).under_cursor
        return None if row is None else str(row["component"])

    def _chosen_source(self) -> Source:
        return self.sources[self.query_one("#runs", Listing).cursor]

    def _focus(self) -> None:
        self.query_one(f"#{self.current}").focus()


def _run_row(number: int, source: Source) -> Row:
    first = source.infos[0]
    models = dict.fromkeys(info.model.rstrip("/").rpartition("/")[2] for info in source.infos)
    return {
        "number": number,
        "entry": f"{'  ' if source.is_one else ''}{source.name}",
        "runs": len(source.paths),
        "shots": first.shots,
        "date": max(info.date[:10] for info in source.infos),
        "model": ", ".join(models),
    }


def _spelled(spans: Sequence[range]) -> str:
    """``[range(0, 3), range(5, 6)]`` as ``0-2,5``."""
    return ",".join(f"{s.start}-{s.stop - 1}" if len(s) > 1 else str(s.start) for s in spans)

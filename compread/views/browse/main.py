"""The screen: the table of components, the map and the list of runs over one selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer, Input, Static
from textual.worker import get_current_worker

from compread.text import number_spans, one_line
from compread.views.browse.component import ComponentPage
from compread.views.browse.heat import HeatMap
from compread.views.browse.help import HelpPage
from compread.views.browse.listing import Listing
from compread.views.browse.looking import Looking
from compread.views.browse.reading import FAILURES, Asked, Reader
from compread.views.browse.rows import Filter, categories_of, kinds_of, next_of
from compread.views.browse.sources import RUNS, Source, run_rows
from compread.views.browse.top import VIEWS, TopLines
from compread.views.tables import Table
from compread.views.terminal import fit

ONLY_ON: Mapping[str, str] = {"reverse": "components", "sort": "components", "measure": "map"}
"""The actions that one of the views alone has."""
ASKED = {
    "find": "part of a name, or a pattern such as L3H*",
    "layers": "layers, such as 3 or 0-4,7",
}


class MainScreen(Screen[None]):
    """Three views of what is looked at, and the keys that change it."""

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
        Binding("m", "measure", "measure"),
        Binding("b", "put_beside", "beside"),
        Binding("x", "exchange", show=False),
        Binding("escape", "clear", "all", key_display="Esc"),
        # These two stand on top.
        Binding("question_mark", "help", show=False),
        Binding("q", "app.quit", show=False),
    ]

    def __init__(self, found: Sequence[Source], asked: Asked, notes: Sequence[str]) -> None:
        """Look at some sources; ``notes`` are what a reader must know of them."""
        super().__init__()
        self.sources, self.notes = found, notes
        self.reader = Reader(asked)
        self.looking = Looking()
        self._asking = ""

    def compose(self) -> ComposeResult:
        """Lines on top, one of the three views, a line to type in, what is told, the keys."""
        yield TopLines()
        with ContentSwitcher(initial="runs" if len(self.sources) > 1 else "components"):
            yield Listing("components", pinned=1)
            yield HeatMap("map")
            yield Listing("runs")
        yield Input(id="ask")
        yield Static(id="status")
        yield Footer()

    def on_mount(self) -> None:
        """List the runs; the only one there is is read at once."""
        self.query_one("#ask").display = False
        self._draw()
        if self.notes:
            self.tell(f"? shows {len(self.notes)} notes; {one_line(self.notes[0], 60)} ...")
        self._focus()
        if len(self.sources) == 1:
            self._read(self.sources[0], beside=False)

    def on_resize(self, event: events.Resize) -> None:
        """Other columns have room."""
        self.call_after_refresh(self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of one view do nothing in another."""
        return action not in ONLY_ON or not self.is_mounted or ONLY_ON[action] == self.current

    @property
    def current(self) -> str:
        """Which of the views is on the screen."""
        return str(self.query_one(ContentSwitcher).current)

    def tell(self, message: str) -> None:
        """Say something in the line above the keys; nothing clears it."""
        self.query_one("#status", Static).update(Text(message))
        self.query_one("#status").display = bool(message)

    # Reading, in a thread beside the screen.

    def _read(self, source: Source, beside: bool) -> None:
        work = partial(self._read_in_thread, source, beside)
        self.run_worker(work, thread=True, exclusive=True, group="read")

    def _read_in_thread(self, source: Source, beside: bool) -> None:
        count, ask = len(source.paths), self._asker()

        def on(done: int) -> bool:
            more = f" ({done} of {count} runs read)" if count > 1 else ""
            return ask(self.tell, f"reading {source.name}{more} ...")

        try:
            read = self.reader.read(source, on)
        except FAILURES as error:
            ask(self.tell, f"error: {error}")
            return
        if read is not None:
            ask(self._take, read, beside)

    def _take(self, read: Any, beside: bool) -> None:
        self.looking.take(read, beside)
        self.tell(read.note)
        self.action_look("map" if self.current == "map" else "components")

    def _examples_in_thread(self, page: ComponentPage, source: Source) -> None:
        ask, worker = self._asker(), get_current_worker()

        def show(result: Any) -> None:
            if page.is_attached:  # Esc may have come before.
                page.show_examples(result) if isinstance(result, list) else page.tell(result)

        try:
            found = self.reader.examples(
                source, page.component, lambda done: not worker.is_cancelled
            )
        except FAILURES as error:
            ask(show, f"error: {error}")
            return
        if found is not None:
            ask(show, found)

    def _asker(self) -> Callable[..., bool]:
        """A way to call what draws from a thread; false where nobody waits any more."""
        worker = get_current_worker()

        def ask(function: Callable[..., object], *arguments: object) -> bool:
            if worker.is_cancelled or not self.app.is_running:
                return False
            self.app.call_from_thread(function, *arguments)
            return not worker.is_cancelled

        return ask

    # Drawing.

    def _draw(self, from_top: bool = False) -> None:
        """Draw what is on the screen again, the cursor where it was or on the first component."""
        looking, view = self.looking, self.current
        width = max(40, self.size.width - 2)
        if view == "runs":
            rows, runs = run_rows(self.sources), self.query_one("#runs", Listing)
            runs.show(fit(Table(RUNS, [rows]), width), rows, runs.cursor)
        elif view == "map":
            self.query_one(HeatMap).show(looking.map())
        elif looking.shown is not None:
            at, rows = self._under_cursor(), looking.table()
            names = [row["component"] for row in rows]
            # The first row is the full model's; the first component is what one wants to see.
            stays = at in names and not from_top
            cursor = names.index(at) if stays and at else min(1, len(rows) - 1)
            self.query_one("#components", Listing).show(looking.columns(width), rows, cursor)
        begin = f"{len(self.sources)} entries; Enter shows one, b puts one beside"
        what = looking.what(self.reader.asked.split) or begin
        chosen = "" if view == "runs" else looking.chosen(view == "map")
        self.query_one(TopLines).show(view, what, chosen)

    # Keys and mouse.

    def action_look(self, view: str) -> None:
        """Go to one of the three views."""
        if view != "runs" and self.looking.shown is None:
            return
        name = self._under_cursor()
        self.query_one(ContentSwitcher).current = view
        self._draw()
        if name is not None and view == "map":
            self.query_one(HeatMap).go_to(name)
        self.refresh_bindings()
        self._focus()

    def action_next_view(self) -> None:
        """Go to the view behind this one."""
        if not self._asking:
            names = list(VIEWS)
            self.action_look(names[(names.index(self.current) + 1) % len(names)])

    def action_ask(self, what: str) -> None:
        """Type what to look for, or which layers."""
        if self.looking.shown is None or self.current == "runs":
            return
        self._asking = what
        line, now = self.query_one("#ask", Input), self.looking.filter
        line.placeholder = ASKED[what]
        line.value = now.text if what == "find" else now.spelled_layers
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter with every letter."""
        if self._asking == "find":
            self._filter(text=event.value)
        elif self._asking == "layers":
            try:
                self._filter(layers=tuple(number_spans(event.value)))
            except ValueError:  # not typed to its end
                return

    def on_input_submitted(self) -> None:
        """Back to what is filtered."""
        self._asking = ""
        self.query_one("#ask").display = False
        self._focus()

    def action_cycle(self, what: str) -> None:
        """Show the next kind or category alone, and after the last all."""
        if self.looking.shown is not None:
            there = (kinds_of if what == "kind" else categories_of)(self.looking.shown.rows)
            self._filter(**{what: next_of(there, getattr(self.looking.filter, what))})

    def action_clear(self) -> None:
        """Leave the line that is typed in; else show everything; else put nothing beside."""
        if self._asking:
            self.on_input_submitted()
        elif self.looking.filter != Filter():
            self.looking.filter = Filter()
            self._draw()
        else:
            self.looking.alone()
            self._draw()

    def _filter(self, **changes: Any) -> None:
        self.looking.filter = replace(self.looking.filter, **changes)
        self._draw()

    def action_sort(self, step: int) -> None:
        """Sort by the next column, or by the one before."""
        keys = [column.key for column in self.query_one("#components", Listing).columns]
        if keys:
            at = keys.index(self.looking.by) if self.looking.by in keys else 0
            self._sort_by(keys[(at + step) % len(keys)])

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._sort_by(self.looking.by)

    def on_listing_heading(self, event: Listing.Heading) -> None:
        """A click on a heading sorts by it, a second one turns the order round."""
        if event.listing.id == "components":
            self._sort_by(event.key)

    def _sort_by(self, key: str) -> None:
        self.looking.sort_by(key)
        self._draw(from_top=True)

    def action_measure(self) -> None:
        """Show the next measure on the map."""
        self.looking.next_measure()
        self._draw()

    def action_put_beside(self) -> None:
        """Choose what stands beside; in the list, the entry under the cursor."""
        if self.current != "runs":
            self.action_look("runs")
            self.tell("b puts the entry under the cursor beside what is shown")
        elif self.looking.shown is None:
            self.tell("Enter shows an entry; b puts another beside it")
        else:
            self._read(self.sources[self.query_one("#runs", Listing).cursor], beside=True)

    def action_exchange(self) -> None:
        """What is beside is shown, and the other way round."""
        self.looking.exchange()
        self._draw()

    def action_help(self) -> None:
        """The keys, and what the columns say."""
        shown = self.looking.shown
        notes = [f"{note}." for note in self.notes]
        self.app.push_screen(HelpPage([*([shown.table.note] if shown else []), *notes]))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Enter, or a click on the row under the cursor."""
        if event.listing.id == "runs":
            self._read(self.sources[event.row["number"]], beside=False)
        else:
            self._open(event.row["component"])

    def on_heat_map_opened(self, event: HeatMap.Opened) -> None:
        """Enter on the map."""
        self._open(event.name)

    def on_heat_map_moved(self, event: HeatMap.Moved) -> None:
        """What is under the map's cursor is told below."""
        if self.current == "map":
            self.tell(self.looking.told(event.name))

    def on_top_lines_chosen(self, event: TopLines.Chosen) -> None:
        """A click on a view's name goes to it."""
        self.action_look(event.view)

    def _open(self, name: str) -> None:
        assert self.looking.shown is not None  # There is no row to open before.
        row, beside = self.looking.row(name)
        columns, source = self.looking.shown.table.columns, self.looking.shown.source
        what = " | ".join(self.looking.names())
        page = ComponentPage(columns, row, beside, what, self._step, self.action_help)
        self.app.push_screen(page)
        work = partial(self._examples_in_thread, page, source)
        self.run_worker(work, thread=True, exclusive=True, group="examples")

    def _step(self, name: str, by: int) -> None:
        """From one component's page to that of a neighbour in the table."""
        names = [row["component"] for row in self.looking.table()]
        if name in names:
            self.app.pop_screen()
            self._open(names[(names.index(name) + by) % len(names)])

    def _under_cursor(self) -> str | None:
        """The component under the cursor of the view that is on the screen."""
        if self.current == "map":
            return self.query_one(HeatMap).under_cursor
        row = self.query_one("#components", Listing).under_cursor
        return None if row is None else str(row["component"])

    def _focus(self) -> None:
        self.query_one(f"#{self.current}").focus()

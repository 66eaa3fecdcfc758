"""The page of one component: its statistics, and the rows it is most for and most against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from compread.views.browse.listing import Listing
from compread.views.browse.reading import Example
from compread.views.rank import decimals
from compread.views.tables import Column, Row, Table
from compread.views.terminal import fit

EXAMPLES = (
    Column("difference", "logit\ndifference"),
    Column("prediction", "says", justify="left", shorten="end"),
    Column("gold", "right", justify="left", shorten="end"),
    Column("id", "row", justify="left", shorten="end"),
)
RUN = Column("run", justify="left", shorten="end")
UNSHOWN = ("rank", "component", "kind", "layer", "head")
"""Columns of the table that the title says."""


class ComponentPage(Screen[None]):
    """One component of what is shown, and of what stands beside it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "app.pop_screen", "back", key_display="Esc"),
        Binding("n", "step(1)", "next"),
        Binding("p", "step(-1)", "previous"),
        Binding("question_mark", "help", "help", key_display="?"),
    ]

    def __init__(
        self,
        columns: Sequence[Column],
        row: Row,
        beside: Row | None,
        what: str,
        step: Callable[[str, int], None],
        show_help: Callable[[], None],
    ) -> None:
        """The statistics are the columns of a row.

        Args:
            columns: of the table of components.
            row: the component's.
            beside: its row in what stands beside, if anything does.
            what: whose numbers they are.
            step: opens the component so many rows behind one of this name.
            show_help: opens the page of keys.
        """
        super().__init__()
        self._columns, self._row, self._beside, self._what = columns, row, beside, what
        self._step, self._show_help = step, show_help

    @property
    def component(self) -> str:
        """Its name."""
        return str(self._row["component"])

    def compose(self) -> ComposeResult:
        """A title, the statistics, the rows, the text of the row under the cursor."""
        kind = "" if self._row["kind"] == "model" else f", {self._row['kind']}"
        layer = "" if self._row["layer"] is None else f" in layer {self._row['layer']}"
        yield Static(Text(f"{self.component}{kind}{layer}: {self._what}"), classes="title")
        yield VerticalScroll(Static(self._statistics()), id="statistics")
        yield Static("reading its rows ...", id="rows-title", classes="title")
        yield Listing("examples")
        yield Static("", id="text")
        yield Footer()

    def on_mount(self) -> None:
        """The rows have the keyboard."""
        self.query_one("#examples").focus()

    def show_examples(self, examples: Sequence[Example]) -> None:
        """The rows, once they are read."""
        title = "Rows it is most for, then those it is most against (? says how that is told)"
        self.query_one("#rows-title", Static).update(Text(title))
        digits = decimals([example.difference for example in examples])
        first = replace(EXAMPLES[0], format=f"+.{digits}f")
        columns = [first, *EXAMPLES[1:]]
        if len({e.run for e in examples}) > 1:
            columns.append(RUN)
        rows = [asdict(example) for example in examples]
        self.query_one(Listing).show(fit(Table(columns, [rows]), self.size.width - 2), rows)

    def tell(self, message: str) -> None:
        """Say why there are no rows."""
        self.query_one("#rows-title", Static).update(Text(message))

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """The whole of the row under the cursor."""
        row = event.row
        said = f"{row['id']}: says {row['prediction']!r}, right is {row['gold']!r}"
        text = f"{said}\n{row['text']}" if row["text"] else said
        self.query_one("#text", Static).update(Text(text))

    def action_step(self, by: int) -> None:
        """Go to a neighbour in the table's order."""
        self._step(self.component, by)

    def action_help(self) -> None:
        """The keys, and what the columns say."""
        self._show_help()

    def _statistics(self) -> Text:
        """A line a column of the table, with what stands beside."""
        shown = [c for c in self._columns if c.key not in UNSHOWN and c.cell(self._row)]
        cells = [(c.one_line, c.cell(self._row)) for c in shown]
        if self._beside is None:
            half = (len(cells) + 1) // 2
            left, right = _aligned(cells[:half]), [*_aligned(cells[half:]), ""]
            wide = max(map(len, left)) + 3
            return Text("\n".join(f"{a:<{wide}}{b}" for a, b in zip(left, right, strict=False)))
        lines = _aligned(cells)
        wide = max(map(len, lines))
        beside = [c.cell(self._beside) for c in shown]
        return Text("\n".join(f"{a:<{wide}} | {b}" for a, b in zip(lines, beside, strict=True)))


def _aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Names and what they are, one below the other."""
    wide = max(len(name) for name, _ in pairs)
    return [f"{name:<{wide}}  {value}" for name, value in pairs]

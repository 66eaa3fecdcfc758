"""The keys, and how the columns are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = """\
1 2 3, Tab     components, map of layers and heads, runs
arrows, mouse  move; the wheel, PgUp and PgDn scroll
Enter          open the component; in the runs, show the entry
/              find: part of a name, or a pattern such as L3H*
k  c  l        only this kind, only this category, only these layers
Esc            everything again; back from a page
s  <  >        sort by the next, the previous, the next column
r              turn the order round; a click on a heading sorts too
m              another measure on the map
b  x           put an entry of the runs beside; exchange the two
n  p           on a component's page: the next, the previous one
q              quit, or back from a page
"""
READING = (
    "The map's digits go from 0, low, to 9, high; the line above it has the ends. A dot is a "
    "component that the filter leaves out. The number under the cursor is told below.",
    "A component's page lists rows by its logit difference: its logit of the right label less that "
    "of the label that the full model finds the likeliest of the wrong ones; of answers that are "
    "whole texts it is log p. The differences of all components add up to the full model's margin.",
)
"""How the map and a component's page are read."""


class HelpPage(ModalScreen[None]):
    """A page over the screen, closed by any of the keys that leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "app.pop_screen", "back")
    ]

    def __init__(self, notes: Sequence[str]) -> None:
        """With what the table's columns mean, and what is to be known of the stores."""
        super().__init__()
        self._notes = notes

    def compose(self) -> ComposeResult:
        """The keys, then the note."""
        with VerticalScroll(id="help"):
            yield Static(Text(KEYS))
            for note in (*READING, *self._notes):
                yield Static(Text(f"{note}\n"))
            yield Static(Text("Esc goes back.", style="bold"))

    def on_mount(self) -> None:
        """The arrows scroll."""
        self.query_one("#help").focus()

"""The lines on top of the screen: the three views, what is looked at, how it is picked."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

VIEWS = {"components": "Components", "map": "Map", "runs": "Runs"}
"""The three, in the order of their keys, by what they are called."""
_AROUND = 6
"""Columns of a view's name in the line beside the name itself."""


class TopLines(Vertical):
    """Three lines; a click on a view's name goes to it."""

    class Chosen(Message):
        """A view's name was clicked on."""

        def __init__(self, view: str) -> None:
            """Which of ``VIEWS``."""
            super().__init__()
            self.view = view

    def compose(self) -> ComposeResult:
        """A line each."""
        yield Static(id="views")
        yield Static(id="what", classes="title")
        yield Static(id="filter")

    def show(self, view: str, what: str, chosen: str) -> None:
        """Say which view is on the screen, what is looked at, and what of it."""
        names = Text()
        for key, (name, title) in enumerate(VIEWS.items(), 1):
            style = "reverse bold" if name == view else "bold"
            names.append(f" {key} {title} ", style).append("  ")
        self.query_one("#views", Static).update(names.append("? help   q quit"))
        self.query_one("#what", Static).update(Text(what))
        self.query_one("#filter", Static).update(Text(chosen))

    def on_click(self, event: events.Click) -> None:
        """Find the view whose name is under the mouse."""
        if getattr(event.widget, "id", "") != "views":
            return
        end = 0
        for view, title in VIEWS.items():
            end += len(title) + _AROUND
            if event.x < end:
                self.post_message(self.Chosen(view))
                return

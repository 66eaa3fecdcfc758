"""The application: the terminal's own colours, its keys, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from compread.views.browse.main import MainScreen
from compread.views.browse.reading import Asked
from compread.views.browse.sources import Source

THEMES = ("ansi-dark", "textual-ansi")
"""The terminal's own colours, by the names that newer and older Textuals have for them."""


class Viewer(App[None]):
    """Looks at stores; reads a store when it is chosen, and writes nothing."""

    CSS_PATH = "browse.tcss"
    ENABLE_COMMAND_PALETTE = False  # It has an entry that writes a file.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(self, found: Sequence[Source], asked: Asked, notes: Sequence[str] = ()) -> None:
        """Look at some sources; ``notes`` are what a reader must know of them."""
        super().__init__(ansi_color=True)
        self.main = MainScreen(found, asked, notes)

    def get_default_screen(self) -> Screen[None]:
        """The one that the others lie over."""
        return self.main

    def on_mount(self) -> None:
        """Take the terminal's colours, and end in order when told to."""
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, self.exit, None, 128 + signal.SIGTERM)
        self.theme = next(name for name in THEMES if name in self.available_themes)

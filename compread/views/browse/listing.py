"""A table of any length under a cursor: of its lines, only those on the screen are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from compread.views.tables import Column, Row

BOLD, CURSOR = Style(bold=True), Style(reverse=True)


class Listing(ScrollView, can_focus=True):
    """Rows under headings that stay; the arrows or the mouse move, Enter chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-999999999)", show=False),
        Binding("end", "move(999999999)", show=False),
        Binding("left", "scroll_left", show=False),
        Binding("right", "scroll_right", show=False),
        Binding("enter", "choose", show=False),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        listing: Listing
        row: Row

    @dataclass
    class Chosen(Message):
        """Enter, or a click on the row under the cursor."""

        listing: Listing
        row: Row

    @dataclass
    class Heading(Message):
        """A click on a heading."""

        listing: Listing
        key: str

    def __init__(self, id: str, pinned: int = 0) -> None:
        """Empty until ``show``; the first ``pinned`` rows stay below the headings."""
        super().__init__(id=id)
        self.pinned, self.cursor = pinned, 0
        self.columns: dict[Column, int] = {}
        self.rows: Sequence[Row] = ()
        self._head: list[str] = []

    def show(self, columns: dict[Column, int], rows: Sequence[Row], cursor: int = 0) -> None:
        """Other rows, of columns with their widths; the cursor on one of them."""
        self.columns, self.rows = columns, rows
        # As rich does, the titles begin on one line.
        titles = (column.title.split("\n") for column in columns)
        self._head = [self._line(line) for line in zip_longest(*titles, fillvalue="")]
        width = sum(columns.values()) + len(columns)
        self.virtual_size = Size(width, len(self._head) + len(rows))
        self.cursor = cursor
        self.action_move(0)

    @property
    def under_cursor(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def action_move(self, by: int) -> None:
        """Move the cursor, as far as there are rows, and the rows under it."""
        self.cursor = max(0, min(self.cursor + by, len(self.rows) - 1))
        room = self._room()
        at = self.cursor - self.pinned
        if at >= 0 or by:  # a click on a pinned row leaves the others where they are
            top = max(min(self.scroll_offset.y, max(0, at)), at - room + 1)
            if top != self.scroll_offset.y:
                self.scroll_to(y=top, animate=False)
        self.refresh()
        if (row := self.under_cursor) is not None:
            self.post_message(self.Moved(self, row))

    def action_page(self, by: int) -> None:
        """Move by what is on the screen."""
        self.action_move(by * max(1, self._room() - 1))

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if (row := self.under_cursor) is not None:
            self.post_message(self.Chosen(self, row))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; on the cursor itself, choose; tell of a heading."""
        if event.y < len(self._head):
            place = event.x + self.scroll_offset.x
            for column, width in self.columns.items():
                place -= width + 1
                if place < 0:
                    self.post_message(self.Heading(self, column.key))
                    return
        elif (at := self._row_at(event.y)) is not None:
            if at == self.cursor:
                self.action_choose()
            self.cursor = at
            self.action_move(0)

    def render_line(self, y: int) -> Strip:
        """A heading, or a row."""
        if y < len(self._head):
            text, style = self._head[y], BOLD
        elif (at := self._row_at(y)) is not None:
            row = self.rows[at]
            text = self._line([column.cell(row) for column in self.columns])
            style = CURSOR if at == self.cursor else BOLD if at < self.pinned else Style()
        else:
            return Strip.blank(self.size.width)
        x, width = self.scroll_offset.x, self.size.width
        line = Strip([Segment(set_cell_size(text, max(cell_len(text), x + width)), style)])
        return line.crop(x, x + width)

    def _room(self) -> int:
        """The lines for rows, without the scrollbar's, which ``size`` has in it."""
        lines = self.scrollable_content_region.height
        return max(1, lines - len(self._head) - self.pinned)

    def _row_at(self, y: int) -> int | None:
        """Which row is on a line of the screen."""
        at = y - len(self._head)
        at += self.scroll_offset.y if at >= self.pinned else 0
        return at if 0 <= at < len(self.rows) else None

    def _line(self, cells: Sequence[str]) -> str:
        sized = []
        for (column, width), cell in zip(self.columns.items(), cells, strict=True):
            blanks = " " * max(0, width - cell_len(cell))
            text = blanks + cell if column.justify == "right" else cell
            sized.append(set_cell_size(text, width + 1))
        return "".join(sized)

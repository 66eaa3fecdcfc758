"""A table for the terminal: light rules, and never wider than it may be.

Laid out by hand rather than with rich, which takes as long to import as a store takes to read.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from unicodedata import combining, east_asian_width

from compread.views.tables import Column, Table

SHORTEST = 12
"""Characters that a shortened text keeps."""
NARROWEST = 6
"""Characters that a wrapped column keeps."""
ELLIPSIS = "..."
BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def to_terminal(table: Table, width: int = 80, color: bool = False) -> str:
    """The table as lines of at most ``width`` characters.

    A table that is too wide is set tighter, then has its long texts shortened, then loses the
    columns that may be dropped, and at last wraps its cells; what was left out is said below it.
    """
    columns, widths, gap = fit(table, width)

    def lines(cells: Sequence[str], bottom: bool = False) -> list[str]:
        return _lines(cells, columns, widths, gap, bottom)

    def styled(line: str, style: str) -> str:
        return f"{style}{line}{PLAIN}" if color else line

    rule = styled("-" * (sum(widths) + gap * (len(columns) - 1)), DIM)
    out = [styled(line, BOLD) for line in textwrap.wrap(table.title, width)]
    out += [styled(line, BOLD) for line in lines([c.title for c in columns], bottom=True)]
    for block in table.blocks:
        out += [rule] if block else []
        for row in block:
            cells = [
                shorten(c.cell(row), w, c.shorten) for c, w in zip(columns, widths, strict=True)
            ]
            out += lines(cells)
    note = (table.note + _left_out(table.columns, columns)).strip()
    out += ["", *textwrap.wrap(note, width)] if note else []
    return "\n".join(out) + "\n"


def fit(table: Table, width: int) -> tuple[list[Column], list[int], int]:
    """The columns that stay, the width of each, and the gap between two."""
    columns = list(table.columns)
    natural = {column.key: _natural_width(table, column) for column in columns}
    while True:
        widths = [natural[column.key] for column in columns]
        for gap in (2, 1):
            if sum(widths) + gap * (len(columns) - 1) <= width:
                return columns, widths, gap
        room = width - (len(columns) - 1)
        sizes = zip(columns, widths, strict=True)
        shortened = _squeeze(widths, [SHORTEST if c.shorten else w for c, w in sizes], room)
        if sum(shortened) <= room:
            return columns, shortened, 1
        # The last of those that go first, so that what stays is the beginning.
        droppable = max(reversed(columns), key=lambda column: column.drop)
        if not droppable.drop:
            return columns, _squeeze(shortened, [min(w, NARROWEST) for w in widths], room), 1
        columns.remove(droppable)


def shorten(text: str, width: int, side: str | None) -> str:
    """``shorten("stores/sst2.h5", 10, "start")`` is ``"...sst2.h5"``."""
    if side is None or cell_width(text) <= width:
        return text
    while text and cell_width(text) > width - len(ELLIPSIS):
        text = text[1:] if side == "start" else text[:-1]
    return ELLIPSIS + text if side == "start" else text.rstrip() + ELLIPSIS


def cell_width(text: str) -> int:
    """How many columns of a terminal the text takes: 2 for each wide character."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(combining(c) > 0 for c in text)


def _lines(
    cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int], gap: int, bottom: bool
) -> list[str]:
    """One row's lines; cells that need fewer than the others stand on top, or at the bottom."""
    pieces = [_wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, pieces))
    if bottom:
        pieces = [[""] * (height - len(piece)) + piece for piece in pieces]
    joined = []
    for line in zip_longest(*pieces, fillvalue=""):
        padded = [
            " " * (w - cell_width(text)) + text
            if column.justify == "right"
            else text + " " * (w - cell_width(text))
            for text, column, w in zip(line, columns, widths, strict=True)
        ]
        joined.append((" " * gap).join(padded).rstrip())
    return joined


def _wrap(text: str, width: int) -> list[str]:
    """The text's lines, none wider than ``width``."""
    lines = []
    for line in text.split("\n"):
        fits = cell_width(line) <= width
        # Half the width always does where characters may be two columns wide.
        characters = width if line.isascii() else max(1, width // 2)
        lines += [line] if fits else textwrap.wrap(line, characters)
    return lines


def _natural_width(table: Table, column: Column) -> int:
    cells = (column.cell(row) for block in table.blocks for row in block)
    return max(map(cell_width, [*column.title.split("\n"), *cells]))


def _squeeze(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Take from the widest column, one at a time, until all fit or none has more to give."""
    widths = list(widths)
    while sum(widths) > room:
        slack = [w if w > low else 0 for w, low in zip(widths, least, strict=True)]
        if not any(slack):
            break
        widths[slack.index(max(slack))] -= 1
    return widths


def _left_out(columns: Sequence[Column], kept: Sequence[Column]) -> str:
    names = [c.title.replace("\n", " ") for c in columns if c not in kept]
    if not names:
        return ""
    return (
        f" Left out at this width: {', '.join(names)}; a wider terminal shows them, and so do "
        "the other formats."
    )

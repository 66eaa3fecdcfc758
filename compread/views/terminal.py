"""A table for the terminal: light rules, and never wider than it may be."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from compread.views.tables import Column, Table

SHORTEST = 12
ELLIPSIS = "..."
RULES = Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n", ascii=True)


def to_terminal(table: Table, width: int = 80, color: bool = False) -> str:
    """The table as lines of at most ``width`` characters.

    A table that is too wide is set tighter, then has its long texts shortened, then loses the
    columns that may be dropped; what was left out is said below it.
    """
    columns, widths, gap = fit(table, width)
    grid = _rich_table(table, columns, widths, gap)
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        legacy_windows=False,
    )
    console.print(grid)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    left_out = [
        column.title.replace("\n", " ") for column in table.columns if column not in columns
    ]
    note = table.note
    if left_out:
        note += (
            f" Left out at this width: {', '.join(left_out)}; a wider terminal shows them, and so "
            "do the other formats."
        )
    wrapped = ["", *textwrap.wrap(note, width)] if note else []
    title = textwrap.wrap(table.title, width)
    return "\n".join([*title, *lines, *wrapped]) + "\n"


def fit(table: Table, width: int) -> tuple[list[Column], list[int], int]:
    """The columns that stay, the width of each, and the gap between two."""
    columns = list(table.columns)
    natural = {column.key: _natural_width(table, column) for column in columns}
    while True:
        widths = [natural[column.key] for column in columns]
        for gap in (2, 1):
            if sum(widths) + gap * (len(columns) - 1) <= width:
                return columns, widths, gap
        excess = sum(widths) + len(columns) - 1 - width
        shortened = _shorten(columns, widths, excess)
        droppable = max(columns, key=lambda column: column.drop)
        if shortened is not None or not droppable.drop:
            return columns, shortened or widths, 1
        columns.remove(droppable)


def shorten(text: str, width: int, side: str | None) -> str:
    """``shorten("stores/sst2.h5", 10, "start")`` is ``"...sst2.h5"``."""
    if side is None or cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - len(ELLIPSIS):
        text = text[1:] if side == "start" else text[:-1]
    return ELLIPSIS + text if side == "start" else text.rstrip() + ELLIPSIS


def _natural_width(table: Table, column: Column) -> int:
    cells = (column.cell(row) for block in table.blocks for row in block)
    return max(map(cell_len, [*column.title.split("\n"), *cells]))


def _shorten(columns: Sequence[Column], widths: list[int], excess: int) -> list[int] | None:
    """Widths that save ``excess`` on the columns that may be shortened, or None."""
    shorter = list(widths)
    while excess > 0:
        slack = [w - SHORTEST if c.shorten else 0 for c, w in zip(columns, shorter, strict=True)]
        widest = max(range(len(slack)), key=slack.__getitem__)
        if slack[widest] <= 0:
            return None
        shorter[widest] -= 1
        excess -= 1
    return shorter


def _rich_table(table: Table, columns: list[Column], widths: list[int], gap: int) -> RichTable:
    # A box without walls still keeps one blank between two columns; padding adds the second.
    grid = RichTable(
        box=RULES,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        header_style="bold",
        border_style="dim",
    )
    for column, wide in zip(columns, widths, strict=True):
        header = Text(column.title, style="bold")
        grid.add_column(
            header, justify=column.justify, max_width=wide, vertical="top", overflow="fold"
        )
    for block in table.blocks:
        for row in block:
            cells = zip(columns, widths, strict=True)
            grid.add_row(*(Text(shorten(c.cell(row), wide, c.shorten)) for c, wide in cells))
        grid.add_section()
    return grid

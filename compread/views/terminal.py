"""A table for the terminal, laid out by rich: light rules, and never wider than it may be.

What rich lacks is in ``fit``: leaving columns out, and cutting a long text at its start. ``render``
imports this module only for a table, because rich takes as long to import as a store to read.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid

from compread.text import listed
from compread.views.fit import fit as fitted
from compread.views.fit import shorten as shortened_to
from compread.views.fit import shortened as shortened_apart
from compread.views.tables import Column, Table, told_apart, without_absent

SHORTEST = 12
"""Width that a shortened text keeps."""
LONGEST = 100
"""Width of a note at most: longer lines are hard to read."""
NAMED = 4
"""Columns without room that are named; the others are counted."""
RULES = "    \n    \n ── \n    \n ── \n    \n    \n    \n"
"""Lines under the header and between blocks, none elsewhere, in rich's notation."""


def to_terminal(
    table: Table, width: int = 80, color: bool = False, unicode: bool = True, chosen_by: str = ""
) -> str:
    """The table as lines of at most ``width`` columns.

    A table that is too wide is set tighter, then has its long texts shortened, then loses the
    columns that may be dropped, and at last wraps its cells between words; numbers and headings
    are never broken. What was left out is said below it, with what it can be chosen by, unless
    that is empty.
    """
    sizes = fit(table, width)
    gaps, room = len(sizes) - 1, width - sum(sizes.values())
    tight = room < 2 * gaps
    grid = Grid(
        box=Box(RULES if unicode else RULES.replace("─", "-")),
        show_edge=False,
        pad_edge=False,
        padding=(0, 0 if tight else 1, 0, 0),
        border_style="dim",
    )
    short = {c: shortened([c.cell(row) for block in table.blocks for row in block], size, c.shorten)
             for c, size in sizes.items() if c.shorten}  # fmt: skip
    least = {c: _least(c, size) for c, size in sizes.items()}
    for c, size in least.items():
        # Rich 13 adds the padding to it, in the last column too; where there is any, all has room.
        own = size if tight else None
        grid.add_column(c.title, justify=c.justify, overflow="fold", min_width=own)
    for block in table.blocks:
        for row in block:
            cells = ((c, c.cell(row)) for c in sizes)
            grid.add_row(*(short[c][text] if c in short else text for c, text in cells))
        grid.add_section()
    out = io.StringIO()
    console = _console(out, width, color)
    if table.title:
        console.print(table.title, style="bold")
    if sizes:
        # Columns that may not be dropped are shown, even where they need longer lines.
        console.print(grid, width=max(width, sum(least.values()) + gaps), crop=False)
    gone = [c for c in table.columns if c not in sizes] if chosen_by else []
    note = without_absent(table.note, table.columns, list(sizes))
    if note := (note + _left_out(gone, list(sizes), chosen_by)).strip():
        console.print(f"\n{note}", width=min(width, LONGEST))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def fit(table: Table, width: int) -> dict[Column, int]:
    """The columns that stay, and what each takes of the width with one blank between two."""
    sizes = fitted(table, width, cell_len, 1, SHORTEST)
    return {column: int(size) for column, size in sizes.items()}


def _least(column: Column, size: float) -> int:
    """What a column keeps where cells wrap: a number all, a text the longest word of its heading.

    Rich would break words and numbers.
    """
    words = max(map(cell_len, column.title.split()), default=1)
    return int(size) if column.justify == "right" else words


def shorten(text: str, width: float, side: str | None) -> str:
    """The text in at most ``width`` columns, cut at the side named."""
    return shortened_to(text, width, side, cell_len)


def shortened(texts: Sequence[str], width: float, side: str | None) -> dict[str, str]:
    """Each of a column's texts in at most ``width`` columns, those that differ still apart."""
    return shortened_apart(texts, width, side, cell_len)


def _console(out: io.StringIO, width: int, color: bool) -> Console:
    """A console that looks at its arguments alone, and takes ``[x]`` and ``:x:`` as they are."""
    return Console(
        file=out,
        width=width,
        color_system="standard" if color else None,
        force_terminal=color,
        force_jupyter=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )


def _left_out(columns: list[Column], kept: list[Column], chosen_by: str) -> str:
    """What the note says of columns without room; one is named by its key beside a namesake."""
    names = told_apart(columns, kept)
    return f" Not shown: {listed(names, NAMED)}; {chosen_by}." if names else ""

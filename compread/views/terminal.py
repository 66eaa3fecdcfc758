"""A table for the terminal, laid out by rich: light rules, and never wider than it may be.

What rich lacks is here: leaving columns out, and cutting a long text at its start. ``render``
imports this module only for a table, because rich takes as long to import as a store to read.
"""

from __future__ import annotations

import io

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid

from compread.text import printable
from compread.views.tables import Column, Table

SHORTEST = 12
"""Width that a shortened text keeps."""
LONGEST = 100
"""Width of a note at most: longer lines are hard to read."""
RULES = "    \n    \n ── \n    \n ── \n    \n    \n    \n"
"""Lines under the header and between blocks, none elsewhere, in rich's notation."""


def to_terminal(table: Table, width: int = 80, color: bool = False, unicode: bool = True) -> str:
    """The table as lines of at most ``width`` columns.

    A table that is too wide is set tighter, then has its long texts shortened, then loses the
    columns that may be dropped, and at last wraps its cells; what was left out is said below it.
    """
    sizes = fit(table, width)
    gaps, room = len(sizes) - 1, width - sum(sizes.values())
    grid = Grid(
        box=Box(RULES if unicode else RULES.replace("─", "-")),
        show_edge=False,
        pad_edge=False,
        padding=(0, 0 if gaps <= room < 2 * gaps else 1, 0, 0),
        border_style="dim",
    )
    for c in sizes:
        grid.add_column(c.title, justify=c.justify, overflow="fold")
    for block in table.blocks:
        for row in block:
            grid.add_row(*(shorten(c.cell(row), size, c.shorten) for c, size in sizes.items()))
        grid.add_section()
    out = io.StringIO()
    console = _console(out, width, color)
    if table.title:
        console.print(table.title, style="bold")
    if sizes:
        console.print(grid)
    if note := (
        table.note + _left_out([c for c in table.columns if c not in sizes], list(sizes))
    ).strip():
        console.print(f"\n{note}", width=min(width, LONGEST))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def fit(table: Table, width: int) -> dict[Column, int]:
    """The columns that stay, and what each takes of the width with one blank between two."""
    sizes = {column: _natural_width(table, column) for column in table.columns}
    spare = {c: max(0, size - SHORTEST) if c.shorten else 0 for c, size in sizes.items()}

    def excess() -> int:
        return sum(sizes.values()) + len(sizes) - 1 - width

    while excess() > sum(spare[c] for c in sizes) and any(c.drop for c in sizes):
        # The last of those that go first, so that what stays is the beginning.
        first = max(reversed(sizes), key=lambda c: c.drop)
        for c in [c for c in sizes if c == first or (c.group and c.group == first.group)]:
            del sizes[c]
    for c in sizes:
        sizes[c] -= max(0, min(excess(), spare[c]))
    return sizes


def shorten(text: str, width: int, side: str | None) -> str:
    """``shorten("stores/sst2.h5", 10, "start")`` is ``"...sst2.h5"``."""
    if side is None or cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 3:
        text = text[1:] if side == "start" else text[:-1]
    return f"...{text}" if side == "start" else f"{text.rstrip()}..."


def _natural_width(table: Table, column: Column) -> int:
    cells = (column.cell(row) for block in table.blocks for row in block)
    return max(map(cell_len, [*column.title.split("\n"), *cells]))


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


def _left_out(columns: list[Column], kept: list[Column]) -> str:
    """What the note says of columns without room; one is named by its key beside a namesake."""
    titles = [c.one_line for c in [*columns, *kept]]
    names = ", ".join(
        title if titles.count(title) == 1 else printable(c.key).replace("_", " ")
        for c, title in zip(columns, titles, strict=False)
    )
    more = "a wider terminal shows them, and so do the other formats."
    return f" Left out at this width: {names}; {more}" if names else ""

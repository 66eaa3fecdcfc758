"""Which columns of a table there is room for, whatever the unit: characters or points of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compread.text import base_names
from compread.views.tables import Column, Table

Measure = Callable[[str], float]
"""What a text takes: columns of a terminal, or points."""


def fit(
    table: Table, room: float, measure: Measure, gap: float, shortest: float
) -> dict[Column, float]:
    """The columns that stay, and what each takes of the room with a gap between two.

    Args:
        table: columns over rows.
        room: what the table may take.
        measure: what a text takes.
        gap: what there is between two columns.
        shortest: what a shortened text keeps.
    """
    sizes = {column: _natural(table, column, measure) for column in table.columns}
    spare = {c: max(0, size - shortest) if c.shorten else 0 for c, size in sizes.items()}

    def excess() -> float:
        return sum(sizes.values()) + gap * (len(sizes) - 1) - room

    while excess() > sum(spare[c] for c in sizes) and any(c.drop for c in sizes):
        # The last of those that go first, so that what stays is the beginning.
        first = max(reversed(sizes), key=lambda c: c.drop)
        for c in [c for c in sizes if c == first or (c.group and c.group == first.group)]:
            del sizes[c]
    for c in sizes:
        sizes[c] -= max(0, min(excess(), spare[c]))
    return sizes


def shorten(text: str, size: float, side: str | None, measure: Measure) -> str:
    """``shorten("stores/sst2.h5", 10, "start", len)`` is ``"...sst2.h5"``."""
    if side is None or measure(text) <= size:
        return text
    while text and measure(text) > size - measure("..."):
        text = text[1:] if side == "start" else text[:-1]
    return f"...{text}" if side == "start" else f"{text.rstrip()}..."


def shortened(
    texts: Sequence[str], size: float, side: str | None, measure: Measure
) -> dict[str, str]:
    """Each text in at most ``size``, cut so that those that differ still do, where they can.

    Paths keep their ends: they are cut at the start, else in the middle of their names.
    """
    different = list(dict.fromkeys(texts))
    first = {text: shorten(text, size, side, measure) for text in different}
    if side != "start" or len(set(first.values())) == len(different):
        return first
    names = base_names(different)
    for share in (0.0, 0.25, 0.5, 0.75):
        cut = {text: _cut_inside(names[text], size, share, measure) for text in different}
        if len(set(cut.values())) == len(different):
            return cut
    return first


def _cut_inside(text: str, size: float, share: float, measure: Measure) -> str:
    """The text with something left out behind this share of the room."""
    if measure(text) <= size:
        return text
    room = size - measure("...")
    head = ""
    while measure(head + text[len(head)]) <= share * room:
        head += text[len(head)]
    tail = text[len(head) :]
    while tail and measure(head) + measure(tail) > room:
        tail = tail[1:]
    return f"{head}...{tail}"


def _natural(table: Table, column: Column, measure: Measure) -> float:
    cells = (column.cell(row) for block in table.blocks for row in block)
    return max(map(measure, [*column.title.split("\n"), *cells]))

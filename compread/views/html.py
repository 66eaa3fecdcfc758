"""A result's tables as HTML, small and without styles of its own, as notebooks show them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from compread.views.tables import Column, Row, Table

RULE = ' style="border-top: 1px solid"'
"""Above the first row of every block but the first."""


def to_html(tables: Sequence[Table]) -> str:
    """The tables one below the other, every text escaped."""
    return "\n".join(map(_table, tables))


def _table(table: Table) -> str:
    head = "".join(_cell("th", column.one_line, column) for column in table.columns)
    lines = [
        _line(table.columns, row, RULE if number and not place else "")
        for number, block in enumerate(block for block in table.blocks if block)
        for place, row in enumerate(block)
    ]
    title = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    body = "\n".join(lines)
    return f"<table>{title}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>{note}"


def _line(columns: Sequence[Column], row: Row, style: str) -> str:
    return f"<tr{style}>{''.join(_cell('td', c.cell(row), c) for c in columns)}</tr>"


def _cell(tag: str, text: str, column: Column) -> str:
    return f'<{tag} style="text-align: {column.justify}">{escape(text)}</{tag}>'

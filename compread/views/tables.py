"""One result, many forms: a table for the terminal, Markdown, LaTeX, JSON and CSV.

A *document* is what a command found: a list of rows, or a dictionary whose values are lists of
rows. JSON and CSV carry the document whole, in full precision. A *view* is what people read: which
columns, in which order, rounded how. The terminal, Markdown and LaTeX show
the view.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from compread.options import FORMATS
from compread.text import json_text, printable

Row = Mapping[str, Any]
Document = Sequence[Row] | Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Column:
    """One column of a view.

    ``Column("accuracy", format=".3f").cell({"accuracy": 0.5})`` is ``"0.500"``.
    """

    key: str
    header: str = ""
    """The words on top, ``\\n`` between lines; the key where empty."""
    justify: Literal["left", "right"] = "right"
    format: str | Callable[[Row], str] = ""
    """A format specification such as ``.3f``, or a function of the whole row."""
    shorten: Literal["start", "end"] | None = None
    """Which side of a long text may be cut, down to 12 characters, so that the table fits."""
    drop: int = 0
    """Columns above 0 may be left out of a narrow terminal, the highest first."""
    group: str = ""
    """Columns of one group say little without one another, so they are left out together."""
    name: str = ""
    """The header in one line, where that is not its lines with a blank between."""

    def cell(self, row: Row) -> str:
        """The row's text in this column; empty for a missing value, None and NaN."""
        if callable(self.format):
            return printable(self.format(row))
        value = plain(row.get(self.key))
        return "" if value is None else printable(format(value, self.format))

    @property
    def title(self) -> str:
        """The header, or the key where there is none."""
        return printable(self.header or self.key, "\n")

    @property
    def one_line(self) -> str:
        """The header where there is one line for it."""
        return printable(self.name) if self.name else self.title.replace("\n", " ")


@dataclass(frozen=True)
class Table:
    """A view: columns over blocks of rows, the blocks set apart by a rule."""

    columns: Sequence[Column]
    blocks: Sequence[Sequence[Row]]
    title: str = ""
    """A line above the table."""
    note: str = ""
    """A paragraph below it, for what a reader must know and no column says."""


View = Sequence[Column] | Sequence[Table]


def render(
    document: Document,
    view: View,
    format: str = "table",
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
) -> str:
    """The document as text that ends in a line break.

    Args:
        document: a list of rows, or a dictionary of lists of rows.
        view: the tables to show, or the columns alone: then each list of the document is one
            table, titled with its key.
        format: ``table``, ``md``, ``latex``, ``json`` or ``csv``. JSON is the document itself, NaN
            as null, one row a line, its text escaped where it is not printable (``json_text``).
            CSV is RFC 4180 but for line ends without CR, None and NaN as empty fields, text as it
            is; a document of several lists is one table (``long_rows``).
        width: columns of the terminal; only ``table`` looks at it.
        color: whether ``table`` may use ANSI styles.
        unicode: whether the rules of ``table`` may be lines rather than hyphens.
    """
    if format == "json":
        return to_json(document)
    if format == "csv":
        return to_csv(document)
    tables = as_tables(document, view)
    if format == "md":
        return "\n".join(to_markdown(table) for table in tables)
    if format == "latex":
        from compread.views.latex import to_latex

        return "\n".join(to_latex(table) for table in tables)
    if format != "table":
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    from compread.views.terminal import to_terminal

    return "\n".join(to_terminal(table, width, color, unicode) for table in tables)


def as_tables(document: Document, view: View) -> list[Table]:
    """The view's tables, their texts printable; columns alone are laid over every list."""
    if view and isinstance(view[0], Table):
        tables = list(cast("Sequence[Table]", view))
    else:
        columns = cast("Sequence[Column]", view)
        named = document.items() if isinstance(document, Mapping) else [("", document)]
        tables = [Table(columns, [rows], title=name) for name, rows in named]
    return [
        replace(table, title=printable(table.title), note=printable(table.note, "\n"))
        for table in tables
    ]


def to_json(document: Document) -> str:
    """One JSON document, one row a line, so that ``grep`` and ``jq`` both work on it."""

    def text(value: Any) -> str:
        return json_text(plain(value))

    def rows_text(rows: Sequence[Row], indent: str) -> str:
        lines = (f"{indent}  {text(row)}" for row in rows)
        return "[\n" + ",\n".join(lines) + f"\n{indent}]" if rows else "[]"

    if not isinstance(document, Mapping):
        return rows_text(document, "") + "\n"
    lists = (f"  {text(name)}: {rows_text(rows, '  ')}" for name, rows in document.items())
    return "{\n" + ",\n".join(lists) + "\n}\n"


def to_csv(document: Document) -> str:
    """The document's rows under one header, or nothing without rows; see ``render``."""
    header, rows = long_rows(document)
    if not header:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_csv_field(row.get(key)) for key in header] for row in rows)
    return out.getvalue()


def long_rows(document: Document) -> tuple[list[str], list[Row]]:
    """The keys and rows of a document as one long table.

    Lists whose rows share their keys follow one another; where the keys differ the header is their
    union after a first column ``table``, which names the list.
    """
    lists = document if isinstance(document, Mapping) else {"": document}
    named = [(name, row) for name, of_name in lists.items() for row in of_name]
    header = list(dict.fromkeys(key for _, row in named for key in row))
    if any(set(row) != set(header) for _, row in named):
        return ["table", *header], [{"table": name, **row} for name, row in named]
    return header, [row for _, row in named]


def to_markdown(table: Table) -> str:
    """A GitHub table with every column, between its title and its note."""

    def line(cells: Sequence[str]) -> str:
        escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(escaped) + " |\n"

    rules = ["---:" if column.justify == "right" else "---" for column in table.columns]
    lines = [line([column.one_line for column in table.columns]), line(rules)]
    lines += [line([c.cell(row) for c in table.columns]) for block in table.blocks for row in block]
    title = f"**{table.title}**\n\n" if table.title else ""
    return title + "".join(lines) + (f"\n{table.note}\n" if table.note else "")


def plain(value: Any) -> Any:
    """The value in JSON's own types: NumPy scalars unwrapped, NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _csv_field(value: Any) -> Any:
    """A field that reads as it does in JSON, except that a string has no quotes."""
    value = plain(value)
    return value if value is None or isinstance(value, (str, float)) else json.dumps(value)

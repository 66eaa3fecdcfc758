"""One result, many forms: a table for the terminal, Markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from compread.errors import worded
from compread.text import json_text
from compread.views.latex import narrowed, to_latex
from compread.views.tables import (
    CHOSEN_BY,
    MORE,
    Document,
    Notes,
    Row,
    Table,
    View,
    as_tables,
    long_rows,
    plain,
    told_apart,
)

FORMATS = ("table", "json", "csv", "md", "latex", "parquet")
"""The forms of a result; Parquet is bytes, and so a file of its own (``parquet``)."""
DEFAULT_FORMAT = "table"


def render(
    document: Document,
    view: View,
    format: str = DEFAULT_FORMAT,
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
    notes: Notes = "brief",
    label: str = "",
    in_python: bool = False,
) -> str:
    """The document as text that ends in a line break.

    Args:
        document: a list of rows, or a dictionary of lists of rows.
        view: the tables to show, or the columns alone: then each list of the document is one
            table, titled with its key.
        format: ``table``, ``md``, ``latex``, ``json`` or ``csv``. JSON is the document itself, NaN
            as null, one row a line, its text escaped where it is not printable (``json_text``).
            CSV is RFC 4180 but for line ends without CR, None and NaN as empty fields, text as it
            is; of a document of several lists the first and those like it (``long_rows``).
        width: columns of the terminal; only ``table`` looks at it.
        color: whether ``table`` may use ANSI styles.
        unicode: whether the rules of ``table`` may be lines rather than hyphens.
        notes: how much stands below a table.
        label: LaTeX's name of the first table; those behind it are ``label-2`` and so on.
        in_python: whether what is said of columns left out names arguments and not options.

    Markdown and LaTeX have the columns that fit one of a paper's two (``narrowed``).
    """
    if format == "json":
        return to_json(document)
    if format == "csv":
        return to_csv(document)
    tables = [table.noted(notes) for table in as_tables(document, view)]
    told = notes != "none"
    chosen_by = worded(CHOSEN_BY, in_python=in_python) if told else ""
    if format in ("md", "latex"):
        return "\n".join(
            _on_paper(table, format, chosen_by, label and label + (f"-{n}" if n > 1 else ""))
            for n, table in enumerate(tables, 1)
        )
    if format != "table":
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    from compread.views.terminal import to_terminal

    return "\n".join(to_terminal(table, width, color, unicode, chosen_by) for table in tables)


def _on_paper(table: Table, format: str, chosen_by: str, label: str) -> str:
    """A table as Markdown or LaTeX, what it leaves out and by what one has that, if anything."""
    shown = narrowed(replace(table, note=_for_paper(table.note)))
    kept = {column.key for column in shown.columns}
    gone = [column for column in table.columns if column.key not in kept]
    left_out = ""
    if gone and chosen_by:
        names = ", ".join(told_apart(gone, shown.columns))
        left_out = f"left out: {names}; {chosen_by}"
    if format == "latex":
        return to_latex(shown, label, left_out)
    if left_out:
        left_out = f"{left_out[0].upper()}{left_out[1:]}."
    return to_markdown(replace(shown, note=f"{shown.note} {left_out}".strip()))


def _for_paper(note: str) -> str:
    """The note without the way to more of it."""
    for in_python in (False, True):
        note = note.replace(worded(MORE, in_python=in_python), "")
    return note


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


def to_markdown(table: Table) -> str:
    """A GitHub table between its title and its note."""

    def line(cells: Sequence[str]) -> str:
        escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(escaped) + " |\n"

    rules = ["---:" if column.justify == "right" else "---" for column in table.columns]
    lines = [line([column.one_line for column in table.columns]), line(rules)]
    lines += [line([c.cell(row) for c in table.columns]) for block in table.blocks for row in block]
    title = f"**{table.title}**\n\n" if table.title else ""
    if not table.columns:
        lines, title = [], title.removesuffix("\n")
    return title + "".join(lines) + (f"\n{table.note}\n" if table.note else "")


def _csv_field(value: Any) -> Any:
    """A field that reads as it does in JSON, except that a string has no quotes."""
    value = plain(value)
    return value if value is None or isinstance(value, (str, float)) else json.dumps(value)

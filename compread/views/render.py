"""One result, many forms: a table for the terminal, Markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from compread.text import json_text
from compread.views.tables import Document, Row, Table, View, as_tables, long_rows, plain

FORMATS = ("table", "json", "csv", "md", "latex", "parquet")
"""The forms of a result; Parquet is bytes, and so a file of its own (``parquet``)."""
DEFAULT_FORMAT = "table"
_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "−": "$-$", "×": r"$\times$",
}  # fmt: skip


def render(
    document: Document,
    view: View,
    format: str = DEFAULT_FORMAT,
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
        return "\n".join(to_latex(table) for table in tables)
    if format != "table":
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    from compread.views.terminal import to_terminal

    return "\n".join(to_terminal(table, width, color, unicode) for table in tables)


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
    """A GitHub table with every column, between its title and its note."""

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


def to_latex(table: Table) -> str:
    """A ``table`` environment in booktabs' style, every column in it.

    Blocks are apart by a rule, and the title is the caption.
    """
    if not table.columns:
        return "".join(f"{latex_escaped(text)}\n" for text in (table.title, table.note) if text)
    aligned = "".join("r" if column.justify == "right" else "l" for column in table.columns)
    head = " & ".join(latex_escaped(column.one_line) for column in table.columns)
    blocks = [
        "".join(
            " & ".join(latex_escaped(c.cell(row)) for c in table.columns) + " \\\\\n"
            for row in block
        )
        for block in table.blocks
        if block
    ]
    lines = ["\\begin{table}", "\\centering"]
    if table.title:
        lines.append(f"\\caption{{{latex_escaped(table.title)}}}")
    lines += [f"\\begin{{tabular}}{{{aligned}}}", "\\toprule", f"{head} \\\\", "\\midrule"]
    body = "\\midrule\n".join(blocks)
    end = ["\\bottomrule", "\\end{tabular}"]
    if table.note:
        end.append(f"\\par\\smallskip\\footnotesize {latex_escaped(table.note)}")
    return "\n".join(lines) + f"\n{body}" + "\n".join([*end, "\\end{table}"]) + "\n"


def latex_escaped(text: str) -> str:
    """The text with what LaTeX reads as commands spelt out, as a backslash before ``%``."""
    return "".join(_LATEX_ESCAPES.get(c, c) for c in text)


def _csv_field(value: Any) -> Any:
    """A field that reads as it does in JSON, except that a string has no quotes."""
    value = plain(value)
    return value if value is None or isinstance(value, (str, float)) else json.dumps(value)

"""What a result is, and what people see of it.

A *document* is what a command found: a list of rows, or a dictionary whose values are lists of
rows. JSON and CSV carry the document whole, in full precision. A *view* is what people read: which
columns, in which order, rounded how. The terminal, Markdown and LaTeX show the view; ``render``
makes the forms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from compread.errors import either, worded
from compread.options import NORMALIZATIONS
from compread.text import printable

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
    """A view: columns over blocks of rows, the blocks set apart by a rule.

    Without columns it is its title and its note alone.
    """

    columns: Sequence[Column]
    blocks: Sequence[Sequence[Row]]
    title: str = ""
    """A line above the table."""
    note: str = ""
    """A paragraph below it, for what a reader must know and no column says."""
    brief: str = ""
    """What stands below it unless the whole note is asked for; the note where empty."""
    line_a_row: Table | None = None
    """Where cells are made of several rows: the same in a line each, for those rows' columns."""

    def noted(self, notes: Notes) -> Table:
        """The table with as much below it as is asked for."""
        said = {"whole": self.note, "brief": self.brief or self.note, "none": ""}
        return replace(self, note=said[notes], brief="")


def told_apart(columns: Sequence[Column], others: Sequence[Column]) -> list[str]:
    """What heads each column, in a line; its key where one of the others has the same heading."""
    titles = [c.one_line for c in [*columns, *others]]
    return [
        title if titles.count(title) == 1 else printable(c.key).replace("_", " ")
        for c, title in zip(columns, titles, strict=False)
    ]


def without_absent(note: str, columns: Sequence[Column], shown: Sequence[Column]) -> str:
    """A note less its sentences on columns that are not shown.

    Such a sentence begins with their headings and a colon: ``q value: ...``.
    """
    kept = []
    for sentence in re.split(r"(?<=\.) ", note):
        named = re.match(r"([^:.;]+): ", sentence)
        subjects = named[1].split(", ") if named else []
        is_on = {name: any(_heads(name, c) for c in columns) for name in subjects}
        absent = all(is_on.values()) and not any(_heads(s, c) for s in subjects for c in shown)
        if not (subjects and absent):
            kept.append(sentence)
    return " ".join(kept)


def _heads(subject: str, column: Column) -> bool:
    """Whether a column's heading or key has these words."""
    words = f" {subject.lower()} "
    return any(
        words in f" {re.sub(r'[^a-z0-9]+', ' ', text.lower())} "
        for text in (column.one_line, column.key)
    )


MORE = either(" More: --explain.", " More: .to_text(explain=True).")
"""Ends a brief note."""
CHOSEN_BY = either("--columns has any", ".to_text(columns=...) has any")
"""How to have what a table leaves out."""
View = Sequence[Column] | Sequence[Table]
Notes = Literal["brief", "whole", "none"]
"""How much of its notes stands below a table."""


def as_tables(document: Document, view: View) -> list[Table]:
    """The view's tables, their texts printable; columns alone are laid over every list."""
    if view and isinstance(view[0], Table):
        tables = list(cast("Sequence[Table]", view))
    else:
        columns = cast("Sequence[Column]", view)
        named = document.items() if isinstance(document, Mapping) else [("", document)]
        tables = [Table(columns, [rows], title=name) for name, rows in named]
    return [
        replace(
            table,
            title=printable(table.title),
            note=printable(worded(table.note), "\n"),
            brief=printable(worded(table.brief), "\n"),
        )
        for table in tables
    ]


def long_rows(document: Document) -> tuple[list[str], list[Row]]:
    """The keys and rows of a document's one table, none of whose columns is empty by its making.

    It is the first list that has rows; lists with the same keys follow it, and then the first
    column, ``table``, names the list of each row.
    """
    together = _alike(document)
    rows = [row for of_name in together.values() for row in of_name]
    header = list(dict.fromkeys(key for row in rows for key in row))
    if len(together) < 2:
        return header, rows
    named: list[Row] = [
        {"table": name, **row} for name, of_name in together.items() for row in of_name
    ]
    return ["table", *header], named


def other_lists(document: Document) -> list[str]:
    """The names of the lists that ``long_rows`` leaves out."""
    lists = document if isinstance(document, Mapping) else {}
    return [name for name, rows in lists.items() if rows and name not in _alike(document)]


def _alike(document: Document) -> dict[str, Sequence[Row]]:
    """The first list that has rows, and those whose rows have its keys."""
    lists = document if isinstance(document, Mapping) else {"": document}
    keys = {name: {key for row in rows for key in row} for name, rows in lists.items() if rows}
    first = next(iter(keys.values()), None)
    return {name: lists[name] for name, of_name in keys.items() if of_name == first}


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


def normalized(how: str | None) -> str:
    """What a title says of answers that are made alike in length.

    ``, log p per token`` for ``tokens``, and nothing for ``none`` and None.
    """
    said = NORMALIZATIONS.get(how or "", "")
    return f", log p {said}" if said else ""

"""What the functions give back: lists of rows, as the commands' JSON has them, in many forms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar, overload

from compread.api.frames import library
from compread.errors import UsageError, option, told_in_python, worded
from compread.views.choose import Form, chosen
from compread.views.html import to_html
from compread.views.render import FORMATS, render
from compread.views.tables import Column, Document, Notes, Row, Table, as_tables, plain

Tables: TypeAlias = Sequence[Table]
R = TypeVar("R", bound="Result")


_TEXTS = [name for name in FORMATS if name != "parquet"]
"""The forms that are text."""


class Printed(ABC):
    """What ``Result`` and ``Results`` have in common: the command's tables as text."""

    @abstractmethod
    def _printed(self) -> tuple[Document, Tables]:
        """What the command would print, and its tables."""

    @told_in_python
    def to_text(
        self,
        format: str = "table",
        *,
        columns: str | Sequence[str] = (),
        caption: str = "",
        label: str = "",
        explain: bool = False,
        notes: bool = True,
        width: int = 80,
    ) -> str:
        """The tables as text: for a terminal, for Markdown or for LaTeX.

        Args:
            format: ``table``, ``md``, ``latex``, ``csv`` or ``json``.
            columns: the names of the columns wanted, in their order, such as
                ``"component,accuracy"``.
            caption: the first table's title.
            label: with ``latex``, LaTeX's name of the first table.
            explain: say below a table what each column means.
            notes: whether anything stands below a table.
            width: characters of a line of ``table``.

        Raises:
            UsageError: there is no such column or format, or the format has no place for a caption.
        """
        if format not in _TEXTS:
            there = ", ".join(_TEXTS)
            raise UsageError(f"{option('format', repr(format))}: expected one of {there}")
        names = tuple(columns.split(",") if isinstance(columns, str) and columns else columns)
        said: Notes = "none" if not notes else "whole" if explain else "brief"
        form = Form(format, names, caption, label, said)
        form.check()
        document, view = chosen(*self._printed(), form)
        return render(document, view, format, width=width, notes=said, label=label, in_python=True)


@dataclass(frozen=True, eq=False)
class Result(Printed, Sequence[Row]):
    """A list of rows, each a mapping of names to values, as in the command's JSON.

    ``print`` shows the table that the command prints, a notebook the same as HTML.
    """

    rows: tuple[Row, ...]
    _tables: Tables = ()
    """What people read: which columns, rounded how; empty: every column."""

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int) -> Row: ...

    @overload
    def __getitem__(self, key: slice) -> Sequence[Row]: ...

    def __getitem__(self, key: int | slice) -> Row | Sequence[Row]:
        return self.rows[key]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @told_in_python
    def to_pandas(self) -> Any:
        """A DataFrame with every column, in full precision.

        Raises:
            UsageError: pandas is not installed.
        """
        return library("pandas").DataFrame(list(self.rows))

    def __repr__(self) -> str:
        keys = list(self.rows[0]) if self.rows else []
        more = f", and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        return f"<{len(self)} rows of {', '.join(keys[:_NAMED])}{more}>" if keys else "<no rows>"

    def __str__(self) -> str:
        return render(self.rows, self._shown(), in_python=True) if self.rows else "no rows"

    def _printed(self) -> tuple[Document, Tables]:
        return self.rows, self._shown()

    def _repr_html_(self) -> str:
        return to_html(as_tables(self.rows, self._shown()))

    def _shown(self) -> Tables:
        if self._tables:
            return self._tables
        keys = dict.fromkeys(key for row in self.rows for key in row)
        return [Table([Column(key) for key in keys], [self.rows])]


_NAMED = 4
"""Columns that a ``repr`` names."""


@dataclass(frozen=True, eq=False, repr=False)
class ComponentResult(Result):
    """A row a component."""

    @told_in_python
    def to_xarray(self) -> Any:
        """A Dataset of every number over the dimension ``component``.

        Raises:
            UsageError: xarray is not installed.
        """
        names = [row["component"] for row in self.rows]
        columns = {key: [row[key] for row in self.rows] for key in self.rows[0]}
        numbers = {
            key: ("component", [float("nan") if v is None else float(v) for v in values])
            for key, values in columns.items()
            if all(v is None or isinstance(v, (int, float)) for v in values)
        }
        return library("xarray").Dataset(numbers, {"component": names})


@dataclass(frozen=True, eq=False)
class Results(Printed, Mapping[str, Result]):
    """Several lists of rows by their names, as in the command's JSON: ``results["runs"]``."""

    lists: Mapping[str, Result]
    _tables: Tables = ()
    """What people read of all of them together."""

    def __getitem__(self, name: str) -> Result:
        return self.lists[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.lists)

    def __len__(self) -> int:
        return len(self.lists)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} ({len(rows)})" for name, rows in self.lists.items())
        return f"<{type(self).__name__}: {told}>"

    def __str__(self) -> str:
        return render({}, self._tables, in_python=True)

    def _printed(self) -> tuple[Document, Tables]:
        return {name: one.rows for name, one in self.lists.items()}, self._tables

    def _repr_html_(self) -> str:
        return to_html(as_tables({}, self._tables))


def result_of(kind: type[R], rows: Iterable[Row], tables: Tables = ()) -> R:
    """The rows in JSON's own types, where NaN is None, and the tables that people read."""
    return kind(tuple(plain(row) for row in rows), in_python(tables))


def lists_of(document: Mapping[str, Iterable[Row]]) -> dict[str, Result]:
    """The lists of a command's document."""
    return {name: result_of(Result, rows) for name, rows in document.items()}


def in_python(tables: Tables) -> Tables:
    """The tables, whose notes name arguments and not options."""
    return [
        replace(
            table,
            note=worded(table.note, in_python=True),
            brief=worded(table.brief, in_python=True),
        )
        for table in tables
    ]

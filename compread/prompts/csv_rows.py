"""Rows of a CSV file as it is written: no cell is moved, dropped or spelt anew without a word."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.text import one_line

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?")
"""What is a number in a column of numbers; ``007`` is none."""
_LOGICAL = {"True": True, "False": False}
_LONGEST_CELL = 2**31 - 1
_OTHER_SEPARATORS = (";", "\t", "|")


def read_csv(file: Path) -> list[dict[str, Any]]:
    """The rows of a comma-separated file whose first line has the names; an empty cell is null.

    A column that holds numbers alone, or ``True`` and ``False`` alone, gives those; any other one
    gives texts as they stand.

    Raises:
        PromptError: unreadable, not UTF-8, no names, a name written twice, another separator, a
            row of more or fewer cells than names, or a quote that is not closed.
    """
    text = _text(file)
    _check_separator(text, file)
    lines = _records(text, file)
    _, names = next(lines, (0, []))
    _check_names(names, file)
    rows = []
    for line, cells in lines:
        # Spreadsheets write separators behind the last column.
        while len(cells) > len(names) and not cells[-1]:
            cells.pop()
        if len(cells) != len(names):
            raise PromptError(
                f"{file}, line {line}: a row of {len(cells)} cells, where the first line has "
                f"{len(names)} names; put quotes around a text that holds a comma"
            )
        rows.append(cells)
    columns = map(_values, zip(*rows, strict=True))
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PromptError(f"cannot read {file}: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PromptError(f"{file}, line {line}: not UTF-8 text; save the file as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise PromptError(f"{file}, line {line}: holds a NUL; it is no text, or a damaged one")
    return text


def _records(text: str, file: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the line that it ends in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        records = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise PromptError(
            f"{file}, line {reader.line_num}: not valid CSV: {one_line(error)}; a quote inside a "
            "quoted text is written twice"
        ) from error
    finally:
        csv.field_size_limit(before)
    return iter(records)


def _check_names(names: list[str], file: Path) -> None:
    if not names:
        raise PromptError(f"{file} is empty; expected a line of names, then rows")
    twice = next((name for n, name in enumerate(names) if name in names[:n]), None)
    if twice is not None:
        raise PromptError(f"{file}, line 1: two columns are called {twice!r}; rename one")


def _check_separator(text: str, file: Path) -> None:
    first = text.lstrip("\r\n").partition("\n")[0].rstrip("\r")
    other = next((mark for mark in _OTHER_SEPARATORS if mark in first), None)
    if other and "," not in first:
        raise PromptError(
            f"{file}, line 1: one name, {first[:80]!r}; separate cells by commas, not by {other!r}"
        )


def _values(cells: tuple[str, ...]) -> list[Any]:
    """A column's cells: numbers, truth values or texts, and null for an empty one."""
    there = [cell for cell in cells if cell]
    if all(cell in _LOGICAL for cell in there):
        return [_LOGICAL.get(cell) for cell in cells]
    if all(_NUMBER.fullmatch(cell) for cell in there):
        return [_number(cell) if cell else None for cell in cells]
    return [cell or None for cell in cells]


def _number(cell: str) -> int | float:
    return float(cell) if "." in cell else int(cell)

"""Parsing JSON Lines, with the line number in every message."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from compread.errors import PromptError

_NOT_UTF8 = "not UTF-8 text; save the file as UTF-8"


def parse_json_lines(data: bytes, name: str) -> list[tuple[int, dict[str, Any]]]:
    r"""The objects of a JSON Lines file and the line each stands on (from 1).

    ``parse_json_lines(b'{"a": 1}\n\n{"a": 2}\n', "f")`` is ``[(1, {"a": 1}), (3, {"a": 2})]``.

    Raises:
        PromptError: not UTF-8, or a line that is not one JSON object of valid text.
    """
    try:
        # Only "\n" ends a row: str.splitlines would also cut at U+2028 inside a text.
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise PromptError(f"{name}, line {number}: {_NOT_UTF8}") from error
    return [
        (n, parse_json_line(line, f"{name}, line {n}"))
        for n, line in enumerate(lines, 1)
        if line.strip()
    ]


def parse_json_line(line: str, where: str) -> dict[str, Any]:
    """The object of one line; ``where`` begins the message.

    Raises:
        PromptError: it is not one JSON object of valid text.
    """
    try:
        row = json.loads(line)
        if "\\u" in line:  # JSON can spell half a surrogate pair, which no text file can hold
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"{where}: half a surrogate pair, {line[:40]!r}; repair it") from error
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{where}: not valid JSON: {error}; repair the line") from error
    if not isinstance(row, dict):
        raise PromptError(f"{where}: {line[:40]!r} is not a JSON object; put {{...}} on the line")
    return row


def named_rows(lines: Iterable[bytes], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of JSON Lines with what each is called (``row_id``), read as they are needed.

    Raises:
        PromptError: as in ``parse_json_lines`` and ``row_id``; the rows before come first.
    """
    for number, line in enumerate(lines, 1):
        where = f"{name}, line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise PromptError(f"{where}: {_NOT_UTF8}") from error
        if text.strip():
            row = parse_json_line(text, where)
            yield row_id(row, number - 1, where), row


def row_id(row: Mapping[str, Any], number: int, where: str) -> str:
    """What a row is called: its ``id``, or its number where it has none.

    Raises:
        PromptError: the id is neither a string nor a whole number, or is empty.
    """
    value = row.get("id")
    return str(number) if value is None else as_id(value, where)


def as_id(value: object, where: str, field: str = "id") -> str:
    """What a row is called by the value of a field.

    Raises:
        PromptError: it is neither a string nor a whole number, or is empty.
    """
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise PromptError(f"{where}: {field} must be a string or a whole number, got {value!r:.60}")
    return str(value)

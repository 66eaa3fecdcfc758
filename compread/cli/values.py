"""Values that options spell as lists."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compread.errors import UsageError
from compread.text import number_spans


def path(text: str) -> Path:
    """A path that an option names; ``~`` is the home, also where no shell has said so.

    Raises:
        UsageError: it is empty, which would be the working folder.
    """
    if not text:
        raise UsageError("a path is empty: expected that of a file or folder; . is this folder")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user, so it is a name like others
        return Path(text)


PATH: dict[str, Any] = {"parser": path, "metavar": "PATH"}
"""What an option for a path is made with."""


def comma_list(values: Iterable[str]) -> list[str]:
    """``["a,b", "c"]`` -> ``["a", "b", "c"]``."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def number_ranges(option: str, text: str) -> list[int]:
    """``"0-2,5"`` -> ``[0, 1, 2, 5]``.

    Raises:
        UsageError: something else than numbers and ranges.
    """
    try:
        spans = number_spans(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error
    if not spans:
        raise UsageError(f"{option} is empty: expected numbers and ranges, such as 0-4 or 0,2")
    return list(dict.fromkeys(number for span in spans for number in span))

"""Values that options spell as lists."""

from __future__ import annotations

from collections.abc import Iterable

from compread.errors import UsageError


def comma_list(values: Iterable[str]) -> list[str]:
    """``["a,b", "c"]`` -> ``["a", "b", "c"]``."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def number_ranges(option: str, text: str) -> list[int]:
    """``"0-2,5"`` -> ``[0, 1, 2, 5]``.

    Raises:
        UsageError: something else than numbers and ranges.
    """
    numbers: list[int] = []
    for part in comma_list([text]):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"{option} {text}: expected numbers and ranges, such as 0-4 or 0,2")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            raise UsageError(f"{option} {text}: {part} counts down; write {last}-{first}")
        numbers += span
    if not numbers:
        raise UsageError(f"{option} is empty: expected numbers and ranges, such as 0-4 or 0,2")
    return list(dict.fromkeys(numbers))

"""Rows without content: what a model says to them is its bias, not an answer.

For contextual calibration (Zhao et al. 2021) every text of a row is "N/A", empty or "[MASK]"; for
domain-context calibration (Fei et al. 2023) it is a random bag of words of the task's own train
rows, as long as their texts are on average. A row keeps its shape: where a task's field is a list
of choices it stays a list of as many, and letters that name choices stay.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

CONTENT_FREE = ("N/A", "", "[MASK]")
BAGS = 20
"""Bags of words."""
NAME_LENGTH = 2
"""Characters of a choice's letter at most."""
SAMPLE = 1000
"""Train rows that words are taken from."""

Row = Mapping[str, Any]
Path = tuple[str, ...]


def content_free_rows(
    rows: Sequence[Row], fields: Sequence[str], seed: str
) -> Iterator[tuple[str, Row]]:
    """``content-free-0`` to ``-2`` and ``domain-0`` to ``-19``, each with its row.

    Args:
        rows: train rows; the first gives the shape.
        fields: the fields that are texts to the template.
        seed: fixes the bags of words.
    """
    sample = rows[:SAMPLE]
    for number, text in enumerate(CONTENT_FREE):
        yield f"content-free-{number}", _with_texts(sample[0], fields, partial(_always, text))
    words: dict[Path, list[str]] = {}
    counts: dict[Path, list[int]] = {}
    for row in sample:
        for field in fields:
            for path, text in _texts(row.get(field), (field,)):
                words.setdefault(path, []).extend(text.split())
                counts.setdefault(path, []).append(len(text.split()))
    chance = random.Random(seed)

    def bag(path: Path) -> str:
        length = max(1, round(sum(counts[path]) / len(counts[path])))
        return " ".join(chance.choice(words[path] or [""]) for _ in range(length))

    for number in range(BAGS):
        yield f"domain-{number}", _with_texts(sample[0], fields, bag)


def _always(text: str, path: Path) -> str:
    return text


def _with_texts(row: Row, fields: Sequence[str], text: Callable[[Path], str]) -> Row:
    changed = {field: _replaced(row[field], (field,), text) for field in fields if field in row}
    return {**row, **changed}


def _replaced(value: Any, path: Path, text: Callable[[Path], str]) -> Any:
    if isinstance(value, str):
        return text(path)
    if isinstance(value, Mapping):
        return {key: _replaced(item, (*path, key), text) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(value) if _names(value) else [_replaced(item, path, text) for item in value]
    return value


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts that ``_replaced`` replaces, items of a list under one path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list | tuple) and not _names(value):
        for item in value:
            yield from _texts(item, path)


def _names(items: Sequence[Any]) -> bool:
    """Whether a list holds the letters of choices."""
    return all(isinstance(item, str) and len(item) <= NAME_LENGTH for item in items)

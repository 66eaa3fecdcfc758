"""A prompt set from a JSON Lines file of the user's own.

    {"prompt": "...", "label": " positive", "options": [" negative", " positive"],
     "split": "test", "id": "17"}

``options`` may be given for the whole file instead; ``split`` is ``test`` and ``id`` the row's
number (from 0) where they are left out. Other keys are ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.prompts.json_lines import parse_json_lines
from compread.prompts.sets import Prompt, PromptSet

SPLITS = ("train", "test")


@dataclass(frozen=True)
class _Line:
    """One row and where it stands, for its messages."""

    name: str
    number: int
    row: dict[str, Any]

    def error(self, what: str) -> PromptError:
        return PromptError(f"{self.name}, line {self.number}: {what}")

    def text(self, key: str) -> str:
        value = self.row.get(key)
        if value is None:
            raise self.error(f"{key!r} is missing; the row has {', '.join(map(repr, self.row))}")
        if not isinstance(value, str) or not value:
            raise self.error(f"{key!r} is {value!r}, not a text of one character or more")
        return value

    def check_no_null(self, key: str, value: str) -> None:
        """HDF5 ends a text at a null character."""
        if "\0" in value:
            raise self.error(f"{key!r} holds a null character: {value!r}")


def read_prompt_file(path: str | Path, labels: Sequence[str] | None = None) -> PromptSet:
    """Read a prompt set; ``-`` is standard input.

    Args:
        path: JSON Lines file; its stem is the task's name.
        labels: options of every row, in column order, for a file whose rows have none.

    Raises:
        PromptError: the file is missing, empty, not UTF-8, or has a row that cannot be used; the
            message names the file and the line.
    """
    name = "standard input" if str(path) == "-" else str(path)
    options: tuple[str, ...] | None = None
    if labels is not None:
        options = _checked_options(_Line(name, 0, {}), list(labels))
    rows: dict[tuple[str, str], Prompt] = {}
    for index, line in enumerate(_lines(path, name)):
        options = _options(line, options, given=labels is not None)
        prompt = _prompt(line, index, options)
        if (prompt.split, prompt.id) in rows:
            raise line.error(f"id {prompt.id!r} stands twice in split {prompt.split!r}")
        rows[prompt.split, prompt.id] = prompt
    if options is None or not rows:
        raise PromptError(f"{name} has no rows: give one JSON object a line")
    return PromptSet(
        task="stdin" if str(path) == "-" else Path(path).stem,
        labels=options,
        prompts=tuple(sorted(rows.values(), key=lambda row: SPLITS.index(row.split))),
    )


def _lines(path: str | Path, name: str) -> list[_Line]:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    except OSError as error:
        raise PromptError(f"cannot read {name}: {error.strerror}") from error
    return [_Line(name, number, row) for number, row in parse_json_lines(data, name)]


def _options(line: _Line, known: tuple[str, ...] | None, given: bool) -> tuple[str, ...]:
    """The row's options, which must be those of the rows before it."""
    found = line.row.get("options")
    if found is None:
        if given and known is not None:
            return known
        raise line.error("'options' is missing; add it to every row, or give --labels")
    options = _checked_options(line, found)
    if known is not None and options != known:
        where = "--labels has" if given else "the rows before have"
        raise line.error(f"options {[*options]} differ from the {[*known]} that {where}")
    return options


def _checked_options(line: _Line, options: Any) -> tuple[str, ...]:
    where = line.error if line.number else PromptError
    name = "options" if line.number else "--labels"
    if not isinstance(options, list) or not all(isinstance(o, str) and o for o in options):
        raise where(f"{name} {options!r} is not a list of words")
    if len(options) < 2:
        raise where(f"{name} {options!r} has {len(options)} words; two or more are needed")
    if len(set(options)) < len(options):
        raise where(f"{name} {options!r} has a word twice")
    for option in options:
        line.check_no_null(name, option)
    return tuple(options)


def _prompt(line: _Line, index: int, options: tuple[str, ...]) -> Prompt:
    text, label = line.text("prompt"), line.text("label")
    if label not in options:
        raise line.error(f"label {label!r} is not among the options {[*options]}; mind the space")
    split = line.row.get("split", "test")
    if split not in SPLITS:
        raise line.error(f"split {split!r} is neither 'train' nor 'test'")
    row_id = line.row.get("id")
    if row_id is None:
        row_id = index
    if isinstance(row_id, bool) or not isinstance(row_id, int | str) or row_id == "":
        raise line.error(f"id {row_id!r} is neither a text nor a whole number")
    line.check_no_null("id", str(row_id))
    return Prompt(text, options.index(label), split, str(row_id))

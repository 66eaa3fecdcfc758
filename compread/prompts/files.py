"""A prompt set from rows of the user's own: a JSON Lines file, or a list of mappings.

    {"prompt": "...", "label": " positive", "options": [" negative", " positive"],
     "split": "test", "id": "17"}

An option is a word, or a list of words that stand for one class. ``options`` may be given for the
whole file instead; ``split`` is ``test`` and ``id`` the row's number (from 0) where they are left
out. Other keys are ignored.

Where ``options`` differ from row to row, each row has answers of its own: 2 to 26 texts, of any
number of tokens. ``label`` is the right option's text, or its number among them (from 0).

``unconditional`` is the prompt of ``extract --unconditional``; rows that have it have the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

from compread.errors import PromptError, option
from compread.options import SPLITS
from compread.prompts.json_lines import parse_json_lines, row_id
from compread.prompts.names import check_name
from compread.prompts.row_options import MOST_ANSWERS
from compread.prompts.sets import Prompt, PromptSet
from compread.prompts.tasks import Verbalizer
from compread.prompts.templates import fields_named
from compread.text import nearest

_SHOWN = 200
"""Characters of a row's own value that a message quotes."""


@dataclass(frozen=True)
class _Line:
    """One row and where it stands, for its messages."""

    place: str
    """The file and the line, or which of the rows; empty: it is the options of all of them."""
    row: Mapping[str, Any]

    def error(self, what: str) -> PromptError:
        return PromptError(f"{self.place}: {what}")

    def text(self, key: str) -> str:
        value = self.row.get(key)
        if value is None:
            what = "null" if key in self.row else "missing"
            raise self.error(f"{key!r} is {what}; {fields_named(self.row)}{self.meant(key)}")
        if not isinstance(value, str) or not value:
            raise self.error(f"{key!r} is {value!r}, not a text of one character or more")
        self.check_whole(key, value)
        return value

    def meant(self, key: str) -> str:
        """A hint where the row has a key of nearly that name in its place."""
        near = nearest(key, map(str, self.row)) if key not in self.row else None
        return f"; rename {near!r}, if that is meant" if near else ""

    def check_whole(self, key: str, value: str) -> None:
        """UTF-8 has no half of a surrogate pair; JSON and Python can spell one."""
        try:
            value.encode()
        except UnicodeEncodeError as error:
            what = f"{key!r} has half a surrogate pair: {value!r:.{_SHOWN}}; repair it"
            raise self.error(what) from error

    def check_no_null(self, key: str, value: str) -> None:
        """HDF5 ends a text at a null character."""
        if "\0" in value:
            raise self.error(f"{key!r} holds a null character: {value!r:.{_SHOWN}}")


Option = str | Sequence[str]
"""A class: its word, or several."""


def read_prompt_file(path: str | Path, labels: Sequence[Option] | None = None) -> PromptSet:
    """Read a prompt set; ``-`` is standard input.

    Args:
        path: JSON Lines file; its stem is the task's name.
        labels: options of every row, in class order, for a file whose rows have none.

    Raises:
        PromptError: the file's name cannot be a task's, it is missing, empty, not UTF-8, or has a
            row that cannot be used; the message names the file and the line.
    """
    name = "standard input" if str(path) == "-" else str(path)
    task = "stdin" if str(path) == "-" else check_name(Path(path).stem, "name of the prompts' file")
    if (prompt_set := _prompt_set(task, _lines(path, name), labels)) is None:
        raise PromptError(f"{name} has no rows: give one JSON object a line")
    return prompt_set


def prompts_of_rows(
    rows: Iterable[Mapping[str, Any]],
    labels: Sequence[Option] | None = None,
    name: str = "prompts",
) -> PromptSet:
    """A prompt set from rows as a prompt file has them.

    Args:
        rows: mappings with ``prompt``, ``label`` and, where wanted, ``options``, ``split``, ``id``.
        labels: options of every row, in class order, where the rows have none.
        name: of the task, and so of the store.

    Raises:
        PromptError: no rows, or one that cannot be used; the message says which, from 0.
    """
    lines = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PromptError(
                f"prompts[{number}] is {row!r:.60}: expected a mapping with prompt and label"
            )
        lines.append(_Line(f"prompts[{number}]", row))
    prompt_set = _prompt_set(check_name(name, "name of the prompts"), lines, labels)
    if prompt_set is None:
        raise PromptError("there are no prompts: give one row or more")
    return prompt_set


def _prompt_set(
    task: str, lines: Iterable[_Line], labels: Sequence[Option] | None
) -> PromptSet | None:
    """The lines' prompt set; None where there are no lines."""
    lines = list(lines)
    if not lines:
        return None
    given = _checked_options(_Line("", {}), list(labels)) if labels is not None else None
    options = [_options(line, given) for line in lines]
    own = len(set(options)) > 1
    rows: dict[tuple[str, str], Prompt] = {}
    for index, (line, of_line) in enumerate(zip(lines, options, strict=True)):
        prompt = _prompt(line, index, of_line)
        if own:
            _check_own(line, of_line)
            prompt = replace(prompt, answers=of_line.columns)
        if (prompt.split, prompt.id) in rows:
            raise line.error(f"id {prompt.id!r} stands twice in split {prompt.split!r}")
        rows[prompt.split, prompt.id] = prompt
    return PromptSet(
        task=task,
        labels=() if own else options[0].columns,
        classes=() if own else options[0].column_classes,
        prompts=tuple(sorted(rows.values(), key=lambda row: SPLITS.index(row.split))),
        unconditional=_unconditional(lines),
    )


def _unconditional(lines: Iterable[_Line]) -> str:
    """The prompt that says nothing of a row; empty where no row has one."""
    found = ""
    for line in lines:
        if line.row.get("unconditional") is not None:
            text = line.text("unconditional")
            if found not in ("", text):
                raise line.error(
                    f"'unconditional' is {text!r:.{_SHOWN}}, and {found!r:.{_SHOWN}} in a row "
                    "before; expected one text for all rows"
                )
            found = text
    return found


def _lines(path: str | Path, name: str) -> list[_Line]:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    except OSError as error:
        raise PromptError(f"cannot read {name}: {error.strerror}") from error
    return [_Line(f"{name}, line {number}", row) for number, row in parse_json_lines(data, name)]


def _options(line: _Line, given: Verbalizer | None) -> Verbalizer:
    """The row's options, or those of the whole file."""
    found = line.row.get("options")
    if found is None:
        if given is not None:
            return given
        raise line.error(
            f"'options' is missing; add it to every row, or give {option('labels')}"
            f"{line.meant('options')}"
        )
    options = _checked_options(line, found)
    if given is not None and options != given:
        raise line.error(
            f"options {_plain(options)} differ from the {_plain(given)} that {option('labels')} has"
        )
    return options


def _check_own(line: _Line, options: Verbalizer) -> None:
    """Refuse what rows with options of their own cannot have."""
    if any(len(words) > 1 for words in options.words):
        raise line.error(
            f"options {_plain(options)} have several words for one class, and differ from other "
            "rows': where rows have options of their own, each is one text"
        )
    if len(options.columns) > MOST_ANSWERS:
        raise line.error(
            f"{len(options.columns)} options; a row may have {MOST_ANSWERS} of its own"
        )


def _checked_options(line: _Line, options: Any) -> Verbalizer:
    options = _plain_lists(options)
    where = line.error if line.place else PromptError
    name = "options" if line.place else option("labels")
    shown = f"{name} {options!r:.{_SHOWN}}"
    classes = [[o] if isinstance(o, str) else o for o in options] if _is_list(options) else []
    words = [word for words in classes if _is_list(words) for word in words]
    good = all(_is_list(c) and c for c in classes) and all(isinstance(w, str) and w for w in words)
    if not classes or not good:
        raise where(f"{shown} is not a list of words")
    if len(classes) < 2:
        raise where(f"{shown} has one word; two or more are needed")
    if len(set(words)) < len(words):
        raise where(f"{shown} has a word twice")
    for word in words:
        line.check_whole(name, word)
        line.check_no_null(name, word)
    return Verbalizer(tuple(c[0] for c in classes), tuple(map(tuple, classes)))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _plain_lists(value: Any) -> Any:
    """A value with lists for arrays: a table's columns of lists come as numpy's."""
    if not isinstance(value, list | tuple) and hasattr(value, "tolist"):
        value = value.tolist()
    return [_plain_lists(one) for one in value] if _is_list(value) else value


def _plain(options: Verbalizer) -> list[Any]:
    """The options as a file would spell them."""
    return [words[0] if len(words) == 1 else [*words] for words in options.words]


def _prompt(line: _Line, index: int, options: Verbalizer) -> Prompt:
    text, right = line.text("prompt"), _right(line, options)
    split = line.row.get("split", "test")
    if split not in SPLITS:
        raise line.error(f"split {split!r} is neither 'train' nor 'test'")
    name = row_id(line.row, index, line.place)
    line.check_no_null("id", name)
    return Prompt(text, options.column(right), split, name)


def _right(line: _Line, options: Verbalizer) -> int:
    """The number of the right class, which the label names or is."""
    label = line.row.get("label")
    if isinstance(label, Integral) and not isinstance(label, bool):
        number = int(label)  # numpy's are no int
        if not 0 <= number < len(options.words):
            raise line.error(
                f"label {number} is no option's number; expected 0 to {len(options.words) - 1}"
            )
        return number
    if label is not None and not isinstance(label, str):
        raise line.error(
            f"'label' is {label!r:.{_SHOWN}}; expected the right option's text, or its number "
            f"from 0 to {len(options.words) - 1}"
        )
    label = line.text("label")
    right = next((k for k, words in enumerate(options.words) if label in words), None)
    if right is None:
        known = f"{_plain(options)!r:.{_SHOWN}}"
        raise line.error(
            f"label {label!r:.{_SHOWN}} is not among the options {known}; mind the space"
        )
    return right

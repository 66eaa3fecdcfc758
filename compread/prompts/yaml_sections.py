"""YAML mappings that remember their lines, so that every complaint names the file and the line."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.prompts.yaml_reader import Mapping, read_mapping
from compread.text import did_you_mean

LARGEST_COUNT = 1_000_000
"""Shots or labelled rows."""
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, 80, 80, 40


@dataclass(frozen=True)
class Section:
    """One mapping of the file; every message carries the file and the line."""

    file: Path
    path: str
    values: Mapping

    def error(self, key: str, what: str) -> PromptError:
        """The complaint ``what`` about a key of this section."""
        line = self.values.lines.get(key, min(self.values.lines.values(), default=1))
        name = f"{self.path}.{key}" if self.path else key
        return PromptError(f"{self.file}, line {line}: {name[:100]!r} {what}")

    def check_keys(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Refuse unknown keys and missing ones.

        Raises:
            PromptError: there is one; the nearest known key is suggested.
        """
        for mistake in self.key_mistakes(required, optional):
            raise mistake

    def key_mistakes(
        self, required: Iterable[str], optional: Iterable[str] = ()
    ) -> list[PromptError]:
        """A complaint for each unknown and each missing key."""
        known, found = [*required, *optional], []
        for key in self.values:
            if key not in known:
                hint = did_you_mean(str(key), known)
                found.append(
                    self.error(key, f"is not a key here: {hint}known are {', '.join(known)}")
                )
        return found + [self.error(key, "is missing") for key in required if key not in self.values]

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text of one character or more."""
        value = self.values.get(key, default)
        if value is not default and (not isinstance(value, str) or not value):
            raise self.error(key, f"is {shown_value(value)}, not text; put it in quotes")
        return value

    def required_text(self, key: str) -> str:
        """A text that must be there."""
        value = self.text(key)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def _present(self, key: str) -> Any:
        if key not in self.values:
            raise self.error(key, "is missing")
        return self.values[key]

    def count(self, key: str, default: int) -> int:
        """A whole number from 0 to ``LARGEST_COUNT``."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.error(key, f"is {shown_value(value)}, not a whole number from 0 up")
        if value > LARGEST_COUNT:
            raise self.error(key, f"is {shown_value(value)}; expected {LARGEST_COUNT:,} at most")
        return value

    def distinct(self, key: str, allowed: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
        """Two or more different entries, all of them ``allowed``."""
        values = self._present(key)
        if not isinstance(values, list) or not all(allowed(value) for value in values):
            raise self.error(key, f"is {shown_value(values)}, not a list of {what}")
        if len(values) < 2 or any(v in values[:i] for i, v in enumerate(values)):
            raise self.error(key, f"is {shown_value(values)}; it must hold two or more that differ")
        return tuple(values)

    def section(self, key: str) -> Section:
        """The mapping below a key."""
        value = self._present(key)
        if not isinstance(value, Mapping) or not value:
            raise self.error(key, f"is {shown_value(value)}, not a mapping of keys to values")
        return Section(self.file, f"{self.path}.{key}" if self.path else key, value)


def read_yaml(file: Path) -> Section:
    """The top mapping of a YAML file.

    Raises:
        PromptError: as ``read_mapping`` does.
    """
    return Section(file, "", read_mapping(file))


def shown_value(value: Any) -> str:
    """A value of the file for a message, shortened before it is spelt out."""
    return _SHORT.repr(value)

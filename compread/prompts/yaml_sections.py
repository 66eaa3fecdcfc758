"""YAML mappings that remember their lines, so that every complaint names the file and the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.text import nearest, one_line


class Mapping(dict[str, Any]):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[str, int]


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
        return PromptError(f"{self.file}, line {line}: {name!r} {what}")

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
                near = nearest(str(key), known)
                hint = f"did you mean {near!r}? " if near else ""
                found.append(
                    self.error(key, f"is not a key here: {hint}known are {', '.join(known)}")
                )
        return found + [self.error(key, "is missing") for key in required if key not in self.values]

    def text(self, key: str, default: str | None = None) -> str | None:
        """A text of one character or more."""
        value = self.values.get(key, default)
        if value is not default and (not isinstance(value, str) or not value):
            raise self.error(key, f"is {value!r}, not text; put it in quotes")
        return value

    def required_text(self, key: str) -> str:
        """A text that must be there."""
        value = self.text(key)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def count(self, key: str, default: int) -> int:
        """A whole number from 0 up."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.error(key, f"is {value!r}, not a whole number from 0 up")
        return value

    def distinct(self, key: str, allowed: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
        """Two or more different entries, all of them ``allowed``."""
        values = self.values[key]
        if not isinstance(values, list) or not all(allowed(value) for value in values):
            raise self.error(key, f"is {values!r}, not a list of {what}")
        if len(values) < 2 or any(v in values[:i] for i, v in enumerate(values)):
            raise self.error(key, f"is {values!r}; it must hold two or more different entries")
        return tuple(values)

    def section(self, key: str) -> Section:
        """The mapping below a key."""
        value = self.values[key]
        if not isinstance(value, Mapping) or not value:
            raise self.error(key, f"is {value!r}, not a mapping of keys to values")
        return Section(self.file, f"{self.path}.{key}" if self.path else key, value)


def read_yaml(file: Path) -> Section:
    """The top mapping of a YAML file.

    Raises:
        PromptError: unreadable, not UTF-8, not YAML, a key written twice, or not a mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader that keeps key lines and refuses a key written twice."""

    def construct(loader: Loader, node: yaml.MappingNode) -> Mapping:
        mapping = Mapping()
        mapping.lines = {}
        for key_node, value_node in node.value:
            # As it is written: YAML reads a bare "no" as False, which no class is called.
            scalar = isinstance(key_node, yaml.ScalarNode)
            key = key_node.value if scalar else str(loader.construct_object(key_node, deep=True))
            if key in mapping:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is written twice", problem_mark=key_node.start_mark
                )
            value = loader.construct_object(value_node, deep=True)
            mapping[key] = value
            mapping.lines[key] = key_node.start_mark.line + 1
        return mapping

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)
    try:
        loaded = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise PromptError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PromptError(f"{file} is not UTF-8 text: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PromptError(f"{file}, line {line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PromptError(f"{file}: not valid YAML: {one_line(error, 500)}") from error
    if not isinstance(loaded, Mapping):
        raise PromptError(f"{file} holds {type(loaded).__name__}, not a mapping of keys to values")
    return Section(file, "", loaded)

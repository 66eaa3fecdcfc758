"""YAML of somebody else's, as mappings that remember their lines.

Every complaint names the file and the line: of YAML that cannot be read, and of keys and values
that are not what a ``Section`` was asked for.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compread.errors import PromptError
from compread.text import did_you_mean, one_line

if TYPE_CHECKING:
    import yaml

LONGEST_FILE = 1_000_000
"""Bytes of a task file."""
MOST_NODES = 100_000
"""Entries of a file, those that an alias (``*name``) repeats counted each time."""
MOST_DIGITS = 100
LARGEST_COUNT = 1_000_000
"""Shots or labelled rows."""
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, 80, 80, 40
_MERGE = "tag:yaml.org,2002:merge"


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
        PromptError: unreadable, too large, not UTF-8, not YAML, a value that Python has none for, a
            key written twice, or not a mapping.
    """
    return Section(file, "", _read_mapping(file))


def shown_value(value: Any) -> str:
    """A value of the file for a message, shortened before it is spelt out."""
    return _SHORT.repr(value)


def _read_mapping(file: Path) -> Mapping:
    import yaml

    text = _text(file)
    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        _check_size(node)
        loaded = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _wrong(file, line, error.problem or error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _wrong(file, line, f"it holds the character {error.character:#x}") from error
    except RecursionError as error:
        raise _wrong(file, loader.line + 1, "it nests too deeply") from error
    if not isinstance(loaded, Mapping):
        raise PromptError(f"{file} holds {type(loaded).__name__}, not a mapping of keys to values")
    return loaded


def _wrong(file: Path, line: int, what: object) -> PromptError:
    return PromptError(f"{file}, line {line}: not valid YAML: {one_line(what)}")


def _text(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():
            raise PromptError(f"{file} is not a regular file; give the path of a task's YAML file")
        with file.open("rb") as stream:
            data = stream.read(LONGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise PromptError(f"cannot read {file}: {reason}") from error
    if len(data) > LONGEST_FILE:
        raise PromptError(f"{file} is over {LONGEST_FILE:,} bytes; a task is one small YAML file")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PromptError(f"{file} is not UTF-8 text: line {line}; save it as UTF-8") from error


def _check_size(top: yaml.Node | None) -> None:
    """Refuse aliases of aliases, which make much of a few lines, and those that hold themselves."""
    import yaml

    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in open_:
            raise yaml.MarkedYAMLError(problem="it holds itself", problem_mark=node.start_mark)
        if id(node) not in sizes:
            open_.add(id(node))
            parts = node.value
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(map(size, parts))
            open_.discard(id(node))
        if sizes[id(node)] > MOST_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"it has over {MOST_NODES:,} entries, its aliases written out",
                problem_mark=node.start_mark,
            )
        return sizes[id(node)]

    if top is not None:
        size(top)


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader that keeps key lines, refuses a key written twice, and names each bad line."""

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            """What a node stands for."""
            try:
                if isinstance(node, yaml.ScalarNode):
                    node.value.encode()
                    _check_digits(node)
                return super().construct_object(node, deep)
            except UnicodeEncodeError as error:
                what = "it spells half a surrogate pair"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from error
            except (ValueError, ArithmeticError, TypeError, LookupError, AttributeError) as error:
                # A number of 5,000 digits, the day 2001-99-99, !!int x, !!int "": Python's words.
                what = f"{str(node.value)[:40]!r} cannot be read ({one_line(error, 80)}); quote it"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from error

    def construct(loader: Loader, node: yaml.MappingNode) -> Mapping:
        mapping = Mapping()
        mapping.lines = {}
        _refuse_twice([key for key, _ in node.value])
        # What is merged in (``<<: *name``) comes to stand first, and gives way to own keys.
        loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            # As it is written: YAML reads a bare "no" as False, which no class is called.
            loader.construct_object(key_node, deep=True)
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else key_node.tag
            mapping[key] = loader.construct_object(value_node, deep=True)
            mapping.lines[key] = key_node.start_mark.line + 1
        return mapping

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)
    return Loader


def _check_digits(node: yaml.ScalarNode) -> None:
    if node.tag.endswith((":int", ":float")) and len(node.value) > MOST_DIGITS:
        raise ValueError(f"a number of {len(node.value):,} digits")


def _refuse_twice(keys: list[yaml.Node]) -> None:
    import yaml

    seen = set()
    for key in keys:
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            if key.value in seen:
                what = f"{key.value[:40]!r} is written twice"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=key.start_mark)
            seen.add(key.value)

"""YAML of somebody else's: what it can do is read a mapping, and say which line is wrong."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compread.errors import PromptError
from compread.text import one_line

if TYPE_CHECKING:
    import yaml

LONGEST_FILE = 1_000_000
"""Bytes of a task file."""
MOST_NODES = 100_000
"""Entries of a file, those that an alias (``*name``) repeats counted each time."""
MOST_DIGITS = 100
_MERGE = "tag:yaml.org,2002:merge"


class Mapping(dict[str, Any]):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[str, int]


def read_mapping(file: Path) -> Mapping:
    """The top mapping of a YAML file.

    Raises:
        PromptError: unreadable, too large, not UTF-8, not YAML, a value that Python has none for, a
            key written twice, or not a mapping.
    """
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
            except (ValueError, OverflowError, TypeError, KeyError, AttributeError) as error:
                # A number of 5,000 digits, the day 2001-99-99, !!int x: Python's own words for it.
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

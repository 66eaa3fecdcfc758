"""Values that options spell as lists, and what is said of a command line that is not understood."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compread.errors import UsageError
from compread.text import did_you_mean, number_spans, one_line


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
FILE = PATH | {"metavar": "FILE"}
"""The same where the path is of a file."""


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


_NUMBERS = {"int": "a whole number", "float": "a number"}
_ENDS = {"ge": "from {} on", "gt": "above {}", "le": "of {} at most", "lt": "below {}"}


def complaint(error: Any) -> str:
    """What is wrong with a command line, in one line: the value, what was expected, what was meant.

    Args:
        error: a usage error of typer's, whichever version of it and of click is there.
    """
    if name := getattr(error, "option_name", None):
        known = [own for one in error.ctx.command.params for own in one.opts if own[:2] == "--"]
        return f"no such option: {name}; {did_you_mean(name, known)}".rstrip("; ")
    if found := re.search(r"(['\"])(.*?)\1 is not one of ('.*')", error.message):
        value, names = found[2], re.findall("'([^']*)'", found[3])
        meant = did_you_mean(value, names).rstrip()
        told = f"{_spelt(error)} {value!r} is not one of {', '.join(names)}"
        return f"{told}; {meant}" if meant else told
    if (wanted := _wanted_number(error)) is not None:
        value, expected = wanted
        return f"{_spelt(error)} {value}: expected {expected}"
    # Newer typers hand on pydantic's words with pydantic's own prefix.
    return one_line(error.format_message().replace("Value error, ", ""), 1000)


def _spelt(error: Any) -> str:
    """What the value was given to: an option, an argument, or a variable of the environment."""
    parameter, context = error.param, error.ctx
    source = context and parameter and context.get_parameter_source(parameter.name)
    if getattr(source, "name", "") == "ENVIRONMENT":
        return str(parameter.envvar)
    if parameter is None:
        return "value"
    option = parameter.param_type_name == "option"
    return str(parameter.opts[0] if option else parameter.metavar or parameter.name.upper())


def _wanted_number(error: Any) -> tuple[str, str] | None:
    """The value that is no number, or none of those allowed, and what was expected."""
    details = getattr(error.__cause__, "errors", None)
    if details is not None:
        (first, *_) = details()
        number = _NUMBERS.get(first["type"].partition("_")[0])
        whole = "int" in error.__cause__.title
        ends = [words.format(first["ctx"][key]) for key, words in _ENDS.items()
                if key in first.get("ctx", {})]  # fmt: skip
        if number or ends:
            number = number or _NUMBERS["int" if whole else "float"]
            return str(first["input"]), " ".join([number, *ends])
        return None
    if found := re.search(r"'(.*?)' is not a valid (int|float)", error.message):
        return found[1], _NUMBERS[found[2]]
    if found := re.search(r"(\S+) is not in the range x(>=?|<=?)(\S+?)\.?$", error.message):
        key = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}[found[2]]
        number = _NUMBERS["int" if "int" in error.param.type.name else "float"]
        return found[1], f"{number} {_ENDS[key].format(found[3])}"
    return None

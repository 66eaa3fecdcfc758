"""The exceptions of compread, one tree.

    CompreadError            1  anything a user, a file or a model can get wrong
    ├── UsageError           2  the command line asks for something that makes no sense
    ├── FetchError           1  a download that fails, or is not the file it should be
    ├── PromptError          1  a task, a template, a prompt set, a label or its tokens
    ├── ModelError           1  a model or tokenizer that cannot be loaded or read
    ├── SumError             3  the parts do not add up to the model's own logits
    ├── StoreError           4  a store that is missing, incomplete, damaged or incompatible
    │   └── BusyError        4  a store that another program has open
    ├── TargetError          1  an output path that exists, is busy, or cannot be written
    │   └── DiskError        1  a disk that is full or fails
    └── ResumableError       5  stopped early; the same command goes on where it stopped

The number is the exit status the command line ends with. A message has the value, what was
expected, and the next step, in one line.

A next step often names a choice, which is an option of a command and an argument of a function. A
message holds it as what it is (``option``, ``flag``, ``command``); ``--split test`` or
``split="test"`` is made of it when the message is read. Functions that are called from Python are
``told_in_python``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Private characters: no path, name or text of a library is taken for a choice.
_BEGIN, _VALUE, _END = "\ue0f0", "\ue0f1", "\ue0f2"
_CHOICE = re.compile(f"{_BEGIN}([^{_VALUE}]*){_VALUE}([^{_END}]*){_END}")
_PYTHON_NAMES = {"o": "output"}
"""Arguments that are not called as the options are."""


def option(name: str, value: object = None) -> str:
    """A choice in a message: ``--split test``, or ``split="test"`` where Python is spoken.

    Without a value it is the name alone: ``--split`` or ``split``. A value that may be any text is
    given with quotes (``repr``).
    """
    kind = "name" if value is None else "number" if isinstance(value, (int, float)) else "text"
    return f"{_BEGIN}{kind} {name}{_VALUE}{'' if value is None else value}{_END}"


def flag(name: str) -> str:
    """A choice that is on or off: ``--force``, or ``force=True``."""
    return f"{_BEGIN}flag {name}{_VALUE}{_END}"


def command(name: str) -> str:
    """A command that is a function too: ``compread extract`` or ``compread.extract``."""
    return f"{_BEGIN}command {name}{_VALUE}{_END}"


def either(on_the_command_line: str, in_python: str) -> str:
    """Words for a command line and for Python, where a choice is not called alike."""
    return f"{_BEGIN}either {on_the_command_line}{_VALUE}{in_python}{_END}"


def worded(message: str, *, in_python: bool = False) -> str:
    """A message with its choices as a command line or as Python spells them."""
    return _CHOICE.sub(_in_python if in_python else _as_option, message)


def _as_option(found: re.Match[str]) -> str:
    kind, _, name = found[1].partition(" ")
    if kind == "either":
        return name
    if kind == "command":
        return f"`compread {name}`"
    dashes = "-" if len(name) == 1 else "--"
    return f"{dashes}{name} {found[2]}".rstrip()


def _in_python(found: re.Match[str]) -> str:
    kind, _, name = found[1].partition(" ")
    if kind == "either":
        return found[2]
    if kind == "command":
        return f"`compread.{name}`"
    name = _PYTHON_NAMES.get(name, name.replace("-", "_"))
    quoted = found[2] if found[2][:1] in ("'", '"') else f'"{found[2]}"'
    value = {"flag": "=True", "number": f"={found[2]}", "text": f"={quoted}"}
    return name + value.get(kind, "")


class CompreadWarning(UserWarning):
    """What a caller from Python should know of a result; a command says it on stderr."""


class CompreadError(Exception):
    """Base of every error compread raises on purpose."""

    exit_code = 1
    in_python = False
    """Whether its next step names arguments of functions, not options of commands."""

    @property
    def message(self) -> str:
        """What to build another error's message of: its choices are still to be worded."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return worded(self.message, in_python=self.in_python)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class UsageError(CompreadError):
    """Options that contradict each other or lack one they need."""

    exit_code = 2


class FetchError(CompreadError):
    """A package that cannot be downloaded, or is not the one that is wanted."""


class PromptError(CompreadError):
    """A task, template, prompt set or label that cannot be used."""


class ModelError(CompreadError):
    """A model or tokenizer that cannot be loaded, or whose structure is not understood."""


class SumError(CompreadError):
    """Parts that do not add up to the model's own label logits within the tolerance."""

    exit_code = 3


class StoreError(CompreadError):
    """A store that is missing, incomplete, damaged, foreign or of another version."""

    exit_code = 4


class BusyError(StoreError):
    """A store that another program has open for writing: it is not for reading yet."""


class TargetError(CompreadError):
    """An output path that exists already, is being written by another run, or cannot be written."""


class DiskError(TargetError):
    """A disk that is full, fails or is read-only; other paths on it fare no better."""


class ResumableError(CompreadError):
    """A run that ended early with its finished rows kept."""

    exit_code = 5


def told_in_python(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose errors say ``split="test"`` where a command's say ``--split test``."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except CompreadError as error:
            error.in_python = True
            raise

    return call

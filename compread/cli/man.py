"""The manual page of the whole command line, built of the commands' own help."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from compread.cli.help import VARIABLES, every_command, first_sentence, panels
from compread.version import __version__

STATUSES = {
    "0": "done",
    "1": "an error: what was wrong stands on standard error, in one line",
    "2": "the command line asks for something that makes no sense",
    "3": "the parts did not add up to the model's own logits; nothing was written",
    "4": "a store is missing, unfinished, damaged or does not go with another",
    "5": "stopped, with the finished rows kept; the same command goes on",
    "130, 143": "ended by Ctrl-C or SIGTERM, with the finished rows kept",
}
ELSEWHERE = {
    "COLUMNS": "how many characters a line has; else what the terminal says, else 80",
    "NO_COLOR": "no colours",
    "CLICOLOR_FORCE": "colours in a pipe or a file too; CLICOLOR=0: none on a terminal either",
    "COMPREAD_CACHE": "where demo keeps what it fetches; else ~/.cache/compread",
    "HF_HOME": "where models and data sets are kept, as the libraries of Hugging Face have it",
}


def man_page(root: Any, context: Any) -> str:
    """The page in roff, as ``man -l`` and ``mandoc`` read it.

    Args:
        root: the group of all commands.
        context: of the command line, for the options' defaults.
    """
    lines = [
        f'.TH COMPREAD 1 "" "compread {__version__}" "User Commands"',
        ".SH NAME",
        "compread \\- read a decoder language model part by part",
        ".SH SYNOPSIS",
        ".B compread",
        "COMMAND [OPTION]... [STORE]...",
        ".SH DESCRIPTION",
        *_paragraphs(root.help),
        ".SH COMMANDS",
    ]
    for name, command in every_command(root):
        lines += _command(name, command, context)
    lines += [".SH ENVIRONMENT", "The command line goes before these variables."]
    named = {variable: f"stands for {option}" for option, variable in VARIABLES.items()}
    for name, about in (named | ELSEWHERE).items():
        lines += _item(f"\\fB{_escaped(name)}\\fR", about)
    lines += [".SH EXIT STATUS"]
    for status, about in STATUSES.items():
        lines += _item(f"\\fB{status}\\fR", about)
    lines += [".SH SEE ALSO", _text("compread docs shows the pages of the manual, such as tables.")]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any, context: Any) -> Iterator[str]:
    yield f".SS compread {_escaped(name)}"
    yield _text(first_sentence(command))
    yield from _paragraphs(command.help, skip=1)
    for title, records in panels(command, context):
        yield ".PP"
        yield f"{_escaped(title)}:"
        for spelt, told in records:
            names, _, value = spelt.rpartition(" ") if " " in spelt else (spelt, "", "")
            if value.startswith("-"):
                names, value = spelt, ""
            word = f" \\fI{_escaped(value)}\\fR" if value else ""
            yield from _item(f"\\fB{_escaped(names)}\\fR{word}", told)
    if command.epilog:
        yield from (".PP", ".nf")
        for line in command.epilog.replace("\b\n", "").splitlines():
            yield _text(line)
        yield ".fi"


def _paragraphs(text: str | None, skip: int = 0) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text or "").split("\n\n")[skip:]:
        yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _item(head: str, about: str) -> list[str]:
    return [".TP", head, _text(" ".join(about.split()))]


def _text(text: str) -> str:
    """A line of text, which begins no request of roff's."""
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in text)

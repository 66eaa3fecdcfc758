"""How ``--help`` is laid out, and which options the environment may set: for every command alike.

An option is in a panel, and has a variable, by its name, so that one that several commands share
stands in the same place in all of them.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

from compread.views.plots.kinds import PLOTS

MODEL, PROMPTS, RUN, OUTPUT, OTHER = "Model", "Prompts", "Run", "Output", "Options"
PANELS: dict[str, tuple[str, ...]] = {
    MODEL: (
        "--model", "--revision", "--revisions", "--dtype", "--device", "--device-map", "--adapter",
        "--merge-adapter", "--quantize", "--attn-implementation", "--trust-remote-code",
        "--offline",
    ),
    PROMPTS: (
        "--tasks", "--prompts", "--templates", "--seeds", "--num-fewshot", "--limit", "--labels",
        "--demo-labels", "--prompt-selection", "--embedder", "--calibration-prompts",
        "--unconditional", "--unconditional-prompt", "--data-dir", "--include-path",
        "--apply-chat-template", "--system-instruction", "--fewshot-as-multiturn", "--input",
    ),
    RUN: ("--batch-tokens", "--compile", "--share", "--dry-run"),
    OUTPUT: (
        "--output", "--out", "--keep-text", "--show-prompts", "--save", "--force", "--table",
        "--format", "--columns", "--caption", "--label", "--explain", "--no-notes", "--log",
        "--quiet",
    ),
}  # fmt: skip
"""The options of each panel; those of no panel stand first, ``--help`` last."""
ONLY_IN = {
    "extract": {"--n-train": PROMPTS},
    "predict": {"--explain": OTHER},
    "new": {"--label": OTHER},
    "plot": {"--labels": OTHER},
}
"""Options that mean something else in a command."""
VARIABLES = {
    "--model": "COMPREAD_MODEL",
    "--device": "COMPREAD_DEVICE",
    "--device-map": "COMPREAD_DEVICE_MAP",
    "--dtype": "COMPREAD_DTYPE",
    "--offline": "COMPREAD_OFFLINE",
    "--data-dir": "COMPREAD_DATA_DIR",
    "--include-path": "COMPREAD_INCLUDE_PATH",
    "--batch-tokens": "COMPREAD_BATCH_TOKENS",
    "--split": "COMPREAD_SPLIT",
    "--pool": "COMPREAD_POOL",
    "--normalize": "COMPREAD_NORMALIZE",
    "--format": "COMPREAD_FORMAT",
}
"""What is the same for days may be set once; the command line goes before the environment."""
METAVARS = {
    r"<int( range)?>|INTEGER( RANGE)?": "N",
    r"<float( range)?>|FLOAT( RANGE)?": "X",
    r"<(list\[)?str\]?>|TEXT": "TEXT",
    r"<(list\[)?[pP]ath\]?>|PATH": "PATH",
}
"""What stands for a value whose option has no word of its own, for each way typers write it."""
WIDEST = 30
"""Characters of the names of a choice that stand beside the option."""
Record = tuple[str, str]
"""An option as it is spelt, and its help."""
LISTED: Mapping[str, Mapping[str, list[Record]]] = {
    "plot": {"Kinds": [(name, kind.about) for name, kind in PLOTS.items()]}
}
"""By command: what an argument chooses from, where each has a meaning to tell, by its heading."""


class _Laid:
    """How a command's help is written: words stay whole, options stand in panels."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments by their words, such as ``[OPTIONS] KIND STORE...``."""
        command: Any = self
        pieces: list[str] = [command.options_metavar]
        for parameter in command.get_params(ctx):
            if parameter.param_type_name == "argument":
                word = _word(parameter)
                several = "..." if parameter.nargs != 1 else ""
                pieces.append((word if parameter.required else f"[{word}]") + several)
        return [*pieces, *filter(None, [getattr(self, "subcommand_metavar", None)])]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does, a paragraph for a paragraph."""
        for paragraph in inspect.cleandoc(getattr(self, "help", None) or "").split("\n\n"):
            formatter.write(
                "\n" + "".join(f"  {x}\n" for x in wrapped(paragraph, formatter.width - 2))
            )

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by panels, and the commands of a group."""
        for title, records in panels(self, ctx):
            _write_panel(formatter, title, records)
        if commands := getattr(self, "commands", {}):
            told = [(name, first_sentence(one)) for name, one in commands.items()]
            _write_panel(formatter, "Commands", told)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, those that are too wide in several lines of one shell command."""
        for line in (getattr(self, "epilog", None) or "").replace("\b\n", "\n").splitlines():
            shown = shell_lines(line, formatter.width) if line.startswith(" ") else [line]
            formatter.write("".join(f"{each}\n" for each in shown))


class Command(_Laid, TyperCommand):
    """A command whose help is grouped in panels, and whose common options have variables."""

    def __init__(self, *arguments: Any, **values: Any) -> None:
        """Take what typer gives, and set the options' variables."""
        super().__init__(*arguments, **values)
        _set_variables(self.params)


class Group(_Laid, TyperGroup):
    """Several commands, each with the whole sentence that says what it does."""

    def __init__(self, *arguments: Any, **values: Any) -> None:
        """Take what typer gives, and set the options' variables."""
        super().__init__(*arguments, **values)
        _set_variables(self.params)


def _set_variables(parameters: Iterable[Any]) -> None:
    for parameter in parameters:
        name = VARIABLES.get(parameter.opts[0])
        # What a command has a good default of its own for is not set from outside.
        own = parameter.opts[0] == "--model" and not parameter.required
        if name and not own:
            parameter.envvar = name
            parameter.show_envvar = True


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of a width, none of its words broken, at hyphens neither."""
    return textwrap.wrap(
        " ".join(text.split()), width, break_long_words=False, break_on_hyphens=False
    )


def shell_lines(line: str, width: int) -> list[str]:
    r"""A shell command in lines of a width, joined by ``\``; a word that is wider stays whole."""
    indent = " " * (len(line) - len(line.lstrip()))
    words = re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", line)
    lines = [indent + words[0]] if words else [line]
    for number, word in enumerate(words[1:], 2):
        room = width if number == len(words) else width - 2
        if len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"{indent}  {word}")
    return lines


def epilog(example: str, command: str = "") -> str:
    """What a command's help ends with: the lines of an example, or those that call ``command``."""
    lines = [line for line in example.splitlines() if line.startswith(command)]
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def first_sentence(command: Any) -> str:
    """What a command does, in the first line of its help."""
    return inspect.cleandoc(command.help or "").partition("\n\n")[0].replace("\n", " ")


def _write_panel(formatter: Any, title: str, records: list[Record]) -> None:
    """Write a heading, and the help of each option beside it, or below it where it is long."""
    most = 30 if formatter.width > 70 else 22
    begin = min(most, max(len(spelt) for spelt, _ in records)) + 4
    formatter.write(f"\n{title}:\n")
    for spelt, told in records:
        first, *others = wrapped(told, formatter.width - begin) or [""]
        head = f"  {spelt}"
        if len(head) > begin - 2:
            formatter.write(f"{head}\n")
            head = ""
        formatter.write(f"{head:<{begin}}{first}".rstrip() + "\n")
        for line in others:
            formatter.write(f"{'':<{begin}}{line}\n")


def panels(command: Any, context: Any) -> Iterator[tuple[str, list[Record]]]:
    """The panels of a command's help in order: a heading, and each option with its help."""
    found: dict[str, list[Record]] = {name: [] for name in ("Arguments", OTHER, *PANELS)}
    last: list[Record] = []
    for parameter in command.get_params(context):
        if (found_record := parameter.get_help_record(context)) is None:
            continue
        if parameter.param_type_name == "argument":
            found["Arguments"].append((_word(parameter), found_record[1]))
        elif "--help" in parameter.opts:
            last.append(_plain(*found_record))
        else:
            found[_panel(command.name, parameter.opts)].append(_plain(*found_record))
    # Under one heading they are simply the options.
    used = [name for name in found if found[name]]
    found[used[-1] if used else OTHER] += last
    arguments = {"Arguments": found.pop("Arguments")}
    in_order = {**arguments, **LISTED.get(command.name, {}), **found}
    yield from ((name, records) for name, records in in_order.items() if records)


def _word(argument: Any) -> str:
    """What stands for an argument: its name, without its type."""
    return str(argument.metavar or argument.name.upper())


def _plain(spelt: str, told: str) -> Record:
    """An option as it is spelt, with a word for a value and not a type of Python's.

    A choice whose names are many is spelt ``NAME``, and its help begins with them. What stands in
    brackets at its end is one list: ``[default: 5; at least 1]``.
    """
    told = re.sub(r"\]\s+\[(?=[^][]*\]$)", "; ", told)
    told = re.sub(r"\bx>=(\d+)(?=[^][]*\]$)", r"at least \1", told)
    for types, word in METAVARS.items():
        spelt = re.sub(rf"(?<= )({types})$", word, spelt)
    spelt = re.sub(r"<(?:list\[)?([\w|]+)\]?>$", r"\1", spelt.removesuffix(" ..."))
    before, _, choice = spelt.rpartition(" ")
    if len(choice) > WIDEST and "|" in choice:
        return f"{before} NAME", f"{choice.replace('|', ', ')}. {told}"
    return spelt, told


def _panel(command: str, names: list[str]) -> str:
    for name in names:
        if panel := ONLY_IN.get(command, {}).get(name):
            return panel
    return next((title for title, of in PANELS.items() if set(names) & set(of)), OTHER)


def every_command(group: Any) -> Iterator[tuple[str, Any]]:
    """Each command with its whole name, such as ``tasks show``; groups before what is in them."""
    for name, command in group.commands.items():
        yield name, command
        for below, one in getattr(command, "commands", {}).items():
            yield f"{name} {below}", one

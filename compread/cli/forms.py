"""The options of every command that prints a table: its form, columns, caption and notes.

A command has one parameter ``format``, a ``Form``; ``tabular`` puts the options in its place, so
that all commands have the same ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeAlias

import typer

from compread.cli.options import Format
from compread.cli.output import check_binary
from compread.errors import UsageError
from compread.views.choose import Form, check_columns
from compread.views.render import DEFAULT_FORMAT
from compread.views.tables import Notes

FORMAT: TypeAlias = Form
TABLE = Form()
"""As a table for the terminal, whole."""
ONE_TABLE = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="NAME",
        help="Only this list of the JSON; csv and parquet hold one.",
    ),
]
_NAME = "format"
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "format": (
        Annotated[
            Format,
            typer.Option(
                "--format",
                help="How to print the result; json, csv and parquet have full precision.",
            ),
        ],
        Format(DEFAULT_FORMAT),
    ),
    "columns": (
        Annotated[
            str | None,
            typer.Option(
                "--columns",
                metavar="C,...",
                help="Only these columns, in this order, by their names in JSON.",
            ),
        ],
        None,
    ),
    "caption": (
        Annotated[
            str | None,
            typer.Option(
                "--caption",
                metavar="TEXT",
                help="Put this above the table in place of its own title.",
            ),
        ],
        None,
    ),
    "label": (
        Annotated[
            str | None,
            typer.Option(
                "--label",
                metavar="NAME",
                help="With --format latex: the \\label to refer to the table by.",
            ),
        ],
        None,
    ),
    "explain": (
        Annotated[
            bool, typer.Option("--explain", help="Explain below the table what each column means.")
        ],
        False,
    ),
    "no_notes": (
        Annotated[bool, typer.Option("--no-notes", help="Print nothing below a table.")],
        False,
    ),
}


TABLE_OPTIONS = {f"--{name.replace('_', '-')}" for name in _OPTIONS}
"""Their names, which go with any question."""


def tabular(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of a ``Form`` in place of its parameter ``format``.

    A command without such a parameter stays as it is.
    """
    signature = inspect.signature(command, eval_str=True)
    if _NAME not in signature.parameters:
        return command

    @wraps(command)
    def with_options(*arguments: Any, **values: Any) -> None:
        form = _form(**{name: values.pop(name) for name in _OPTIONS})
        check_columns(form.columns, command.__name__)
        command(*arguments, **values, **{_NAME: form})

    parameters = []
    for one in signature.parameters.values():
        if one.name != _NAME:
            parameters.append(one)
            continue
        for name, (annotation, default) in _OPTIONS.items():
            parameters.append(one.replace(name=name, annotation=annotation, default=default))
    changed = signature.replace(parameters=parameters)
    with_options.__signature__ = changed  # type: ignore[attr-defined]  # what ``inspect`` looks for
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options


def _form(
    format: Any,
    columns: str | None,
    caption: str | None,
    label: str | None,
    explain: bool,
    no_notes: bool,
) -> Form:
    if explain and no_notes:
        raise UsageError("--explain and --no-notes: give one of the two")
    names = tuple(name.strip() for name in (columns or "").split(",") if name.strip())
    if columns is not None and not names:
        raise UsageError("--columns is empty: expected names, such as component,accuracy")
    notes: Notes = "whole" if explain else "none" if no_notes else "brief"
    if format.value == "parquet":
        check_binary()  # before what may take minutes
    form = Form(format.value, names, caption or "", label or "", notes)
    form.check()
    return form

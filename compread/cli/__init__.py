"""The command line: one file a command, and the one place where errors become exit statuses.

A command parses its options, calls one function of the rooms above, and prints what it returned.
Each module imports only typer at its top, so that ``compread --help`` starts at once.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, TextIO, cast

import typer
from typer.main import get_command

from compread.cli import (
    analyze,
    check,
    complete,
    demo,
    docs,
    extract,
    plot,
    predict,
    predictions,
    rank,
    report,
    reweight,
    show,
    status,
    tasks,
    view,
)
from compread.cli.forms import tabular
from compread.cli.help import Command, Group, epilog
from compread.cli.output import Named, Unfailing, discard, note
from compread.cli.values import complaint
from compread.errors import CompreadError
from compread.text import printable
from compread.version import __version__

INTERRUPTED = 130
READER_GONE = 141
TERMINATED = 143
# Every complaint about the command line is one of these, whichever click typer stands on.
USAGE_ERROR = cast("type[Any]", typer.BadParameter.__base__)

app = typer.Typer(
    name="compread",
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        # Lets --num_fewshot stand for --num-fewshot, in every option of every command.
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"compread {__version__}")
        raise typer.Exit


@app.callback(
    epilog=epilog(
        "compread extract --model M --prompts F.jsonl -o out.h5\ncompread rank out.h5 --top 10"
    )
)
def _compread(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Read a decoder language model part by part.

    compread splits the label logits of a prompt into the exact contribution of every attention
    head and MLP, stores them once (extract), and answers every question from that file.
    """


# In the order of --help. Each is a module with a function of its name and an EXAMPLE that runs; a
# group of commands is a Typer of that name instead.
for _module in (
    extract, status, tasks, analyze, rank, predictions, view, plot, report, predict, reweight,
    check, show, demo, docs,
):  # fmt: skip
    _name = _module.__name__.rpartition(".")[2]
    _epilog = epilog(_module.EXAMPLE)
    _command: Any = getattr(_module, _name)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name, epilog=_epilog)
    else:
        app.command(_name, cls=Command, epilog=_epilog)(tabular(_command))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Args:
        argv: the arguments after ``compread``; those of the process where None.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        sys.excepthook, warnings.showwarning = _show_traceback, _show_warning
    with _streams(), _sigterm_as_exit():
        try:
            return _run(arguments or ["--help"])
        except USAGE_ERROR as error:
            return _complain(*_usage_lines(error), status=2)
        except CompreadError as error:
            return _complain(f"error: {error}", status=error.exit_code)
        except KeyboardInterrupt as interrupt:
            return _complain(str(interrupt) or "interrupted", status=INTERRUPTED)
        except BrokenPipeError:
            discard(sys.stdout)
            return READER_GONE
        except MemoryError as error:
            return _complain(f"error: out of memory: {error}", status=1)
        except OSError as error:
            _discard_unwritable()
            where = f"{error.filename}: " if error.filename else ""
            return _complain(f"error: {where}{error.strerror or error}", status=1)


@contextmanager
def _streams() -> Iterator[None]:
    """Streams that are there, take and give any text, name themselves, and on stderr never fail."""
    # A process started with a closed one, as by ``>&-``, has None there.
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open(encoding="utf-8")
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    before = sys.stdout, sys.stderr
    if hasattr(sys.stdin, "reconfigure"):
        # Paths, one a line, need not be UTF-8.
        sys.stdin.reconfigure(errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        # A label word that the terminal's encoding lacks must not end the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", Named(sys.stdout, "stdout"))
    sys.stderr = cast("TextIO", Unfailing(sys.stderr))
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what no command foresaw, as Python does, but safe for a terminal."""
    note("".join(traceback.format_exception(kind, error, trace)).rstrip())


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a library's warning, as Python does, but safe for a terminal."""
    note(warnings.formatwarning(message, category, filename, lineno, line).rstrip())


def _discard_unwritable() -> None:
    """Forget what stdout cannot take, as on a full disk: Python would try it once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)


def _run(arguments: list[str]) -> int:
    command = get_command(app)
    if complete.ASKED_BY in os.environ:
        complete.answer(command)
    # Not through click's own main: it has other ideas of Ctrl-C and of closed pipes.
    try:
        # The command line as it was given, for whoever keeps a record of it.
        line = shlex.join(["compread", *arguments])
        with command.make_context("compread", arguments, obj=line) as context:
            context.meta["main"] = main  # for a command that runs others
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    finally:
        sys.stdout.flush()
    return 0


def _complain(*lines: str, status: int) -> int:
    for line in lines:
        note(printable(line))
    return status


def _usage_lines(error: Any) -> tuple[str, str]:
    """The complaint in one line, and where to read on."""
    command = error.ctx.command_path if error.ctx else "compread"
    return f"error: {complaint(error)}", f"see: {command} --help"


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that every ``with`` block keeps what it has."""

    def leave(_signal: int, _frame: object) -> None:
        sys.exit(TERMINATED)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # Only the main thread may set handlers.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

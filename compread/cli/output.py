"""The one place that prints: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Literal, TextIO

from compread.errors import UsageError
from compread.views.parquet import to_parquet
from compread.views.tables import Document, View, render

NARROWEST = 40


def emit(document: Document, view: View, format: str) -> None:
    """Print a result in the format asked for, in the width and colours that stdout has."""
    out = sys.stdout
    if format == "parquet":
        write_bytes(to_parquet(document))
        return
    styles = {"color": color(out), "unicode": unicode(out)}
    write(render(document, view, format, width=width(out), **styles))


def write(text: str) -> None:
    """Print on stdout at once.

    Raises:
        BrokenPipeError: the reader went away, as ``head`` does; ``main`` ends quietly then.
    """
    sys.stdout.write(text)
    sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Write a binary result on stdout.

    Raises:
        UsageError: stdout is a terminal.
        BrokenPipeError: the reader went away.
    """
    if sys.stdout.isatty():
        raise UsageError("this result is binary: send it to a file, as in `... > result.parquet`")
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Print one line on stderr: a hint, a warning, or where something was written."""
    print(text, file=sys.stderr, flush=True)


def width(out: TextIO) -> int:
    """COLUMNS where it is set, else the terminal's width, else 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return max(NARROWEST, int(columns))
    return max(NARROWEST, shutil.get_terminal_size().columns) if out.isatty() else 80


def color(out: TextIO) -> bool:
    """Whether ANSI styles are welcome: on a terminal that is not dumb, without NO_COLOR."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def color_depth(out: TextIO) -> Literal["none", "256", "true"]:
    """How many colours are welcome: none where ``color`` says so, all where COLORTERM does."""
    if not color(out):
        return "none"
    return "true" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else "256"


def unicode(out: TextIO) -> bool:
    """Whether the encoding has every character."""
    return (out.encoding or "").lower().startswith("utf")


def discard_stdout() -> None:
    """Send what is still buffered for stdout nowhere.

    Without this, Python flushes a broken stdout once more at exit and complains about it.
    """
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)

"""The one door to the terminal: results on stdout, everything else on stderr.

What people read has control characters, bidirectional marks and the like as visible escapes: a
template id, a path or a model's name may hold anything. JSON escapes them in its own way, CSV in a
file and Parquet carry them as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from compread.errors import UsageError, worded
from compread.text import printable
from compread.views.choose import Form, chosen
from compread.views.parquet import to_parquet
from compread.views.render import render
from compread.views.tables import Document, View, other_lists

if TYPE_CHECKING:
    from compread.views.plots.pictures import Picture

NARROWEST = 40
LINES = "\n\t"
"""What stays as it is in text of several lines."""


def emit(document: Document, view: View, form: Form, table: str | None = None) -> None:
    """Print a result in the form asked for, in the width and colours that stdout has.

    Raises:
        UsageError: the form names a column, or ``table`` a list, that the result has not.
    """
    document, view = chosen(document, view, form, table)
    if form.format in ("csv", "parquet") and (others := other_lists(document)):
        note(f"{form.format} holds one table; the others are {', '.join(others)} (--table NAME)")
    if form.format == "parquet":
        write_bytes(to_parquet(document))
        return
    out = sys.stdout
    styles = {"color": color(out), "unicode": unicode(out)}
    text = render(
        document, view, form.format, width=width(out), notes=form.notes, label=form.label, **styles
    )
    write_styled(printable(text, LINES) if form.format == "csv" and out.isatty() else text)


def write(text: str) -> None:
    """Print text for people on stdout at once, safe for a terminal.

    Raises:
        BrokenPipeError: the reader went away, as ``head`` does; ``main`` ends quietly then.
    """
    write_styled(printable(text, LINES))


def write_styled(text: str) -> None:
    """Print on stdout what a view has made: safe already, and perhaps in colours.

    Raises:
        BrokenPipeError: the reader went away.
    """
    sys.stdout.write(text)
    sys.stdout.flush()


def write_picture(picture: Picture) -> None:
    """Draw a picture on standard output, as wide and as colourful as that is."""
    from compread.views.plots.terminal import to_blocks

    out = sys.stdout
    write_styled(to_blocks(picture, width(out), color_depth(out), unicode(out)))


def write_path(path: Path) -> None:
    """Print where a result was written, in one line that another command can read.

    A name that is not UTF-8 goes into a pipe or a file as the bytes that it is.

    Raises:
        BrokenPipeError: the reader went away.
    """
    buffer = getattr(sys.stdout, "buffer", None)  # None where a caller collects text
    if buffer is None or sys.stdout.isatty():
        write(f"{printable(str(path))}\n")
        return
    sys.stdout.flush()
    buffer.write(os.fsencode(path) + b"\n")
    buffer.flush()


def check_binary() -> None:
    """Refuse to write a binary result where people read.

    Raises:
        UsageError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError("this result is binary: send it to a file, as in `... > result.parquet`")


def write_bytes(data: bytes) -> None:
    """Write a binary result on stdout.

    Raises:
        UsageError: as ``check_binary``.
        BrokenPipeError: the reader went away.
    """
    check_binary()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def note(text: str, *, bold: bool = False) -> None:
    """Print on stderr, safe for a terminal: a hint, a warning, or where something was written."""
    text = printable(worded(text), LINES)
    print(
        f"\x1b[1m{text}\x1b[0m" if bold and color(sys.stderr) else text, file=sys.stderr, flush=True
    )


class Named:
    """A stream whose failures say which it is, as files' do.

    Their errors would else be "No space left on device", and no word of where.
    """

    def __init__(self, stream: Any, name: str) -> None:
        """Write to ``stream``, text or bytes, which messages call ``name``."""
        self._stream, self._name = stream, name

    def write(self, data: Any) -> int:
        """Write.

        Raises:
            OSError: with the stream's name for a file's.
        """
        with self._naming():
            return int(self._stream.write(data))

    def flush(self) -> None:
        """Hand on what is buffered.

        Raises:
            OSError: as ``write`` does.
        """
        with self._naming():
            self._stream.flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._name) from error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        return Named(found, self._name) if name == "buffer" else found


class Unfailing:
    """A stream whose failures do not matter, as stderr's: a full disk, a terminal that is gone.

    What a command has computed and its exit status must not hang on who listens.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream`` as long as it takes anything."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose the text."""
        try:
            return self._stream.write(text)
        except OSError:
            discard(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or lose what was to be flushed."""
        try:
            self._stream.flush()
        except OSError:
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def width(out: TextIO) -> int:
    """COLUMNS where it is set, else the terminal's width, else 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return max(NARROWEST, int(columns))
    own = 0
    # Of this very stream: the other one may go into a pipe.
    with suppress(OSError):
        own = os.get_terminal_size(out.fileno()).columns
    return max(NARROWEST, own or 80)


def color(out: TextIO) -> bool:
    """Whether ANSI styles are welcome.

    On a terminal that is not dumb, and anywhere with CLICOLOR_FORCE; never with NO_COLOR, nor with
    CLICOLOR=0 (no-color.org, bixense.com/clicolors).
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return out.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("CLICOLOR") != "0"


def color_depth(out: TextIO) -> Literal["none", "256", "true"]:
    """How many colours are welcome: none where ``color`` says so, all where COLORTERM does."""
    if not color(out):
        return "none"
    return "true" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else "256"


def unicode(out: TextIO) -> bool:
    """Whether the encoding has every character."""
    return (out.encoding or "").lower().startswith("utf")


def discard(stream: TextIO) -> None:
    """Send what is still buffered for a stream nowhere.

    Without this, Python flushes a broken stream once more at exit, complains, and ends with 120.
    """
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)

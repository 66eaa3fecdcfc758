"""What the door to the terminal knows of a stream."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from pathlib import Path

import pytest

from compread.cli.output import color, note, width


@pytest.mark.parametrize(("columns", "wide"), [(120, 120), (20, 40), (0, 80)])
def test_the_width_is_that_of_the_stream(
    monkeypatch: pytest.MonkeyPatch, columns: int, wide: int
) -> None:
    """Whatever stdout is, a terminal as stderr has its own; 40 at least, 80 where it knows none."""
    monkeypatch.delenv("COLUMNS", raising=False)
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(follower, "w") as terminal:
        assert width(terminal) == wide
        monkeypatch.setenv("COLUMNS", "66")
        assert width(terminal) == 66
    os.close(leader)


def test_no_terminal_is_80_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe or a file has no width."""
    monkeypatch.delenv("COLUMNS", raising=False)
    with Path(os.devnull).open("w") as stream:
        assert width(stream) == 80


@pytest.mark.parametrize(
    ("variables", "on_a_terminal", "in_a_pipe"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_who_gets_colours(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    on_a_terminal: bool,
    in_a_pipe: bool,
) -> None:
    """As no-color.org and bixense.com/clicolors say: the environment goes before the stream."""
    for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal, Path(os.devnull).open("w") as pipe:
        assert (color(terminal), color(pipe)) == (on_a_terminal, in_a_pipe)
    os.close(leader)


@pytest.mark.parametrize(
    ("bold", "forced", "printed"),
    [(True, "1", "\x1b[1mhere\x1b[0m\n"), (True, "0", "here\n"), (False, "1", "here\n")],
)
def test_a_note_is_bold_where_it_is_asked_for_and_welcome(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bold: bool,
    forced: str,
    printed: str,
) -> None:
    """Elsewhere it is plain text."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("CLICOLOR_FORCE", forced)
    note("here", bold=bold)
    assert capsys.readouterr() == ("", printed)

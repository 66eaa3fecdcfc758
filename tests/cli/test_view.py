"""``compread view``: where it can be shown, and where not."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from compread.cli import main, view


def test_without_a_terminal_it_says_what_to_use(stores: Path, capsys: Any) -> None:
    """One line and status 2, before anything is read."""
    assert main(["view", "nowhere.h5"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "standard output is not a terminal" in err
    assert "`compread rank`" in err and "`compread report`" in err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"TERM": "dumb"}, "TERM is dumb"),
        ({"TERM": ""}, "TERM is dumb or not set"),
        ({"textual": None}, "pip install 'compread[view]'"),
    ],
)
def test_what_it_lacks_is_said(changes: Any, told: str, monkeypatch: Any, capsys: Any) -> None:
    """A terminal that places text, and the library that draws."""
    monkeypatch.setattr(sys, "stdout", _Terminal(sys.stdout))
    monkeypatch.setattr(sys, "stderr", _Terminal(sys.stderr))
    monkeypatch.setenv("TERM", changes.pop("TERM", "xterm"))
    if "textual" in changes:
        monkeypatch.setattr(view, "find_spec", lambda name: None)
    assert main(["view", "nowhere.h5"]) == 2
    assert told in capsys.readouterr().err


class _Terminal:
    """A stream that says it is a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        """It says so."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def test_a_method_wants_weights(monkeypatch: Any, capsys: Any) -> None:
    """As in `rank`."""
    monkeypatch.setattr(view, "_need_screen", lambda: None)
    assert main(["view", "nowhere.h5", "--method", "comprw"]) == 2
    assert "--weights" in capsys.readouterr().err


@pytest.mark.parametrize("stdin", ["terminal", "pipe"])
def test_it_draws_on_a_terminal_and_leaves_it(stores: Path, stdin: str) -> None:
    """Keys come from the terminal, also where paths came through a pipe; q ends with 0."""
    pytest.importorskip("textual")
    shell = f'{sys.executable} -m compread view "$0"'
    if stdin == "pipe":
        shell = f'ls "$0"/* | {sys.executable} -m compread view -'
    process, terminal = pty.fork()
    if not process:
        os.environ |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        os.execvp("bash", ["bash", "-c", shell, str(stores)])
    _until(terminal, b"mean of 3 runs")
    os.write(terminal, b"q")
    left = _until(terminal, b"\x1b[?1049l")
    assert b"Traceback" not in left
    status = os.waitpid(process, 0)[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


def _until(terminal: int, wanted: bytes) -> bytes:
    """What a terminal shows up to some bytes, which must come."""
    seen, end = b"", time.monotonic() + 120
    while wanted not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    return seen


def test_other_commands_do_not_load_it(stores: Path) -> None:
    """Nor the command's own help."""
    store = str(stores / "sst2-t1-k4-s0.h5")
    code = (
        "import sys; from compread.cli import main; main(['rank', sys.argv[1]]); "
        "main(['view', '--help']); assert not {m for m in sys.modules if 'textual' in m}"
    )
    subprocess.run([sys.executable, "-c", code, store], capture_output=True, check=True)

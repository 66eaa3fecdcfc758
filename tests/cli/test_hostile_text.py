"""Names from data, files and models are shown, never obeyed, in every command and form."""

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pytest

from compread.cli import main
from compread.text import printable

EVIL = "a\x1b[2J\x07\u202eb[red]\x9b\u2066$x_{\\q$</style><script>alert(1)</script>"
FORMS = ("table", "md", "latex", "json")


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_store):
    """A store whose every text is hostile, its file's name too."""
    folder = tmp_path_factory.mktemp("evil")
    named = {
        key: EVIL
        for key in ("model", "task", "template", "template_text", "command", "sample_prompt")
    }
    return write_store(
        folder / "e\x1b]0;owned\x07\u202e[red].h5", words=(" no\x1b[31m", f" {EVIL}"), **named
    )


COMMANDS = {
    "show": ["show", "{}"],
    "show whole": ["show", "{}", "--prompt"],
    "status": ["status", "{}"],
    "rank": ["rank", "{}"],
    "analyze": ["analyze", "{}", "--table", "runs", "--table", "layers"],
    "reweight": ["reweight", "{}", "--methods", "full"],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_acts_on_the_terminal(store, capsys, command, form):
    """Every form for people, and JSON, is visible text and line breaks only."""
    arguments = [a.format(store) for a in COMMANDS[command]]
    assert main([*arguments, "--format", form]) == 0
    out, err = capsys.readouterr()
    assert (out + err).replace("\n", "").isprintable()
    if form == "json":
        assert json.loads(out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["rank", "{}", "--heatmap"],
        ["plot", "scatter", "{}", "-o", "-"],
        ["plot", "bias", "{}", "-o", "-"],
        ["rank", "{}\x1b[2J"],
        ["rank", "{}", "--\x1b[2J"],
        ["rank", "{}", "--by", "\x1b[2J\u202e"],
        ["\x1b[2J"],
        ["tasks", "show", "\x1b[2J\u202e"],
        ["tasks", "validate", "\x1b[2J.yaml"],
        ["check", "./\x1b[2J"],
        ["reweight", "{}", "--apply", "\x1b[2J"],
        ["predict", "--model", "\x1b[2J", "--weights", "\x1b[2J", "--input", "-"],
    ],
    ids=range(12),
)
def test_drawings_and_errors_are_safe_too(store, capsys, arguments):
    """What is drawn, and whatever is said of a wrong name, has no control characters."""
    main([a.format(store) for a in arguments])
    out, err = capsys.readouterr()
    assert (out + err).replace("\n", "").isprintable()


def test_json_and_csv_in_a_file_are_exact(store, capsys):
    """What a program reads is the very text that the store has."""
    assert main(["show", str(store), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["task"] == EVIL
    assert main(["show", str(store), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert EVIL in {value for row in rows for value in row.values()}


def on_a_terminal(arguments):
    """What a command prints on a terminal."""
    main_end, end = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    command = [sys.executable, "-m", "compread", *arguments]
    with subprocess.Popen(command, stdout=end, stderr=end, env=environment):
        os.close(end)
        said = b""
        while True:
            try:
                block = os.read(main_end, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            said += block
    os.close(main_end)
    return said.decode().replace("\r\n", "\n")


def test_csv_on_a_terminal_is_safe(store):
    """The one exact form with no escapes of its own is escaped where a person reads it."""
    said = on_a_terminal(["show", str(store), "--format", "csv"])
    assert printable(EVIL) in said.replace('""', '"') and said.replace("\n", "").isprintable()


def test_the_report_escapes_and_draws_any_name(store, tmp_path, capsys):
    """Markup in names stays text on the page, and a dollar sign is no formula."""
    assert main(["report", str(store), "-o", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert page.replace("\n", "").isprintable()
    assert main(["report", str(store), "-o", "-"]) == 0
    assert capsys.readouterr().out.rpartition("<footer>")[2] == page.rpartition("<footer>")[2]


@pytest.mark.parametrize("kind", ["scatter", "heatmap", "transfer", "bias"])
def test_every_plot_draws_any_name(store, tmp_path, kind):
    """`$` and the like in titles, ticks, axes and legends are drawn as they are."""
    arguments = [str(store)] if kind != "transfer" else [str(store), str(_copy(store, tmp_path))]
    assert main(["plot", kind, *arguments, "-o", str(tmp_path / "p.svg")]) == 0


def _copy(store, folder):
    (folder / "again.h5").write_bytes(store.read_bytes())
    return folder / "again.h5"


TRACEBACK = """
import sys, warnings
from compread import cli
import compread.store
def fail(*_):
    warnings.warn("w\\x1b[2J", UserWarning)
    raise RuntimeError("t\\x1b[2J\\u202e")
compread.store.gather = fail
sys.argv = ["compread", "rank", "x.h5"]
sys.exit(cli.main())
"""


def test_warnings_and_tracebacks_are_safe():
    """Even what no command foresaw goes through the one door."""
    done = subprocess.run([sys.executable, "-c", TRACEBACK], capture_output=True, text=True)
    assert done.returncode == 1 and "UserWarning: w\\x1b[2J" in done.stderr
    assert done.stderr.rstrip().endswith("RuntimeError: t\\x1b[2J\\u202e")
    assert done.stderr.replace("\n", "").isprintable()

"""What is true of every command line: statuses, one-line errors, quiet pipes, quick starts."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import compread
from compread import cli
from compread.cli import main
from compread.cli.values import complaint
from compread.errors import CompreadError, ResumableError, StoreError, SumError


def process(*arguments, raw=False, **kwargs):
    """A real ``compread`` process; its output as text, or as bytes where ``raw``."""
    command = [sys.executable, "-m", "compread", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=not raw, env=environment, **kwargs)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(capsys, arguments):
    """Help goes to stdout with status 0, in order of use, and ends in an example."""
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    names = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line]
    assert [n for n in names if n in ("analyze", "rank", "show")] == ["analyze", "rank", "show"]
    assert "compread rank out.h5" in out.splitlines()[-1] and err == ""


@pytest.mark.parametrize("command", [c.name for c in cli.app.registered_commands])
def test_every_commands_help_ends_in_an_example(capsys, command):
    """The last lines of a command's help can be pasted."""
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    text, _, example = out.partition("Example:")
    assert f"compread {command} " in example
    assert max(map(len, text.splitlines())) <= 80


def test_version(capsys):
    """``--version`` prints the version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"compread {compread.__version__}\n"


def test_warnings_and_faults_of_a_process_are_safe_for_a_terminal():
    """What no command foresaw, and what a library warns of: as Python says it, without escapes."""
    code = (
        "import sys, warnings; from compread.cli import main; "
        "sys.argv[1:] = ['--version']; main(); "
        "warnings.warn('\\x1b[31mred'); raise ValueError('\\x1b]0;title')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "compread"], capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, f"compread {compread.__version__}\n")
    assert "UserWarning: \\x1b[31mred" in lines[0] and lines[-1] == "ValueError: \\x1b]0;title"
    assert "Traceback (most recent call last):" in lines and "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnak"], "rnak"),
        (["rank"], "STORE"),
        (["rank", "x.h5", "--topp", "3"], "--topp"),
        (["rank", "x.h5", "--top", "many"], "--top"),
        (["rank", "x.h5", "--top", "-1"], "--top"),
        (["plot", "fog", "x.h5", "-o", "-"], "'fog' is not one of scatter"),
        (["rank", "x.h5", "--format", "xml"], "is not one of table, json, csv, md"),
    ],
)
def test_usage_errors_are_two_plain_lines(capsys, arguments, words):
    """A wrong command line ends with status 2, and stderr says what and where to read on."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    complaint, hint = err.splitlines()
    assert complaint.startswith("error: ") and words in complaint and out == ""
    assert hint.startswith("see: compread") and hint.endswith("--help")


KINDS = "scatter, heatmap, transfer, bias, training, change, weights, reliability, layers, "
KINDS += "learning, waterfall"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["plot", "scater", "x.h5", "-o", "-"],
            f"KIND 'scater' is not one of {KINDS}; did you mean 'scatter'?",
        ),
        (["rank", "x.h5", "--split", "zzz"], "--split 'zzz' is not one of train, test"),
        (
            ["rank", "x.h5", "--format", "jsn"],
            "--format 'jsn' is not one of table, json, csv, md, latex, parquet; did you mean "
            "'json'?",
        ),
        (
            ["plot", "scatter", "x.h5", "-o", "x.png", "--style", "papr"],
            "--style 'papr' is not one of paper, talk; did you mean 'paper'?",
        ),
        (
            ["rank", "x.h5", "--kind", "heds"],
            "--kind 'heds': did you mean 'heads'? expected embed, head, mixer, mlp, bias, "
            "normalizer or all",
        ),
        (["rank", "x.h5", "--top", "-1"], "--top -1: expected a whole number from 0 on"),
        (["rank", "x.h5", "--top", "ten"], "--top ten: expected a whole number"),
        (["analyze", "x.h5", "--top", "0"], "--top 0: expected a whole number from 1 on"),
        (["rank", "x.h5", "--alpha", "small"], "--alpha small: expected a number"),
        (["plot", "scatter", "x", "--styl", "talk"], "no such option: --styl; did you mean "
         "'--style'?"),
        (["rank", "x.h5", "--zzz", "3"], "no such option: --zzz"),
    ],
)  # fmt: skip
def test_a_value_that_is_none_is_answered_with_what_was_meant(capsys, arguments, complaint):
    """Whatever the command: the value, what was expected, and the nearest that there is."""
    assert main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[0] == f"error: {complaint}"


@pytest.mark.parametrize(
    ("kind", "limits", "value", "expected"),
    [
        ("IntRange", {"min": 1}, "0", "a whole number from 1 on"),
        ("FloatRange", {"max": 1}, "1.5", "a number of 1 at most"),
        ("FloatRange", {"min": 0, "min_open": True}, "0.0", "a number above 0"),
        ("FloatRange", {"max": 1, "max_open": True}, "1.0", "a number below 1"),
        ("IntRange", {}, "ten", "a whole number"),
        ("FloatRange", {}, "ten", "a number"),
    ],
)
def test_numbers_are_asked_for_alike_whoever_reads_them(kind, limits, value, expected):
    """Of typer's versions some hand on what click says of a number, and others what pydantic."""
    click = pytest.importorskip("click")
    option = click.Option(["--top"], type=getattr(click, kind)(**limits))
    with pytest.raises(click.BadParameter) as raised:
        option.type.convert(value, option, None)
    assert complaint(raised.value) == f"--top {value}: expected {expected}"


def test_a_variable_is_named_where_it_is_wrong(capsys, monkeypatch):
    """Not the option, which nobody gave."""
    monkeypatch.setenv("COMPREAD_FORMAT", "jsn")
    assert main(["rank", "x.h5"]) == 2
    assert capsys.readouterr().err.startswith("error: COMPREAD_FORMAT 'jsn' is not one of table")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CompreadError("wrong"), 1, "error: wrong"),
        (SumError("off by one"), 3, "error: off by one"),
        (StoreError("s.h5: no such store"), 4, "error: s.h5: no such store"),
        (ResumableError("stopped"), 5, "error: stopped"),
        (OSError(28, "No space left on device", "s.h5"), 1, "error: s.h5: No space left on device"),
        (PermissionError("not yours"), 1, "error: not yours"),
        (MemoryError("4 GiB"), 1, "error: out of memory: 4 GiB"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("5 rows are kept"), 130, "5 rows are kept"),
    ],
)
def test_errors_are_one_line_and_a_status(capsys, monkeypatch, error, status, line):
    """What a command raises becomes one line on stderr and its exit status."""

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr("compread.store.gather", fail)
    assert main(["rank", "x.h5"]) == status
    assert capsys.readouterr().err.strip() == line


def test_underscores_may_stand_for_hyphens(capsys, stores):
    """Option names and choices take both spellings."""
    store = str(stores / "sst2-t1-k4-s0.h5")
    outs = []
    for value in ("accuracy_low", "accuracy-low"):
        assert main(["rank", store, "--by", value]) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1]


SLOW = """
import signal, sys, time
# A shell starts its background jobs, tests among them, deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from compread import cli
import compread.store
def wait(*_):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
compread.store.gather = wait
sys.exit(cli.main(["rank", "x.h5"]))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_unwind(number, status):
    """Ctrl-C and SIGTERM run the clean-up of whatever is open, then give their status."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SLOW], **pipes) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (status, "cleaned up\n")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["rank", "-"], 4, "cannot be read (embedded null"),
        (["status", "-"], 4, "cannot be read (embedded null"),
        (["rank", "loop"], 4, "cannot be read ("),
        (["status", "loop"], 4, "cannot be read ("),
        (["rank", "n" * 300], 4, "cannot be read (File name too long)"),
        (["show", ""], 4, "is empty"),
        (["status", ""], 4, "is empty"),
        (["report", "a.h5", "-o", ""], 2, "is empty"),
        (["plot", "heatmap", "a.h5", "-o", ""], 2, "expected a name that ends in"),
        (["reweight", "a.h5", "--save", ""], 2, "is empty"),
        (["reweight", "a.h5", "--save", "-"], 1, "standard output"),
        (["extract", "--model", "m", "--tasks", "sst2", "-o", "-"], 2, "a store is a file"),
        (["extract", "--model", "m", "--tasks", "sst2", "-o", ""], 2, "is empty"),
        (["demo", "-o", ""], 2, "is empty"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_paths_that_cannot_be(tmp_path, monkeypatch, capsys, arguments, status, words):
    """A NUL, a loop of links, a name too long, no name: one line and the command's status."""
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\0b.h5\n")))
    assert main(arguments) == status
    err = capsys.readouterr().err
    assert err.startswith("error: ") and words in err and len(err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == [tmp_path / "loop"]


@pytest.mark.parametrize("command", ["rank", "status", "show", "reweight"])
@pytest.mark.parametrize(("owner", "failing"), [(os, "scandir"), (Path, "is_dir")])
def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch, capsys, command, owner, failing):
    """Of a folder of stores without permission it is said so, with the status of stores."""

    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(owner, failing, refuse)
    assert main([command, str(tmp_path)]) == 4
    assert "cannot be read (Permission denied)" in capsys.readouterr().err


def test_a_home_that_no_shell_has_named(stores, tmp_path, monkeypatch, capsys):
    """``--out=~/page.html`` reaches the program as it is, and means the home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["report", str(stores / "sst2-t1-k4-s0.h5"), "--out=~/page.html"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/page.html\n"
    assert (tmp_path / "page.html").is_file()


def test_names_that_are_not_utf_8(stores, tmp_path):
    """A path's own bytes go into a pipe; every form shows it, and none dies of it."""
    name = os.fsdecode(b"caf\xe9.h5")
    (tmp_path / name).write_bytes((stores / "sst2-t1-k4-s0.h5").read_bytes())
    for form in ("table", "json", "parquet"):
        done = process("status", name, "--format", form, cwd=tmp_path, raw=True)
        assert (done.returncode, done.stderr) == (0, b"")
    done = process("report", name, "-o", os.fsdecode(b"p\xe9.html"), cwd=tmp_path, raw=True)
    assert (done.returncode, done.stdout) == (0, b"p\xe9.html\n")


def test_the_sigterm_handler_is_put_back():
    """After a command line in-process, SIGTERM does what it did before."""
    before = signal.getsignal(signal.SIGTERM)
    main(["--version"])
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_reader_that_left_is_no_error(stores, form):
    """Behind a closed pipe, as ``| head`` leaves it, nothing is said and the status is 141."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "compread", "rank", str(stores), "--format", form]
    with os.fdopen(write, "w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


FULL = "error: stdout: No space left on device\n"


@pytest.mark.parametrize(
    ("shell", "status", "out"),
    [
        ("{} --help >/dev/full", 1, FULL),
        ("{} rank {} >/dev/full", 1, FULL),
        ("{} rank {} --format parquet >/dev/full", 1, FULL),
        ("PYTHONUNBUFFERED=1 {} --version >/dev/full", 1, FULL),
        ("PYTHONUNBUFFERED=1 {} show {} >/dev/full", 1, FULL),
        ("{} rank {} >&-", 0, ""),
        ("{} rank {} 2>/dev/full >&-", 0, ""),
        ("{} rank nowhere.h5 2>/dev/full", 4, ""),
        (
            "{} status - <&-",
            4,
            "error: no store paths on stdin: - wants one path a line, as extract prints them\n",
        ),
        ("{} rank nowhere.h5 2>&-", 4, ""),
        ("{} rank {} --format csv | head -1 | cut -c 1-14", 0, "rank,component\n"),
        (
            r"printf '\xe9.h5\n' | {} rank -",
            4,
            "error: \\udce9.h5: no such store: `compread extract` makes one\n",
        ),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {} show {} | wc -l >/dev/null", 0, ""),
    ],
)
def test_streams_of_all_kinds(stores, shell, status, out):
    """A full disk is one line, a closed stream is no error, an ASCII locale neither."""
    store = stores / "sst2-t1-k4-s0.h5"
    line = shell.format(f"{sys.executable} -m compread", store)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (status, out)


@pytest.mark.parametrize("arguments", [["--help"], ["rank", "STORE"], ["show", "STORE"]])
def test_light_commands_import_nothing_heavy(stores, arguments):
    """Help needs no NumPy, reading a store neither torch nor SciPy's statistics."""
    store = str(stores / "sst2-t1-k4-s0.h5")
    arguments = [store if a == "STORE" else a for a in arguments]
    code = (
        "import sys; from compread.cli import main; status = main(sys.argv[1:]);"
        "print(*sorted(sys.modules), file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    heavy = {"torch", "transformers", "datasets", "scipy.stats", "matplotlib"}
    if arguments == ["--help"]:
        heavy |= {"numpy", "h5py"}
    assert "compread.cli.rank" in modules and not heavy & modules


def test_the_module_is_the_command():
    """``python -m compread`` passes on the status."""
    done = process("show", "nowhere.h5")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: nowhere.h5") and done.stderr.count("\n") == 1


def test_the_shell_gets_completions():
    """Bash, asking what may follow ``compread r``, hears ``rank``."""
    asked = {"_COMPREAD_COMPLETE": "complete_bash", "COMP_WORDS": "compread r", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "compread"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked})
    assert done.returncode == 0 and "rank" in done.stdout.split()

"""What ``--help`` shows, and what the environment may set."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from compread.cli import app, main
from compread.cli.help import ONLY_IN, PANELS, VARIABLES, every_command
from compread.views.plots.kinds import PLOTS

ROOT: Any = get_command(app)
NAMES = [name for name, _ in every_command(ROOT)]


def help_of(capsys: Any, name: str) -> str:
    """The help of a command, its examples aside."""
    assert main([*name.split(), "--help"]) == 0
    return str(capsys.readouterr().out.partition("Example:")[0])


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_too_long(capsys: Any, monkeypatch: Any, name: str, columns: int) -> None:
    """Nor is a word broken: each is one of those of a wide terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    wide = set(help_of(capsys, name).split())
    monkeypatch.setenv("COLUMNS", str(columns))
    out = help_of(capsys, name)
    assert max(map(len, out.splitlines())) <= columns and set(out.split()) <= wide


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_is_off_until_it_is_given(name: str) -> None:
    """Only one with a switch for off may be on: no other could be turned off."""
    (command,) = [one for other, one in every_command(ROOT) if other == name]
    flags = [one for one in command.params if getattr(one, "is_flag", False)]
    assert [one.name for one in flags if one.default and not one.secondary_opts] == []


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", NAMES)
def test_examples_stay_commands_at_any_width(
    capsys: Any, monkeypatch: Any, name: str, columns: int
) -> None:
    """Long ones stand in several lines, which a shell reads as the one that they are."""
    (command,) = [one for other, one in every_command(ROOT) if other == name]
    whole = (command.epilog or "").partition("Example:\n")[2].rstrip("\n")
    monkeypatch.setenv("COLUMNS", str(columns))
    main([*name.split(), "--help"])
    narrow = capsys.readouterr().out.partition("Example:\n")[2].rstrip("\n")
    assert re.sub(r" \\\n +", " ", narrow) == whole
    assert max(map(len, narrow.splitlines()), default=0) <= columns


@pytest.mark.parametrize("name", [name for name in NAMES if name])
def test_each_command_has_an_example_of_its_own(capsys: Any, name: str) -> None:
    """Subcommands too; each line of theirs calls them."""
    main([*name.split(), "--help"])
    lines = capsys.readouterr().out.partition("Example:\n")[2].splitlines()
    commands = [line.strip() for line in lines if line.lstrip().startswith("compread ")]
    assert commands
    assert " " not in name or all(line.startswith(f"compread {name} ") for line in commands)


def test_the_options_are_in_panels(capsys: Any) -> None:
    """Model, prompts, run and output stand in this order, each option once, help last."""
    out = help_of(capsys, "extract")
    assert re.findall(r"^(\w+):$", out, re.MULTILINE) == ["Model", "Prompts", "Run", "Output"]
    names = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", out, re.MULTILINE)
    assert len(names) == len(set(names)) and out.split("Output:")[1].count("--help") == 1
    ranked = help_of(capsys, "rank")
    assert re.findall(r"^(\w+):$", ranked, re.MULTILINE) == ["Arguments", "Options", "Output"]


@pytest.mark.parametrize(
    ("name", "words"), [("rank", ["STORE"]), ("tasks", []), ("tasks show", ["TASK"])]
)
def test_arguments_stand_under_their_words(capsys: Any, name: str, words: list[str]) -> None:
    """Each with its help beside it; a command without any has no such panel."""
    out = help_of(capsys, name)
    panel = out.partition("Arguments:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\S+)  +\w", panel, re.MULTILINE) == words
    assert ("Arguments:" in out) == bool(words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plot", "KIND STORE..."),
        ("rank", "STORE..."),
        ("reweight", "[STORE]..."),
        ("tasks validate", "FILE..."),
        ("check", "[MODEL]"),
        ("tasks", "COMMAND [ARGS]..."),
    ],
)
def test_the_usage_has_the_arguments_words(capsys: Any, name: str, words: str) -> None:
    """In brackets where one may be left out, with dots where several may stand."""
    assert help_of(capsys, name).startswith(f"Usage: compread {name} [OPTIONS] {words}\n")


def test_the_kinds_of_plots_are_listed(capsys: Any) -> None:
    """A line or more each, behind the arguments."""
    panel = help_of(capsys, "plot").partition("\n\nKinds:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\w+)  +\w", panel, re.MULTILINE) == list(PLOTS)
    assert "  heatmap      a measure by layer and head; Figure 2\n" in panel


def test_a_file_is_called_one_and_results_go_to_output(capsys: Any) -> None:
    """Options for a single file say FILE in every command; --output is where it is written."""
    for command, option in (
        ("predict", "--weights"), ("plot", "--weights"), ("reweight", "--save"),
        ("reweight", "--apply"), ("extract", "--prompts"), ("extract", "--log"),
        ("predict", "--input"), ("tasks new", "--from"),
    ):  # fmt: skip
        assert f"  {option} FILE" in help_of(capsys, command)
    for command in ("plot", "report"):
        assert "  -o, --output, --out FILE" in help_of(capsys, command)


def test_each_option_of_a_panel_is_there() -> None:
    """No panel and no variable names an option that no command has."""
    there = {name for _, one in every_command(ROOT) for p in one.params for name in p.opts}
    named = {name for panel in PANELS.values() for name in panel} | set(VARIABLES)
    assert named <= there
    for command, options in ONLY_IN.items():
        one = {one.name: one for _, one in every_command(ROOT)}[command]
        assert set(options) <= {name for p in one.params for name in p.opts}


@pytest.mark.parametrize("name", NAMES)
def test_no_value_is_called_by_a_type_of_python(capsys: Any, name: str) -> None:
    """Such as ``<str>``, ``INTEGER RANGE`` or ``<list[str]>``."""
    assert not re.search(r"<[a-z]+( range)?>|<list\[|INTEGER|FLOAT", help_of(capsys, name))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_a_value_is_one_list_in_words(capsys: Any, name: str) -> None:
    """Default, variable and bound stand in one pair of brackets, as in ``at least 1``."""
    _, _, below = help_of(capsys, name).partition("\n")
    words = " ".join(below.split())
    assert "] [" not in words and not re.search(r"\bx ?[<>]", words)


def test_common_options_may_be_set_once(stores: Path, capsys: Any, monkeypatch: Any) -> None:
    """The help names the variables; the command line goes before them."""
    out = " ".join(help_of(capsys, "extract").split())
    assert {"COMPREAD_MODEL", "COMPREAD_DTYPE", "COMPREAD_DATA_DIR"} <= set(re.findall(r"\w+", out))
    assert "COMPREAD_MODEL" not in help_of(capsys, "demo")
    store = str(stores / "sst2-t1-k4-s0.h5")
    monkeypatch.setenv("COMPREAD_FORMAT", "json")
    monkeypatch.setenv("COMPREAD_SPLIT", "train")
    assert main(["rank", store]) == 0
    assert json.loads(capsys.readouterr().out)[0]["n"] == 10
    assert main(["rank", store, "--format", "csv", "--split", "test"]) == 0
    assert capsys.readouterr().out.startswith("rank,component,")
    monkeypatch.setenv("COMPREAD_FORMAT", "xml")
    assert main(["rank", store]) == 2
    assert "COMPREAD_FORMAT" in capsys.readouterr().err


def test_the_page_for_man_has_every_command_and_option(capsys: Any) -> None:
    """It is built of the commands' help, and groff finds nothing wrong in it."""
    assert main(["docs", "--man"]) == 0
    page = capsys.readouterr().out
    plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
    for name, command in every_command(ROOT):
        assert f".SS compread {name}\n" in plain
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.opts[-1] in plain
    assert set(VARIABLES.values()) <= set(re.findall(r"^COMPREAD_\w+", plain, re.MULTILINE))
    if shutil.which("groff"):
        command = ["groff", "-man", "-Tutf8", "-ww", "-z"]
        done = subprocess.run(command, input=page, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_line_of_the_page_is_no_request(capsys: Any) -> None:
    """Text that begins with a dot or holds a backslash is text for roff, too."""
    assert main(["docs", "--man"]) == 0
    lines = capsys.readouterr().out.splitlines()
    requests = {line.split()[0] for line in lines if line.startswith(".")}
    assert requests == {".TH", ".SH", ".SS", ".B", ".PP", ".TP", ".nf", ".fi"}
    assert any("LaTeX" in line or "\\elabel" in line for line in lines)


def test_a_variable_for_tasks_says_nothing_of_finished_prompts(
    tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    """With ``--prompts`` the data's folder of the environment is no mistake; a typed one is."""
    rows = [{"prompt": word, "label": f" {word}"} for word in ("x", "y")]
    file = tmp_path / "p.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    line = ["extract", "--model", str(tmp_path / "none"), "--prompts", str(file)]
    line += ["--labels", " x, y", "-o", str(tmp_path / "out.h5")]
    monkeypatch.setenv("COMPREAD_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COMPREAD_INCLUDE_PATH", str(tmp_path))
    assert main(line) == 1 and "none" in capsys.readouterr().err
    assert main([*line, "--data-dir", str(tmp_path)]) == 2
    assert "--prompts has finished prompts" in capsys.readouterr().err

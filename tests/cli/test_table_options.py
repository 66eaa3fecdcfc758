"""The options of every command that prints a table."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from compread.cli import app, main
from compread.cli.forms import tabular
from compread.views.choose import COLUMNS, check_columns, chosen
from compread.views.tables import as_tables

OPTIONS = {"--format", "--columns", "--caption", "--label", "--explain", "--no-notes"}


def run(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    """The status of a command line, and what it printed on either stream."""
    status = main([str(a) for a in arguments])
    return status, *capsys.readouterr()


def test_whoever_has_a_format_has_all_of_it() -> None:
    """No command prints tables with ``--format`` alone."""
    commands: Any = get_command(app)
    groups = [commands, *(c for c in commands.commands.values() if hasattr(c, "commands"))]
    found = []
    for command in (c for group in groups for c in (group, *group.commands.values())):
        names = {name for parameter in command.params for name in parameter.opts}
        if "--format" in names and command.name != "plot":
            found.append(command.name)
            assert names >= OPTIONS, command.name
    assert {"rank", "analyze", "reweight", "predictions", "show", "status", "check"} <= set(found)


def test_a_command_without_a_form_stays_as_it_is() -> None:
    """Nothing is added to it."""

    def command(name: str) -> None:
        """Nothing."""

    assert tabular(command) is command
    assert list(inspect.signature(command).parameters) == ["name"]


@pytest.mark.parametrize("form", ["table", "md", "latex", "csv", "json"])
@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["rank"], "category,component,margin"),
        (["analyze", "--table", "runs"], "best,store"),
        (["status"], "rows,store,state"),
        (["show"], "task,store"),
        (["predictions", "--top", "3"], "margin,row"),
        (["reweight", "--methods", "full"], "accuracy,method"),
    ],
)
def test_columns_in_every_command_and_form(
    stores: Path, capsys: Any, command: list[str], names: str, form: str
) -> None:
    """Those named, no others, in their order."""
    store = stores / "sst2-t1-k4-s0.h5"
    titled = ["--caption", "Title"] if form in ("table", "md", "latex") else []
    options = ["--columns", names, "--format", form, *titled]
    status, out, _ = run(capsys, *command, store, *options)
    assert status == 0
    wanted = names.split(",")
    if form == "csv":
        header = next(csv.reader(io.StringIO(out)))
        assert [name for name in header if name != "table"] == wanted
    elif form == "json":
        document = json.loads(out)
        rows = document if isinstance(document, list) else next(iter(document.values()))
        assert list(rows[0]) == wanted
    else:
        places = [out.index(name) for name in wanted]
        assert places == sorted(places) and "full_accuracy" not in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "acuracy"], "no column 'acuracy'; expected names of rank, component"),
        (["--columns", ","], "--columns is empty: expected names, such as component,accuracy"),
        (["--explain", "--no-notes"], "give one of the two"),
        (["--label", "tab:x"], "--label 'tab:x' is a LaTeX label: give it with --format latex"),
        (["--caption", "x", "--format", "csv"], "which --format csv is not: give --format latex"),
    ],
)
def test_what_cannot_be_is_said(stores: Path, capsys: Any, options: list[str], words: str) -> None:
    """Status 2 and one line."""
    status, out, err = run(capsys, "rank", stores / "sst2-t1-k4-s0.h5", *options)
    assert (status, out) == (2, "") and words in err and err.startswith("error: ")


@pytest.mark.parametrize("columns", ["40", "60"])
@pytest.mark.parametrize(
    "command",
    [
        ["rank"], ["rank", "--by", "ece", "--explain"], ["analyze"], ["status"], ["show"],
        ["predictions"], ["reweight", "--methods", "full,best-one", "--versus", "full"],
        ["reweight", "--methods", "full", "--metrics"], ["reweight", "--list-methods"], ["tasks"],
        ["docs"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_heading_is_broken(
    stores: Path, capsys: Any, monkeypatch: Any, command: list[str], columns: str
) -> None:
    """In a narrow terminal every word of a heading is one of those of a wide one."""
    inputs = [] if command[-1] in ("--list-methods", "tasks", "docs") else [stores]

    def heads() -> set[str]:
        out = run(capsys, *command, *inputs)[1]
        blocks = [part.partition("\n──")[0] for part in out.split("\n\n") if "──" in part]
        # The path of a store, which is a title, may be longer than a line.
        return {word for block in blocks for word in block.split() if not re.search("/|h5", word)}

    monkeypatch.setenv("COLUMNS", columns)
    narrow = heads()
    monkeypatch.setenv("COLUMNS", "400")
    assert narrow <= heads()


def test_without_a_home_in_ascii(stores: Path) -> None:
    """With ``LANG=C``, no HOME and stdout in a pipe all forms of a table are printed."""
    for form in ("table", "latex", "md", "csv", "json"):
        done = subprocess.run(
            [sys.executable, "-m", "compread", "rank", str(stores), "--format", form],
            capture_output=True,
            env={"LANG": "C", "PATH": os.environ["PATH"], "PYTHONUTF8": "0"},
        )
        assert (done.returncode, done.stderr) == (0, b"") and b"L0H0" in done.stdout


def words(text: str) -> list[str]:
    """The words of a heading or a key, interval and unit aside."""
    return re.findall(r"[^\W_]+", re.sub(r"\[.*\]|\(.*\)", "", text.lower()))


GROUPS = ("all", "heads", "mlps", "mixers")
"""Kinds that head a share of theirs."""


@pytest.mark.parametrize(
    "command",
    [
        ["rank"], ["rank", "--by", "ece"], ["rank", "--per", "template"],
        ["analyze", *(f"--table={name}" for name in ("runs", "layers", "transfer", "pairs"))],
        ["analyze", "--without", "L0H0"], ["show"],
        ["reweight", "--methods", "full,best-one", "--versus", "full", "--metrics"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_headings_are_the_names_of_json(stores: Path, monkeypatch: Any, command: list[str]) -> None:
    """Each word of a heading is one of its key, in that order."""
    seen: list[Any] = []

    def record(document: Any, view: Any, form: Any, table: Any = None) -> Any:
        seen.extend(as_tables(document, view))
        return chosen(document, view, form, table)

    monkeypatch.setattr("compread.cli.output.chosen", record)
    assert main([*command, str(stores)]) == 0
    columns = [column for table in seen for column in table.columns if column.header]
    assert columns
    for column in columns:
        heading = [word for word in words(column.one_line) if word not in GROUPS]
        rest = iter(words(column.key))
        assert all(word in rest for word in heading), (column.key, column.one_line)


MODES = [
    ["rank", "STORES", "--per", "seed", "--by", "ece"], ["rank", "STORES", "--by", "1 - mcc"],
    ["rank", "STORE", "--example", "row-12"], ["analyze", "STORES"],
    ["analyze", "STORES", "--table", "layers", "--table", "pairs"],
    ["analyze", "STORE", "--versus", "STORE"], ["analyze", "STORE", "--without", "heads"],
    ["analyze", "STORE", "--early-exit"], ["predictions", "STORE"],
    ["reweight", "STORES", "--methods", "full,best-one", "--versus", "full", "--metrics"],
    ["reweight", "STORE", "--methods", "full,best-one", "--oracle"],
    ["reweight", "--list-methods"], ["check", "llama"],
]  # fmt: skip


@pytest.mark.parametrize("mode", MODES, ids=" ".join)
def test_no_column_of_a_result_is_refused_before_it(
    stores: Path, monkeypatch: Any, mode: list[str]
) -> None:
    """Whatever a command prints, by its key or its heading."""
    seen: list[Any] = []
    module = import_module("compread.cli.output")
    monkeypatch.setattr(module, "chosen", lambda *asked: seen.append(asked) or chosen(*asked))
    places = {"STORES": str(stores), "STORE": str(stores / "sst2-t1-k4-s0.h5")}
    assert main([places.get(part, part) for part in mode]) == 0
    ((document, view, *_),) = seen
    lists = document.values() if isinstance(document, dict) else [document]
    names = {key for rows in lists for row in rows for key in row}
    for table in as_tables(document, view):
        names |= {name for column in table.columns for name in (column.key, column.one_line)}
    assert len(names) > 5
    for name in names:
        check_columns([name], mode[0])


@pytest.mark.parametrize("command", sorted(COLUMNS))
def test_an_unknown_column_is_told_before_any_work(capsys: Any, command: str) -> None:
    """Not even the store is looked for."""
    status, out, err = run(capsys, command, "nowhere.h5", "--columns", "stoer,acuracy")
    assert (status, out) == (2, "")
    assert err.startswith("error: --columns stoer,acuracy: there is no column 'stoer'; expected")
    names = err.partition("expected names of ")[2].partition(";")[0].split(", ")
    assert len(set(names)) == len(names)


def test_a_binary_result_is_refused_before_any_work(capsys: Any, monkeypatch: Any) -> None:
    """Where stdout is a terminal, in every command alike."""
    for command in ("rank", "analyze", "predictions", "reweight", "status", "show"):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        status, out, err = run(capsys, command, "nowhere.h5", "--format", "parquet")
        assert (status, out) == (2, "") and "is binary: send it to a file" in err


def test_models_are_named_by_their_base_names(
    write_store: Any, tmp_path: Path, capsys: Any
) -> None:
    """In tables and notes; JSON has the whole path, and so has the line of ``show``."""
    for name in ("a", "b"):
        one: Any = {"model": f"/far/away/{name}.gguf", "fingerprint": name, "prompt_set": "same"}
        write_store(tmp_path / f"{name}.h5", **one)
    _, out, err = run(capsys, "rank", tmp_path, "--across-models", "--per", "model", "--explain")
    assert "/far" not in out + err.replace(str(tmp_path), "") and "a.gguf" in out
    _, out, err = run(capsys, "rank", tmp_path)
    assert "/far" not in err and "is of a.gguf in float32" in err
    runs = ["--across-models", "--table", "runs", "--columns", "store,model"]
    _, out, _ = run(capsys, "analyze", tmp_path, *runs)
    assert "a.gguf" in out and "/far" not in out
    _, out, _ = run(capsys, "reweight", tmp_path, "--methods", "full")
    assert "/far" not in out
    _, out, _ = run(capsys, "show", tmp_path / "a.h5")
    assert out.count("/far/away/a.gguf") == 1
    _, out, _ = run(capsys, "analyze", tmp_path / "a.h5", "--format", "json")
    assert '"model": "/far/away/a.gguf"' in out


def test_sums_up_to_layers_have_each_of_their_columns(stores: Path, capsys: Any) -> None:
    """Those of the grid, or of its rows, with the digits, the title and the names of tables."""
    store = stores / "sst2-t1-k4-s0.h5"
    _, out, _ = run(capsys, "analyze", store, "--early-exit", "--columns", "layer,all")
    assert "Accuracy up to each layer" in out and "full model" in out
    columns = ["--columns", "layer,sum,accuracy,margin"]
    _, out, _ = run(capsys, "analyze", store, "--early-exit", *columns)
    assert "Accuracy up to each layer" in out and "[95 % interval]" in out
    assert re.search(r"^0 +all +0\.\d{3} \[\.\d\d, \.\d\d\] +[+-]\d\.\d\d$", out, re.MULTILINE)
    status, _, err = run(capsys, "analyze", store, "--early-exit", "--columns", "attention",
                         "--format", "csv")  # fmt: skip
    assert status == 2 and "there is no column 'attention'" in err

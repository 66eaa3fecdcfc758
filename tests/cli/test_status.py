"""``status``: which runs of a folder are finished, partial, damaged or missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AXIS, make_run
from stores import rot

from compread.cli import main
from compread.store import Asked, Labels, RunList, SplitRows, StoreWriter

ENDED = ("2025-01-01", "00:00")


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Times are told in UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def stop_after(path: Path, n: int, total: int = 12) -> None:
    """A run of ``total`` test rows that stops after ``n``."""
    rows = [f"r{i}" for i in range(total)]
    splits = {"train": SplitRows([], [], []), "test": SplitRows([0] * total, rows, rows)}
    with StoreWriter.open(
        path, make_run(template="t2"), AXIS, Labels((" a", " b"), (1, 2)), splits
    ) as w:
        parts = np.zeros((n, len(AXIS), 2), np.float32)
        w.append(range(n), parts, np.zeros((n, 2)), np.zeros(n), np.ones(n))


@pytest.fixture
def folder(tmp_path: Path, write_store: Any) -> Path:
    """A finished, a partial and a damaged run."""
    write_store(tmp_path / "a.h5", n_train=4, n_test=6)
    stop_after(tmp_path / "b.h5", 5)
    whole = write_store(tmp_path / "c.h5").read_bytes()
    (tmp_path / "c.h5").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_states(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each run is told with its rows and what it is a run of, in name order."""
    assert main(["status", str(folder), str(folder / "d.h5"), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    told = [(Path(r["store"]).name, r["state"], r["rows"], r["total"], r["template"]) for r in rows]
    assert told == [
        ("a.h5", "finished", 10, 10, "t1"),
        ("b.h5", "partial", 5, 12, "t2"),
        ("c.h5", "damaged", 0, 0, None),
        ("d.h5", "missing", 0, 0, None),
    ]
    assert [bool(r["reason"]) for r in rows] == [False, False, True, False]


@pytest.mark.parametrize("width", ["80", "120"])
def test_table(
    folder: Path, width: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """The table names each file whole; what is wrong stands below it, with the way out."""
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.chdir(folder)
    assert main(["status", "."]) == 0
    table, _, below = capsys.readouterr().out.partition("\n\n")
    assert [line.split() for line in table.splitlines()[2:]] == [
        ["a.h5", "finished", "10/10", *ENDED],
        ["b.h5", "partial", "5/12"],
        ["c.h5", "damaged", "0/0"],
    ]
    said = " ".join(below.split())
    assert said.startswith("1 finished, 1 partial, 1 damaged. A partial run goes on")
    assert "c.h5: the store is damaged or cut short" in said and "--force" in said


def test_paths_on_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """``-`` reads paths; one named twice is told once."""
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{folder}/a.h5\n\n{folder}/a.h5\n"))
    assert main(["status", "-", "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith(f"{folder}/a.h5,finished,10,10")


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a run is an error of the stores' kind."""
    assert main(["status", str(tmp_path)]) == 4
    out, err = capsys.readouterr()
    assert out == "" and "no stores (*.h5), finished or not" in err


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder must be there; a store need not, for its run may come."""
    assert main(["status", str(tmp_path / "nothing")]) == 4
    assert f"there is no folder {tmp_path / 'nothing'}" in capsys.readouterr().err
    assert main(["status", str(tmp_path / "later.h5")]) == 0


def test_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--verify`` rotten numbers are told with their place, and the status is 4."""
    (folder / "c.h5").unlink()
    command = ["status", str(folder), "--format", "json"]
    assert main([*command, "--verify"]) == 0
    rot(folder / "a.h5")
    capsys.readouterr()
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "finished"
    assert main([*command, "--verify"]) == 4
    rows = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in rows] == ["damaged", "partial"]
    assert (
        "a.h5: the store is damaged or cut short at /test/parts, rows 0 to 5" in rows[0]["reason"]
    )


def test_what_blocks_nobody(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A FIFO named like a store or a journal is told as such, beside the others."""
    os.mkfifo(folder / "d.h5")
    os.mkfifo(folder / "e.h5.partial")
    assert main(["status", str(folder), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in rows] == ["finished", "partial", *["damaged"] * 3]
    assert all("not a regular file" in row["reason"] for row in rows[3:])
    assert main(["rank", str(folder / "d.h5")]) == 4
    assert "d.h5: is not a regular file, wanted a store" in capsys.readouterr().err


def test_a_store_that_is_open_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is called busy, with the advice to wait and none to extract it anew."""
    import h5py

    shutil.copy(folder / "a.h5", folder / "b2.h5")
    with h5py.File(folder / "a.h5", "r+"):  # in this process
        assert main(["rank", str(folder / "a.h5")]) == 4
    said = [capsys.readouterr().err]
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, folder / "b2.h5"], **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()
        for setting in ("FALSE", "TRUE"):  # whether HDF5 goes by locks is read in a new process
            command = [sys.executable, "-m", "compread", "rank", str(folder / "b2.h5")]
            environment = {**os.environ, "HDF5_USE_FILE_LOCKING": setting}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert done.returncode == 4
            said.append(done.stderr)
        other.communicate("\n")
    for err in said:
        assert "has it open for writing" in err and "wait until" in err, err
        assert "--force" not in err


def test_what_waits_and_how_long_it_takes(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """What the folder was asked for waits; times stand beside, and when all will be done."""
    monkeypatch.chdir(folder)
    (folder / "c.h5").unlink()
    listed = RunList(folder)
    listed.ask({f"{name}.h5": Asked(10, 1000.0, {"model": "tiny"}) for name in "aef"})
    listed.began("a.h5", 0)
    listed.ended("a.h5", 10, 4000.0)
    listed.failed("e.h5", "e.h5: its folder cannot be written")
    assert main(["status", ".", "--format", "json"]) == 0
    rows = {row["store"]: row for row in json.loads(capsys.readouterr().out)}
    assert [row["state"] for row in rows.values()] == ["finished", "partial", "waiting", "waiting"]
    assert rows["a.h5"]["seconds"] == 4000.0 and rows["e.h5"]["total"] == 10
    assert rows["e.h5"]["model"] == "tiny" and rows["e.h5"]["reason"].startswith("e.h5: its fold")
    assert rows["b.h5"]["asked"] is None and rows["f.h5"]["asked"].endswith("+00:00")
    assert main(["status", "."]) == 0
    table, _, below = capsys.readouterr().out.partition("\n\n")
    lines = [line.split() for line in table.splitlines()[2:]]
    assert lines[0] == ["a.h5", "finished", "10/10", "1", "h", "07", "min", *ENDED]
    assert lines[2:] == [["e.h5", "waiting", "0/10"], ["f.h5", "waiting", "0/10"]]
    said = " ".join(below.split())
    assert "The rest takes one process about 2 h 13 min; none is at work." in said
    assert "e.h5: its folder cannot be written" in said
    listed.ask({"b.h5": Asked(12, 1000.0, {"model": "tiny"})})
    monkeypatch.setattr("time.time", lambda: (folder / "b.h5.partial").stat().st_mtime + 60)
    assert main(["status", "."]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "About 2 h 52 min left, until 20" in said and "one process is at work." in said

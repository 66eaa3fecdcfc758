"""The list of what a folder was asked for: one of many calls, and what it says of time."""

from __future__ import annotations

import json
import multiprocessing
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from compread.errors import StoreError, TargetError
from compread.store import Asked, RunList
from compread.store.paths import in_model_folder
from compread.store.run_list import LIST_NAME, lists_below, read_list
from compread.store.states import (
    FINISHED,
    PARTIAL,
    WAITING,
    Outlook,
    StoreState,
    outlook,
    store_states,
)

NOON = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
RUN = {"model": "gpt2", "checkpoint": None, "task": "sst2", "template": "t", "shots": 4, "seed": 0}


def asked(rows: int = 10, **changes: Any) -> Asked:
    """A run to ask for."""
    return Asked(rows, 100.0, {**RUN, **changes})


def listing(folder: Path) -> RunList:
    """The folder's list at noon."""
    return RunList(folder, lambda: NOON)


def test_what_happens_to_a_run_is_read_back(tmp_path: Path) -> None:
    """Asked for, begun, not made, begun again with rows kept, and ended."""
    one, folder = listing(tmp_path / "new" / "folder"), tmp_path / "new" / "folder"
    one.ask({"a.h5": asked(), "b.h5": asked(seed=1)})
    at = "2026-11-27T12:00:00+00:00"
    assert read_list(folder) == {
        "a.h5": Asked(10, 100.0, RUN, at), "b.h5": Asked(10, 100.0, {**RUN, "seed": 1}, at),
    }  # fmt: skip
    one.began("a.h5", 0)
    one.failed("a.h5", "a.h5: the disk is full")
    assert read_list(folder)["a.h5"] == Asked(
        10, 100.0, RUN, at, began=at, reason="a.h5: the disk is full"
    )
    one.began("a.h5", 4)
    one.ended("a.h5", 10, 2.5)
    one.began("unknown.h5", 0)
    assert read_list(folder) == {
        "a.h5": Asked(10, 100.0, RUN, at, began=at, kept=4, ended=at, seconds=2.5),
        "b.h5": Asked(10, 100.0, {**RUN, "seed": 1}, at),
    }


def test_what_is_asked_again_is_one_run(tmp_path: Path) -> None:
    """A line is added for what is new or other, and for a run whose store was deleted."""
    one, path = listing(tmp_path), tmp_path / LIST_NAME
    one.ask({"a.h5": asked()})
    before = path.read_bytes()
    one.ask({"a.h5": asked()})
    assert path.read_bytes() == before
    one.ask({"a.h5": asked(rows=12), "b.h5": asked()})
    assert {name: of.rows for name, of in read_list(tmp_path).items()} == {"a.h5": 12, "b.h5": 10}
    one.ended("a.h5", 12, 1.0)
    one.ask({"a.h5": asked(rows=12)})
    assert read_list(tmp_path)["a.h5"].ended == ""
    one.ended("a.h5", 12, 1.0)
    (tmp_path / "a.h5").touch()
    one.ask({"a.h5": asked(rows=12)})
    assert read_list(tmp_path)["a.h5"].ended


def _ask(folder: Path, number: int) -> None:
    for n in range(20):
        RunList(folder).ask({f"p{number}-{n}.h5": asked(seed=n)})


def test_processes_side_by_side_add_to_one_list(tmp_path: Path) -> None:
    """Four processes ask for 20 runs each, and the list has all 80, each once."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_ask, args=(tmp_path, n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = (tmp_path / LIST_NAME).read_text().splitlines()
    assert sorted(json.loads(line)["asked"] for line in lines) == sorted(
        f"p{number}-{n}.h5" for number in range(4) for n in range(20)
    )


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_a_crash_cut_short_costs_no_other(tmp_path: Path, cut: int) -> None:
    """It says nothing, and what is added behind it begins a line of its own."""
    one, path = listing(tmp_path), tmp_path / LIST_NAME
    one.ask({"a.h5": asked()})
    one.ask({"b.h5": asked()})
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_list(tmp_path))[:1] == ["a.h5"]
    one.ask({"c.h5": asked()})
    assert {"a.h5", "c.h5"} <= set(read_list(tmp_path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"asked": 1}', "line 2: `asked` is 1, wanted str"),
        ('{"asked": "a", "at": "x", "rows": "many"}', "line 2: `rows` is 'many', wanted int"),
        ('{"ended": "a.h5", "at": "x"}', "line 2: `seconds` is None, wanted float"),
        ("not json}", "line 2: its JSON cannot be read"),
        ("[1]}", "line 2: its JSON cannot be read"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path: Path, line: str, message: str) -> None:
    """With its line, and that it can be deleted; what newer versions add is passed over."""
    listing(tmp_path).ask({"a.h5": asked()})
    path = tmp_path / LIST_NAME
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(StoreError, match=message) as told:
        store_states([tmp_path])
    assert "delete the list, which no store needs" in str(told.value)
    path.write_text(path.read_text().replace(line, '{"paused": "a.h5", "at": 3}'))
    assert list(read_list(tmp_path)) == ["a.h5"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the list and asks for another place."""
    tmp_path.chmod(0o500)
    with pytest.raises(TargetError, match="the list of runs cannot be written"):
        listing(tmp_path).ask({"a.h5": asked()})
    tmp_path.chmod(0o700)


def test_a_place_that_holds_something_else(tmp_path: Path) -> None:
    """A folder in the list's place is told as what cannot be written."""
    (tmp_path / LIST_NAME).mkdir()
    with pytest.raises(TargetError, match=r"list of runs cannot be written \(Is a directory\)"):
        listing(tmp_path).ask({"a.h5": asked()})


def test_states_of_what_was_asked_for(tmp_path: Path, write_store: Any) -> None:
    """Below a folder: what is there is as it is, what is not waits, what was deleted is gone."""
    below = tmp_path / "gpt2"
    one = listing(below)
    one.ask({f"{name}.h5": asked(rows=110) for name in "abc"})
    one.began("a.h5", 0)
    write_store(below / "a.h5")
    one.ended("a.h5", 110, 60.0)
    one.ended("c.h5", 110, 60.0)
    one.failed("b.h5", "b.h5: no room")
    (tmp_path / ".hidden").mkdir()
    listing(tmp_path / ".hidden").ask({"x.h5": asked()})
    assert lists_below(tmp_path) == [below]
    for given in ([tmp_path], [below / "a.h5", below / "b.h5"], [tmp_path, below]):
        first, second = store_states(given)
        assert (first.path, first.state, first.asked.seconds) == (below / "a.h5", FINISHED, 60.0)
        assert (second.path, second.state, second.total) == (below / "b.h5", WAITING, 110)
        assert second.run["template"] == "t" and second.reason == "b.h5: no room"
    (tmp_path / "alone").mkdir()
    listing(tmp_path / "alone").ask({"w.h5": asked()})
    assert [one.state for one in store_states([tmp_path / "alone"])] == [WAITING]


def state(state: str, done: int, touched: float = 0.0, **changes: Any) -> StoreState:
    """A run of 100 rows and 1,000 of work."""
    values: dict[str, Any] = {"model": "a", "began": "", "kept": 0, "seconds": 0.0, **changes}
    run = {"model": values.pop("model")}
    return StoreState(
        Path(f"{changes}"), state, done, 100, run, asked=Asked(100, 1000.0, **values),
        touched=touched,
    )  # fmt: skip


def test_what_is_left_by_what_was_taken() -> None:
    """Each model by its own pace, one without any by that of all; journals that grow are at work.

    Model a took 10 s for 500 of work and b 90 s for 1,000, so a run of a takes 20 s, of b 90 s and
    of c 1,000 at 1,500 in 100 s.
    """
    now = NOON.timestamp()
    at = NOON.isoformat()
    ended = [
        state(FINISHED, 100, began=at, kept=50, seconds=10.0),
        state(FINISHED, 100, model="b", began=at, seconds=90.0),
    ]
    left = [state(WAITING, 0), state(WAITING, 0, model="b"), state(WAITING, 0, model="c")]
    assert outlook(ended, now) is None and outlook(left, now) is None
    of_nothing = (
        state(FINISHED, 100, began=at),
        state(FINISHED, 100, began=at, kept=100, seconds=9.0),
    )
    assert outlook([*of_nothing, *left], now) is None
    found = outlook([*ended, *of_nothing, *left], now)
    assert found == Outlook(pytest.approx(20 + 90 + 1000 * 100 / 1500), 0)
    begun = state(PARTIAL, 60, now + 100, began=at, kept=20)  # 400 of work in 100 s
    found = outlook([begun, state(WAITING, 0)], now + 130)
    assert found == Outlook(pytest.approx(100 + 250), 1)
    assert outlook([begun, state(WAITING, 0)], now + 100 + 601).processes == 0


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("meta-llama/Llama-2-7b-hf", "Llama-2-7b-hf"),
        ("gpt2", "gpt2"),
        ("/models/My Model/", "My_Model"),
        ("/models/a.Q4_1.gguf", "a.Q4_1"),
    ],
)
def test_a_folder_a_model(model: str, name: str) -> None:
    """The base name of an id, a folder and a file, as a file's name can be."""
    assert in_model_folder(Path("stores/{model}"), model) == Path("stores", name)
    assert in_model_folder(Path("{model}-{x}.h5"), model) == Path(f"{name}-{{x}}.h5")
    assert in_model_folder(Path("stores"), model) == Path("stores")


def test_a_folder_of_the_model_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder's own name."""
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert in_model_folder(Path("{model}"), "./") == Path("mine")

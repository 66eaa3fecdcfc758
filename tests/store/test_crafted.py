"""Stores and journals whose checksums are right and whose content no run ever wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_sample import END, LABELS, RUN, C, K, N, append, open_writer, stop_after, write

from compread.errors import StoreError, TargetError
from compread.store import Axes, RunInfo, journal_path, open_store, partial_status
from compread.store.journal import Journal
from compread.store.kept import Header
from compread.store.states import store_states

GUARDED = {"fletcher32": True, "shuffle": True, "compression": "gzip"}


def set_run(path: Path, text: str) -> None:
    """Give a store another run, under a checksum that agrees."""
    with open_store(path) as store:
        checksum = store.axes.checksum(text)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        for name, value in {"run": text, "checksum": checksum}.items():
            data = value.encode()
            file.attrs[name] = np.array(data, h5py.string_dtype("utf-8", len(data)))


JUNK: list[Any] = [[], {}, [[]], "x", 10**400, -1.5, True, {"a": {"b": [None] * 9}}, "ab" * 500_000]
FIELDS = [f.name for f in fields(RunInfo)]


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that each case changes the run of."""
    return write(tmp_path_factory.mktemp("crafted") / "x.h5")


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_another_type(readable: Path, name: str) -> None:
    """Every field of a run is of its own type, whatever stands there instead."""
    kind = type(getattr(END, name))
    for junk in [*JUNK, None]:
        text = json.dumps({**END.to_dict(), name: junk})
        try:
            run = RunInfo.from_dict(json.loads(text))
        except StoreError as error:
            assert f"run.{name}" in str(error) and len(str(error)) < 300
        else:
            assert type(getattr(run, name)) in (kind, type(None), str, int, float, tuple, dict)
            assert json.loads(json.dumps(getattr(run, name))) == junk


RUNS: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "a list": (lambda run: "[]", "`run` is .*, wanted dict"),
    "text": (lambda run: '"x"', "`run` is 'x', wanted dict"),
    "no JSON": (lambda run: "{", "cannot be read"),
    "nested without end": (lambda run: "[" * 100_000, "nested too deep"),
    "a key twice": (lambda run: json.dumps(run)[:-1] + ', "seed": 1}', "'seed' stands twice"),
    "a field missing": (lambda run: json.dumps({**run, "seed": 0} | {"dtype": None}), "run.dtype"),
    "NaN": (lambda run: json.dumps({**run, "soft_cap": float("nan")}), "NaN is no number"),
    "400 digits": (lambda run: json.dumps({**run, "seed": 10**400}), "`run.seed` is 1000"),
    "classes of text": (
        lambda run: json.dumps({**run, "protocol": {"demo_labels": "ab"}}),
        "`run.protocol.demo_labels`",
    ),
    "a protocol without end": (
        lambda run: json.dumps({**run, "protocol": {"x": json.loads("[" * 99 + "]" * 99)}}),
        "`run.protocol` is",
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_crafted_run(tmp_path: Path, name: str) -> None:
    """Each is one line that calls the store damaged, on opening and in ``status``."""
    path = write(tmp_path / "x.h5")
    craft, words = RUNS[name]
    set_run(path, craft(END.to_dict()))
    with pytest.raises(StoreError, match=words) as caught:
        open_store(path)
    assert str(caught.value).startswith(f"{path}: the store is damaged")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    (state,) = store_states([tmp_path])
    assert state.state == "damaged" and state.reason == str(caught.value)


def test_a_missing_field(tmp_path: Path) -> None:
    """A run without one of its facts is named by it."""
    path = write(tmp_path / "x.h5")
    set_run(path, json.dumps({k: v for k, v in END.to_dict().items() if k != "dtype"}))
    with pytest.raises(StoreError, match=r"lacks a field: .*'dtype'"):
        open_store(path)


def declare(name: str, shape: tuple[int, ...], chunks: tuple[int, ...], kind: str) -> Any:
    """A dataset of zeros that declares more than it holds, or that shrank to nothing."""

    def edit(file: Any) -> None:
        del file[name]
        dataset = file.create_dataset(name, shape, kind, chunks=chunks, **GUARDED)
        dataset[: chunks[0]] = np.zeros((chunks[0], *shape[1:]), kind)

    return edit


BOMBS: dict[str, tuple[Any, str]] = {
    "components": (declare("components/name", (10**8,), (10**5,), "S5"), "declares|100000000"),
    "rows": (declare("test/gold", (10**9,), (10**5,), "i8"), "declares"),
    "ids": (declare("test/id", (10**7,), (10**5,), "S8"), "declares"),
    "fewer rows": (declare("test/gold", (10**6,), (10**5,), "i8"), "declares"),
    "text": (declare("test/id", (13,), (1,), "S4000000"), "declares"),
    "a long text": (declare("test/id", (13,), (1,), "S8000000"), "declares"),
    "a large piece": (declare("test/gold", (10**6,), (10**6,), "i8"), "not in some whole rows"),
    "numbers": (declare("test/parts", (13, C, 10**6), (1, C, 10**6), "f4"), "declares"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_more_than_the_file_can_hold(tmp_path: Path, name: str) -> None:
    """What a few bytes declare is refused before memory is asked for."""
    path = write(tmp_path / "x.h5")
    edit, words = BOMBS[name]
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        edit(file)
    with pytest.raises(StoreError, match=words):
        open_store(path)


@pytest.mark.parametrize("name", ["test/parts", "test/gold", "labels/word", "test", "components"])
def test_an_attribute_below_the_file(tmp_path: Path, name: str) -> None:
    """No run writes one, and nothing guards it."""
    path = write(tmp_path / "x.h5")
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file[name].attrs["scale"] = 2.0
    with pytest.raises(StoreError, match=f"/{name} has 1 attributes, which are no part of a store"):
        open_store(path)


def header(**changes: Any) -> bytes:
    """The sample's header with some of it replaced."""
    axes = Axes(open_axes().components, LABELS, open_axes().splits)
    values = json.loads(Header(RUN, axes).to_bytes())
    return json.dumps({**values, **changes}).encode()


def open_axes() -> Axes:
    """The sample's axes."""
    from store_sample import COMPONENTS, ROWS

    return Axes(COMPONENTS, LABELS, ROWS)


def edited(part: str, **changes: Any) -> Callable[[], bytes]:
    """A header whose axes are changed in one part."""

    def make() -> bytes:
        axes = open_axes().to_dict()
        return header(axes={**axes, part: {**axes[part], **changes}})

    return make


HEADERS: dict[str, Callable[[], bytes]] = {
    "no JSON": lambda: b"{",
    "a list": lambda: b"[]",
    "nested without end": lambda: b"[" * 100_000,
    "no run": lambda: header(run=None),
    "a run of text": lambda: header(run="x"),
    "batch of text": lambda: header(run={**RUN.to_dict(), "batch_tokens": "many"}),
    "no axes": lambda: header(axes=None),
    "replace of text": lambda: header(replace="yes"),
    "no labels": lambda: header(axes={**open_axes().to_dict(), "labels": None}),
    "labels of text": edited("labels", word="abc"),
    "labels of numbers": edited("labels", word=[1, 2, 3]),
    "fewer tokens": edited("labels", token_id=[1]),
    "a label twice": edited("labels", word=["a", "a", "b"]),
    "no splits": lambda: header(axes={**open_axes().to_dict(), "splits": []}),
    "another split": edited("splits", dev={"gold": [], "id": [], "prompt_hash": []}),
    "gold outside": edited("splits", test={"gold": [9], "id": ["a"], "prompt_hash": ["h"]}),
    "gold below": edited("splits", test={"gold": [-1], "id": ["a"], "prompt_hash": ["h"]}),
    "an id twice": edited(
        "splits", test={"gold": [0, 0], "id": ["a"] * 2, "prompt_hash": ["h"] * 2}
    ),
    "rows of nothing": edited("splits", test=None),
    "no components": lambda: header(axes={**open_axes().to_dict(), "components": []}),
    "another kind": lambda: header(axes={**open_axes().to_dict(), "components": [["x", 0, 0]]}),
    "a component twice": lambda: header(
        axes={**open_axes().to_dict(), "components": [["mlp", 0, -1]] * 2}
    ),
    "no such layer": lambda: header(
        axes={**open_axes().to_dict(), "components": [["head", -1, 2]]}
    ),
    "a half component": lambda: header(axes={**open_axes().to_dict(), "components": [["mlp"]]}),
}


@pytest.mark.parametrize("make", HEADERS.values(), ids=HEADERS)
def test_a_crafted_header(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """It is one line that names the journal; ``status`` tells the folder's other runs."""
    target, other = tmp_path / "x.h5", write(tmp_path / "y.h5")
    journal = Journal(journal_path(target))
    journal.start(make())
    journal.close()
    with pytest.raises(StoreError, match=r"x\.h5\.partial: is damaged at its start \(.*--force"):
        partial_status(target)
    with pytest.raises(TargetError, match=r"x\.h5\.partial: is damaged at its start"):
        open_writer(target)
    states = {one.path: one.state for one in store_states([tmp_path])}
    assert states == {target: "damaged", other: "finished"}
    write(target, force=True)


def record(rows: list[int], **numbers: float) -> bytes:
    """Rows as a journal keeps them, of ones but for some numbers."""
    records = np.zeros(len(rows), open_axes().row_dtype())
    records["row"] = rows
    for name, value in numbers.items():
        records[name] = value
    return records.tobytes()


RECORDS: dict[str, tuple[bytes, str]] = {
    "row -1": (record([-1]), "row -1 does not exist"),
    "a row beyond": (record([N]), f"row {N} does not exist"),
    "a row far beyond": (record([1 << 62]), "does not exist"),
    "a row twice": (record([3, 3]), "distinct"),
    "NaN": (record([3], parts=np.nan), "parts of row 3"),
    "infinite": (record([3], full=np.inf), "full of row 3"),
    "an error that is none": (record([3], sum_error=np.nan), "sum_error of row 3"),
    "half a row": (record([3])[:-1], "bytes, wanted rows of"),
    "nothing": (b"", "0 bytes, wanted rows of"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_crafted_record(tmp_path: Path, name: str) -> None:
    """A whole record that no run kept is refused, with its place, and never becomes a row."""
    payload, words = RECORDS[name]
    target = tmp_path / "x.h5"
    stop_after(target, 1)
    journal = Journal(journal_path(target))
    list(journal.resume())
    journal.append(payload)
    journal.close()
    before = journal_path(target).read_bytes()
    with pytest.raises(TargetError, match=rf"damaged at byte \d+ \(.*{words}.*--force starts over"):
        open_writer(target)
    assert journal_path(target).read_bytes() == before


def test_what_cannot_be_read_is_not_written(tmp_path: Path) -> None:
    """A run with a number that is none is refused before it is a store; the rows stay kept."""
    with open_writer(tmp_path / "x.h5") as writer:
        append(writer, range(N))
        with pytest.raises(StoreError, match=r"run\.label_gram"):
            writer.finish(replace(END, label_gram=((float("nan"),) * K,) * K))
        assert writer.done.all()
        writer.finish(END)

"""Stores that keep their rows' texts: version 4."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import answer_sample
import h5py
import numpy as np
import pytest
import store_sample
from store_sample import END, RUN, contents
from stores import rot

from compread.errors import StoreError, TargetError
from compread.store import StoreWriter, is_finished, open_store

ARCHIVE = Path(__file__).parent / "data" / "store-v4.h5"
SAMPLES: dict[str, Any] = {"labels": store_sample, "answers": answer_sample}


def texts(split: str, n: int) -> tuple[str, ...]:
    """Of several lines and alphabets, one much longer than the others, one empty."""
    return tuple(f"{split} {i}\nGrüße, 東京 " * (400 if i == 1 else i) for i in range(n))


def with_texts(sample: Any) -> dict[str, Any]:
    """The sample's rows with texts."""
    rows = sample.ROWS if sample is store_sample else sample.SPLITS
    return {name: replace(of, text=texts(name, len(of))) for name, of in rows.items()}


def write(sample: Any, path: Path) -> Path:
    """The sample with texts, whole."""
    if sample is store_sample:
        return store_sample.write(path, splits=with_texts(sample))
    with answer_sample.open_writer(path, with_texts(sample)) as writer:
        answer_sample.keep(writer, [0, 1, 2, 3])
        return writer.finish(END)


@pytest.mark.parametrize("name", SAMPLES)
def test_texts_come_back(name: str, tmp_path: Path) -> None:
    """Beside the sample's numbers; equal runs give equal bytes; only such a store is version 4."""
    sample = SAMPLES[name]
    with open_store(write(sample, tmp_path / "a.h5")) as store:
        sample.assert_equals_sample(store)
        store.verify()
        assert store.has_texts and store.texts("calibration") == ()
        for split in ("train", "test"):
            assert store.texts(split) == texts(split, store.rows(split))
            assert store.texts(split, slice(0, 1)) == texts(split, 1)
        assert store.texts("test", slice(1, 3)) == texts("test", 3)[1:]
    assert contents(tmp_path / "a.h5") == contents(write(sample, tmp_path / "b.h5"))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format_version"] == 4
        assert ("answer" in file["test"]) == (name == "answers")
    with open_store(sample.write(tmp_path / "none.h5")) as store:
        assert not store.has_texts and store.texts("test") == ()


def test_a_store_of_version_4_is_read_for_ever() -> None:
    """The archived store, made by that version's writer, gives exactly these values."""
    with open_store(ARCHIVE) as store:
        answer_sample.assert_equals_sample(store)
        assert store.texts("train") == texts("train", 1)
        assert store.texts("test") == texts("test", 3)
        store.verify()


def test_a_stopped_run_goes_on_with_texts(tmp_path: Path) -> None:
    """The journal keeps numbers: what the last command says is what the store has."""
    path = tmp_path / "x.h5"
    store_sample.stop_after(path, 3)
    asked = replace(RUN, protocol={"keep_text": True})
    with store_sample.open_writer(path, asked, splits=with_texts(store_sample)) as writer:
        assert 0 < writer.done.sum() < len(writer.done)
        store_sample.append(writer, range(len(writer.done)))
        writer.finish(replace(END, protocol={"keep_text": True}))
    with open_store(path) as store:
        assert store.texts("test") == texts("test", store.rows("test"))


@pytest.mark.parametrize(("made", "asked"), [(False, True), (True, False)])
def test_a_finished_store_says_whether_it_has_texts(
    made: bool, asked: bool, tmp_path: Path
) -> None:
    """One with them is not the run without them, nor the other way round."""
    word = {True: "on", False: "off"}
    path = store_sample.write(tmp_path / "x.h5")
    run = replace(END, protocol={"keep_text": True} if asked else {})
    with open_store(path) as store:
        axes = store.axes
    if made:
        path = tmp_path / "y.h5"
        with store_sample.open_writer(
            path, replace(RUN, protocol={"keep_text": True}), splits=with_texts(store_sample)
        ) as writer:
            store_sample.append(writer, range(len(writer.done)))
            writer.finish(replace(END, protocol={"keep_text": True}))
    told = f"keep-text={word[made]}; you ask for keep-text={word[asked]}"
    with pytest.raises(TargetError, match=told):
        is_finished(path, run, axes)


def test_a_damaged_text_is_an_error(tmp_path: Path) -> None:
    """It is seen where it is read and by ``verify``; the numbers are read without it."""
    rot(write(store_sample, tmp_path / "x.h5"), "test/text")
    with open_store(tmp_path / "x.h5") as store:
        store.split("test")
        for read in (store.verify, lambda: store.texts("test")):
            with pytest.raises(StoreError, match=r"damaged .*/test/text"):
                read()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("a\0b",), r"the text of test row 'b' has a NUL .* leave --keep-text out"),
        (("\ud800",), r"the text of test row 'b' is not valid Unicode"),
        (("a", "b"), r"texts of 2 rows, wanted 1"),
    ],
)
def test_texts_that_no_store_can_hold(bad: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """They are refused before anything is written, by the row's name."""
    rows = replace(store_sample.ROWS["test"], gold=(1,), id=("b",), prompt_hash=("h",), text=bad)
    with pytest.raises(StoreError, match=message):
        StoreWriter.open(
            tmp_path / "x.h5", RUN, store_sample.COMPONENTS, store_sample.LABELS, {"test": rows}
        )


@pytest.mark.parametrize("change", ["missing", "short", "numbers"])
def test_texts_of_another_shape_are_refused(change: str, tmp_path: Path) -> None:
    """A file that declares other texts than its rows is damaged, or another program's."""
    path = write(store_sample, tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        there = file["test/text"]
        values, guard = there[...], {"fletcher32": True, "chunks": True}
        del file["test/text"]
        if change == "short":
            file["test"].create_dataset("text", data=values[:-1], track_times=False, **guard)
        elif change == "numbers":
            numbers = np.arange(len(values))
            file["test"].create_dataset("text", data=numbers, track_times=False, **guard)
    with pytest.raises(StoreError, match=r"damaged|rewritten"):
        open_store(path)

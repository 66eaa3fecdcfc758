"""Stores whose rows have answers of their own: version 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from answer_sample import (
    FULL,
    PARTS,
    SPLITS,
    assert_equals_sample,
    check_edit,
    keep,
    open_writer,
    set_at,
    write,
)
from store_sample import COMPONENTS, END, LABELS, RUN, contents

from compread.errors import StoreError, TargetError
from compread.store import Labels, RowAnswers, SplitRows, StoreWriter, open_store

ARCHIVE = Path(__file__).parent / "data" / "store-v3.h5"


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Answers, counts and numbers come back; equal runs give equal bytes; all is verified."""
    with open_store(write(tmp_path / "a.h5")) as store:
        assert_equals_sample(store)
        store.verify()
    assert contents(tmp_path / "a.h5") == contents(write(tmp_path / "b.h5"))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format_version"] == 3
        assert file["test/answer_bytes"][0].tolist() == [6, 6, 1, 3]
        assert file["test/answer_tokens"][1].tolist() == [1, 2, 3, 0]


def test_a_store_of_version_3_is_read_for_ever() -> None:
    """The archived store, made by that version's writer, gives exactly these values."""
    with open_store(ARCHIVE) as store:
        assert_equals_sample(store)
        store.verify()


def test_labels_of_one_token_need_no_version_3(tmp_path: Path) -> None:
    """A compread that reads up to version 2 reads them still."""
    rows = {"test": SplitRows((1,), ("b",), ("h",))}
    with StoreWriter.open(tmp_path / "x.h5", RUN, COMPONENTS, LABELS, rows) as writer:
        c, k = len(COMPONENTS), len(LABELS.word)
        writer.append([0], np.ones((1, c, k)), np.ones((1, k)), np.zeros(1), np.ones(1))
        path = writer.finish(END)
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 2 and "answer" not in file["test"]


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """The journal keeps the answers; a run with another answer is another run."""
    path = tmp_path / "x.h5"
    with open_writer(path) as writer:
        keep(writer, [3, 1])
    other = replace(SPLITS["train"], answers=(RowAnswers((" oui", " non"), (1, 1)),))
    with pytest.raises(TargetError, match="train rows"):
        open_writer(path, {**SPLITS, "train": other})
    with open_writer(path) as writer:
        assert writer.done.tolist() == [False, True, False, True]
        keep(writer, [0, 2])
        writer.finish(END)
    assert contents(path) == contents(write(tmp_path / "whole.h5"))


BAD_ROWS: dict[str, tuple[RowAnswers, int, str]] = {
    "one answer": (RowAnswers((" a",), (1,)), 0, "1 answers and 1 token counts, wanted"),
    "too many": (RowAnswers(tuple("abcde"), (1,) * 5), 0, "5 answers .* wanted one for each"),
    "no counts": (RowAnswers((" a", " b"), (1,)), 0, "2 answers and 1 token counts"),
    "equal": (RowAnswers((" a", " a"), (1, 1)), 0, "is empty or stands twice"),
    "empty": (RowAnswers((" a", ""), (1, 1)), 0, "is empty or stands twice"),
    "no tokens": (RowAnswers((" a", " b"), (1, 0)), 0, "an answer of 0 tokens"),
    "gold beyond": (RowAnswers((" a", " b"), (1, 1)), 2, "gold answer 2 is none of its 2"),
    "a null": (RowAnswers((" a", "\0"), (1, 1)), 0, "NUL"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_answers_that_no_row_can_have(name: str, tmp_path: Path) -> None:
    """They are refused before anything is written, by the row's name."""
    answers, gold, message = BAD_ROWS[name]
    rows = {"test": SplitRows((gold,), ("b",), ("h",), (answers,))}
    with pytest.raises(StoreError, match=message):
        open_writer(tmp_path / "x.h5", rows)


def test_splits_that_do_not_belong_together(tmp_path: Path) -> None:
    """Either all rows have answers or none, and then no label is one token."""
    without = {**SPLITS, "train": replace(SPLITS["train"], answers=())}
    with pytest.raises(StoreError, match="some splits have answers"):
        open_writer(tmp_path / "x.h5", without)
    with pytest.raises(StoreError, match="beside labels of one token"):
        open_writer(tmp_path / "x.h5", labels=Labels(tuple("ABCD"), (1, 2, 3, 4)))


def test_a_number_that_is_not_finite_is_not_kept(tmp_path: Path) -> None:
    """NaN is for answers that a row has not."""
    with open_writer(tmp_path / "x.h5") as writer:
        parts = PARTS[:1].copy()
        parts[0, 0, 1] = np.nan
        with pytest.raises(StoreError, match=r"parts of row 0 .* is NaN"):
            writer.append([0], parts, FULL[:1], np.zeros(1), np.zeros(1))


EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "a number without an answer": (
        set_at("test/full", (1, 3), 0.0), "/test/full of row 'c' is NaN",
    ),
    "an answer without a number": (set_at("test/full", (0, 3), np.nan), "/test/full of row 'b'"),
    "another text": (set_at("test/answer", (0, 1), b" Parma"), "does not agree with its checksum"),
    "another length": (set_at("test/answer", (0, 1), b" Rome"), "byte counts do not agree"),
    "another count": (set_at("test/answer_tokens", (0, 1), 2), "does not agree with its checksum"),
    "no count": (set_at("test/answer_tokens", (0, 1), 0), "do not agree"),
    "negative bytes": (set_at("test/answer_bytes", (1, 3), -1), "do not agree"),
    "no answers": (lambda file: file["test"].pop("answer"), "/test/answer is missing"),
    "version 2": (lambda file: file.attrs.modify("format_version", 2), "checksum"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_store(name: str, tmp_path: Path) -> None:
    """What somebody changed in the answers or their numbers is found."""
    check_edit(write(tmp_path / "x.h5"), *EDITS[name])

"""A small run whose rows have answers of their own, used by tests of every room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_sample import COMPONENTS, END, RUN

from compread.components import NORMALIZER
from compread.errors import StoreError
from compread.store import Labels, RowAnswers, SplitRows, Store, StoreWriter, open_store

AXIS = (*COMPONENTS, NORMALIZER)
K = 4
ANSWERS = (
    RowAnswers((" oui", " non, pas du tout"), (1, 5)),
    RowAnswers(("東京", " Paris", "x", " y "), (3, 1, 1, 2)),
    RowAnswers((" a", " a b", " a b c"), (1, 2, 3)),
    RowAnswers((" 1", " 2"), (30, 1)),
)
POSITIONS = Labels(("A", "B", "C", "D"), (-1,) * K)
SPLITS = {
    "train": SplitRows((1,), ("a",), ("h0",), ANSWERS[:1]),
    "test": SplitRows((3, 0, 1), ("b", "c", "d"), ("h1", "h2", "h3"), ANSWERS[1:]),
}
_rng = np.random.default_rng(0)
PARTS = _rng.normal(size=(4, len(AXIS), K)).astype(np.float32)
FULL = -_rng.random((4, K)).astype(np.float32)
ABSENT = np.arange(K) >= np.array([len(row) for row in ANSWERS])[:, None]


def open_writer(
    path: Path, splits: Any = SPLITS, labels: Labels = POSITIONS, **changes: Any
) -> StoreWriter:
    """A writer of the sample; the run may be another one."""
    return StoreWriter.open(path, replace(RUN, **changes), AXIS, labels, splits)


def keep(writer: StoreWriter, rows: list[int]) -> None:
    """Append some rows, with numbers also where they have no answer."""
    writer.append(rows, PARTS[rows], FULL[rows], np.full(len(rows), 1e-6), np.full(len(rows), 0.5))


def write(path: Path, **changes: Any) -> Path:
    """The sample, whole."""
    with open_writer(path, **changes) as writer:
        keep(writer, [2, 0])
        keep(writer, [1, 3])
        return writer.finish(replace(END, **changes))


def assert_equals_sample(store: Store) -> None:
    """Every value is the sample's, and what is absent is NaN."""
    assert (store.components, store.labels) == (AXIS, POSITIONS)
    for name, rows in (("train", slice(0, 1)), ("test", slice(1, 4))):
        split = store.split(name)
        assert store.answers(name) == ANSWERS[rows]
        where = ABSENT[rows]
        np.testing.assert_array_equal(np.isnan(split.full), where)
        np.testing.assert_array_equal(split.full[~where], FULL[rows][~where])
        np.testing.assert_array_equal(np.isnan(split.parts).all(1), where)
        np.testing.assert_array_equal(
            split.parts.transpose(0, 2, 1)[~where], PARTS[rows].transpose(0, 2, 1)[~where]
        )
    assert store.answers("calibration") == ()


def set_at(path: str, at: Any, value: Any) -> Callable[[Any], None]:
    """An edit of a store's file that sets some numbers of a dataset."""

    def edit(file: Any) -> None:
        file[path][at] = value

    return edit


def check_edit(path: Path, edit: Callable[[Any], None], message: str) -> None:
    """See that opening or verifying a store that was edited says what is wrong with it."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        edit(file)
    with pytest.raises(StoreError, match=message), open_store(path) as store:
        store.verify()

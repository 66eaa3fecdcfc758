"""Which way components push single rows, and the rows that one logit_differences most."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compread.analysis.examples import extreme_rows, logit_differences, rivals
from compread.errors import UsageError
from compread.store import open_store

sys.path.append(str(Path(__file__).parents[1] / "store"))
import store_sample
import test_row_answers


@pytest.mark.parametrize("write", [store_sample.write, test_row_answers.write])
def test_rows_stand_in_the_order_of_their_differences(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The margin is over the wrong label that the full model has the likeliest."""
    with open_store(write(tmp_path / "run.h5")) as store:
        numbers = store.split("test")
        by_hand = []
        for n, gold in enumerate(numbers.gold):
            wrong = [k for k in range(numbers.full.shape[1]) if k != gold]
            there = [k for k in wrong if not np.isnan(numbers.full[n, k])]
            rival = max(there, key=lambda k: numbers.full[n, k])
            by_hand.append(numbers.parts[n, 2, gold] - numbers.parts[n, 2, rival])
        found = extreme_rows(store, "test", 2, most=2)
    np.testing.assert_allclose(found.difference, by_hand)
    order = sorted(range(len(by_hand)), key=lambda n: by_hand[n])
    assert found.most_against.tolist() == [n for n in order[:2] if by_hand[n] < 0]
    assert found.most_for.tolist() == [n for n in order[::-1][:2] if by_hand[n] > 0]


def test_differences_add_up_to_the_margin() -> None:
    """The rival is one for all components of a row."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(6, 5, 3)).astype(np.float32)
    full, gold = parts.sum(axis=1), np.array([0, 1, 2, 0, 1, 2])
    margin = logit_differences(parts, gold, rivals(full, gold)).sum(axis=1)
    for n in range(6):
        others = [full[n, k] for k in range(3) if k != gold[n]]
        assert margin[n] == pytest.approx(full[n, gold[n]] - max(others), abs=1e-5)


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    """With the one that has some."""
    test = {"test": store_sample.ROWS["test"]}
    with store_sample.open_writer(tmp_path / "run.h5", splits=test) as writer:
        rows = np.arange(store_sample.N_TEST)
        numbers = {k: v[store_sample.N_TRAIN :] for k, v in store_sample.NUMBERS.items()}
        writer.append(rows, **numbers)
        path = writer.finish(store_sample.END)
    with open_store(path) as store, pytest.raises(UsageError, match="try --split test"):
        extreme_rows(store, "train", 0)

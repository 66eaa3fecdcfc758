"""Statistics of rows that choose from answers of their own, of different numbers."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_run
from whole_split import component_stats

from compread.analysis.chance import luck_test
from compread.analysis.components import collect, stats_of
from compread.analysis.runs import read_runs
from compread.analysis.tally import Resampling
from compread.components import NORMALIZER, LayerShape, component_axis
from compread.errors import StoreError
from compread.store import Labels, RowAnswers, Split, SplitRows, StoreWriter

N, C, K = 40, 5, 4
_rng = np.random.default_rng(0)
COUNTS = _rng.integers(2, K + 1, N)
GOLD = _rng.integers(0, COUNTS)
ABSENT = np.arange(K) >= COUNTS[:, None]
PARTS = np.where(ABSENT[:, None], np.nan, _rng.normal(size=(N, C, K)) - 5).astype(np.float32)


def split_of(parts: Any = PARTS, gold: Any = GOLD) -> Split:
    """The planted rows."""
    n, few = len(gold), np.zeros(len(gold), np.float32)
    names = tuple(map(str, range(n)))
    return Split(parts, parts.sum(1), np.asarray(gold, np.int64), names, few, few, names)


def test_a_row_chooses_among_its_own_answers() -> None:
    """Accuracy, margin and direct effect, row by row by hand; all logits are below zero."""
    stats = component_stats(split_of())
    for j in range(C):
        right, margins, direct = [], [], []
        for n in range(N):
            own = PARTS[n, j, : COUNTS[n]].astype(np.float64)
            others = np.delete(own, GOLD[n])
            right.append(own.argmax() == GOLD[n])
            margins.append(own[GOLD[n]] - others.max())
            direct.append(own[GOLD[n]] - others.mean())
        assert stats.parts.accuracy[j] == np.mean(right)
        assert stats.parts["margin"][j] == pytest.approx(np.mean(margins), rel=1e-5)
        assert stats.parts["direct_effect"][j] == pytest.approx(np.mean(direct), rel=1e-5)
        assert stats.parts.predicted[j].sum() == pytest.approx(1)
    full = np.where(ABSENT, -np.inf, PARTS.sum(1))
    assert stats.full.accuracy[0] == (full.argmax(1) == GOLD).mean()


def test_without_absent_answers_nothing_changes() -> None:
    """Rows of four answers each have the statistics of four labels in common."""
    parts = np.nan_to_num(PARTS, nan=-3).astype(np.float32)
    one = component_stats(split_of(parts))
    assert one.parts.predicted.shape == (C, K) and one.parts.n == N


def test_chance_shuffles_among_rows_of_one_number() -> None:
    """Mean and tails of the right predictions over every shuffle within two strata."""
    counts = np.array([2, 2, 2, 3, 3, 3, 3])
    gold = np.array([0, 1, 1, 2, 0, 1, 2])
    choice = np.array([0, 1, 0, 2, 2, 1, 0])
    strata = []
    for count in (2, 3):
        found = np.zeros((1, 3, 3), np.int64)
        np.add.at(found[0], (choice[counts == count], gold[counts == count]), 1)
        strata.append(found)
    each = [
        [(choice[counts == c] == order).sum() for order in permutations(gold[counts == c])]
        for c in (2, 3)
    ]
    right = np.array([sum(pair) for pair in product(*each)])
    test = luck_test(*strata)
    assert test.chance[0] == pytest.approx(right.mean() / 7)
    assert test.above[0] == pytest.approx((right >= (choice == gold).sum()).mean(), abs=0.05)
    mixed = luck_test(strata[0] + strata[1])
    assert mixed.chance[0] != pytest.approx(right.mean() / 7)


def test_shuffled_labels_are_answers_that_rows_have() -> None:
    """No shuffle gives a row an answer beyond its own, and each keeps the right ones' number."""
    drawn = Resampling.draw(GOLD, 3, 50, counts=COUNTS)
    assert (drawn.shuffled < COUNTS).all() and (drawn.shuffled != GOLD).any()
    mixed = Resampling.draw(GOLD, 3, 50)
    assert (mixed.shuffled >= COUNTS).any()
    parts, whole = collect([(slice(0, N), PARTS)], PARTS.sum(1), GOLD, drawn)
    choice = np.where(ABSENT[:, None], -np.inf, PARTS).argmax(2)  # (N, C)
    expected = [(choice == order[:, None]).sum(0) for order in drawn.shuffled]
    np.testing.assert_array_equal(parts.shuffled_right, expected)
    assert stats_of(parts, whole).parts.n == N


def test_numbers_that_cannot_be_told_from_absent_ones() -> None:
    """One component's NaN is not a row without an answer."""
    parts = PARTS.copy()
    parts[3, 2, 0] = np.nan
    with pytest.raises(StoreError, match="NaN or infinite"):
        component_stats(split_of(parts))
    parts = PARTS.copy()
    row = int(np.argmin(COUNTS))
    parts[row, 2, K - 1] = 1.0
    with pytest.raises(StoreError, match="has no answer"):
        component_stats(split_of(parts))


def test_a_store_of_answers_is_scored(tmp_path: Path) -> None:
    """Read from its file, with halves and shuffles; the normalizer is no head and no MLP."""
    axis = (*component_axis([LayerShape(1)]), NORMALIZER)
    answers = tuple(
        RowAnswers(tuple(f" {n} {k}" for k in range(count)), (1,) * count)
        for n, count in enumerate(COUNTS.tolist())
    )
    names = tuple(map(str, range(N)))
    rows = {"test": SplitRows(GOLD, names, names, answers)}
    labels = Labels(tuple("ABCD"), (-1,) * K)
    info = make_run()
    with StoreWriter.open(tmp_path / "x.h5", info, axis, labels, rows) as writer:
        few = np.zeros(N)
        writer.append(range(N), np.nan_to_num(PARTS), np.nan_to_num(PARTS).sum(1), few, few)
        path = writer.finish(info)
    (run,) = read_runs([path], resample=True)
    np.testing.assert_array_equal(
        run.stats.parts.accuracy, component_stats(split_of()).parts.accuracy
    )
    assert run.resampled is not None and len(run.resampled.best) == 200

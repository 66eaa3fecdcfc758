"""Component statistics against a second implementation, row by row, and against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from compread.analysis import components
from compread.analysis.components import ScoreSums, component_stats, wilson_interval
from compread.errors import StoreError


def score(logits, gold):
    """The scores of all rows at once."""
    sums = ScoreSums()
    sums.add(logits, gold)
    return sums.scores()


def reference(logits, gold):
    """Accuracy, margin, predicted shares and ties of one scorer [N, K], in plain Python."""
    n, k = logits.shape
    right, ties, margin, counts = 0, 0, 0.0, [0] * k
    for row, y in zip(logits.astype(float).tolist(), gold.tolist(), strict=True):
        choice = row.index(max(row))
        others = [v for j, v in enumerate(row) if j != y]
        counts[choice] += 1
        right += choice == y
        margin += row[y] - max(others)
        ties += sorted(row)[-1] == sorted(row)[-2]
    return right / n, margin / n, [c / n for c in counts], ties / n


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("n", [1, 7, 300])
@pytest.mark.parametrize("levels", [2, 1000])
def test_statistics_equal_the_plain_loop(k, n, levels):
    """Every statistic is the one of the loop, with many ties (2 levels) and with few."""
    rng = np.random.default_rng(k * n)
    logits = (rng.integers(0, levels, (n, 11, k)) / 7).astype(np.float32)
    gold = rng.integers(0, k, n)
    got = score(logits, gold)
    for j in range(11):
        accuracy, margin, predicted, tied = reference(logits[:, j], gold)
        assert got.accuracy[j] == accuracy
        assert got.margin[j] == pytest.approx(margin, rel=1e-5, abs=1e-5)
        assert got.predicted[j].tolist() == predicted
        assert got.tied[j] == tied
        assert got.label_biased[j] == (1.0 in predicted)
    assert got.n == n


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 2500), share=st.floats(0, 1))
def test_wilson_equals_scipy(n, share):
    """The interval is SciPy's, ends included."""
    right = round(share * n)
    low, high = wilson_interval(np.array([right]), n)
    wanted = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert 0 <= low[0] <= right / n <= high[0] <= 1


def test_all_ties_go_to_the_first_label():
    """A constant component predicts the first label on every row, and every row is tied."""
    got = score(np.zeros((4, 1, 3), np.float32), np.array([0, 1, 2, 0]))
    assert got.predicted.tolist() == [[1, 0, 0]]
    assert (got.accuracy[0], got.tied[0], got.margin[0]) == (0.5, 1, 0)
    assert got.label_biased[0]


def test_one_exception_ends_a_bias():
    """One other answer in a thousand, and a component is not label-biased."""
    logits = np.zeros((1000, 2, 2), np.float32)
    logits[:, :, 0] = 1
    logits[999, 1] = [0, 1]
    assert score(logits, np.zeros(1000, int)).label_biased.tolist() == [True, False]


def test_chunks_do_not_show(monkeypatch, make_split):
    """Rows worked on one at a time give what all at once give."""
    rng = np.random.default_rng(1)
    split = make_split(rng.normal(size=(50, 4, 3)), rng.integers(0, 3, 50))
    whole = component_stats(split)
    monkeypatch.setattr(components, "CHUNK", 1)
    pieces = component_stats(split)
    for name in ("accuracy", "predicted", "tied", "label_biased"):
        assert np.array_equal(getattr(whole.parts, name), getattr(pieces.parts, name))
    np.testing.assert_allclose(whole.parts.margin, pieces.parts.margin, rtol=1e-6)


def test_the_full_model_is_scored_on_its_own_logits(make_split):
    """The full model's scores come from what it returned, not from the sum of the parts."""
    split = make_split(np.zeros((2, 3, 2)), [1, 1], full=[[0, 1], [0, 3]])
    stats = component_stats(split)
    assert stats.full.accuracy.tolist() == [1.0]
    assert stats.full.margin.tolist() == [2.0]
    assert stats.parts.accuracy.tolist() == [0.0] * 3
    assert stats.gold_share.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(make_split, value):
    """A logit that is NaN or infinite is an error, wherever it stands."""
    parts = np.zeros((3, 2, 2))
    parts[2, 1, 0] = value
    with pytest.raises(StoreError, match="NaN or infinite"):
        component_stats(make_split(parts, [0, 0, 1], full=np.zeros((3, 2))))


def test_no_rows_are_refused(make_split):
    """A split without rows has no accuracies."""
    with pytest.raises(StoreError, match="without rows"):
        component_stats(make_split(np.zeros((0, 2, 2)), [], full=np.zeros((0, 2))))

"""Component statistics against a second implementation, row by row, and against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from scipy.stats import entropy as scipy_entropy
from sklearn import metrics
from whole_split import component_stats

from compread.analysis import tally
from compread.analysis.components import scores_of
from compread.analysis.intervals import wilson_interval
from compread.analysis.tally import Resampling, Tally
from compread.errors import StoreError


def score(logits, gold):
    """The scores of all rows at once, the first component standing in for the full model."""
    sums = Tally(logits.shape[1], logits.shape[2], Resampling.none(gold))
    sums.add(logits, gold, logits[:, 0].argmax(axis=1), slice(0, len(gold)))
    return scores_of(sums, float(sums.direct.sum()))


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
        assert got["margin"][j] == pytest.approx(margin, rel=1e-5, abs=1e-5)
        assert got.predicted[j].tolist() == predicted
        assert got.tied[j] == tied
        assert (got.top_share[j] == 1) == (1.0 in predicted)
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
    assert (got.accuracy[0], got.tied[0], got["margin"][0]) == (0.5, 1, 0)
    assert got.top_share[0] == 1


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("n", [1, 300])
@pytest.mark.parametrize("labels", ["all", "one class", "constant"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn's, of classes without rows
def test_further_statistics_equal_scikit_learn(k, n, labels):
    """Balanced accuracy, F1, entropy, and agreement are the references', degenerate too."""
    rng = np.random.default_rng(n + k)
    gold = np.zeros(n, int) if labels == "one class" else rng.integers(0, k, n)
    logits = rng.normal(size=(n, 6, k)).astype(np.float32)
    if labels == "constant":
        logits[:, 3] = 0
    got = score(logits, gold)
    for j in range(6):
        predicted = logits[:, j].argmax(axis=1)
        assert got["balanced_accuracy"][j] == pytest.approx(
            metrics.balanced_accuracy_score(gold, predicted)
        )
        assert got["macro_f1"][j] == pytest.approx(
            metrics.f1_score(gold, predicted, average="macro", zero_division=0)
        )
        shares = np.bincount(predicted, minlength=k) / n
        assert got["entropy"][j] == pytest.approx(scipy_entropy(shares, base=2), abs=1e-12)
        assert got.top_share[j] == shares.max()
        assert got["agreement"][j] == (predicted == logits[:, 0].argmax(axis=1)).mean()


def test_margins_have_the_spread_of_the_rows():
    """The margin's sd keeps its digits where the mean is a million times larger."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(3000, 2)).astype(np.float32)
    logits = np.stack([np.float32(1e4) + spread, np.zeros_like(spread)], axis=2)
    got = score(logits, np.zeros(3000, int))
    wanted = logits[:, :, 0].astype(float)
    np.testing.assert_allclose(got["margin"], wanted.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(got.margin_sd, wanted.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("k", [2, 5])
def test_direct_effects_add_up_to_the_whole(k):
    """A share is the part of the logit difference that the component makes; all make the whole."""
    rng = np.random.default_rng(k)
    logits, gold = rng.normal(size=(40, 7, k)).astype(np.float32), rng.integers(0, k, 40)
    got = score(logits, gold)
    contrast = np.where(np.arange(k) == gold[:, None], 1, -1 / (k - 1))
    each = np.einsum("nck,nk->c", logits.astype(float), contrast) / 40
    np.testing.assert_allclose(got["direct_effect"], each, rtol=1e-5, atol=1e-7)
    whole = np.einsum("nk,nk->", logits.sum(axis=1).astype(float), contrast) / 40
    np.testing.assert_allclose(got.direct_share, each / whole, rtol=1e-4)
    assert got.direct_share.sum() == pytest.approx(1)


def test_an_effect_of_nothing_has_no_shares():
    """Where all logits are equal there is no difference to share."""
    got = score(np.ones((4, 3, 2), np.float32), np.array([0, 1, 0, 1]))
    assert got["direct_effect"].tolist() == [0, 0, 0] and np.isnan(got.direct_share).all()


def test_one_exception_ends_a_bias():
    """One other answer in a thousand, and a component is not label-biased."""
    logits = np.zeros((1000, 2, 2), np.float32)
    logits[:, :, 0] = 1
    logits[999, 1] = [0, 1]
    assert score(logits, np.zeros(1000, int)).top_share.tolist() == [1, 0.999]


def test_chunks_do_not_show(monkeypatch, make_split):
    """Rows worked on one at a time give what all at once give."""
    rng = np.random.default_rng(1)
    split = make_split(rng.normal(size=(50, 4, 3)), rng.integers(0, 3, 50))
    whole = component_stats(split)
    monkeypatch.setattr(tally, "CHUNK", 1)
    pieces = component_stats(split)
    for name in ("accuracy", "predicted", "tied", "top_share"):
        assert np.array_equal(getattr(whole.parts, name), getattr(pieces.parts, name))
    np.testing.assert_allclose(whole.parts["margin"], pieces.parts["margin"], rtol=1e-6)


def test_the_full_model_is_scored_on_its_own_logits(make_split):
    """The full model's scores come from what it returned, not from the sum of the parts."""
    split = make_split(np.zeros((2, 3, 2)), [1, 1], full=[[0, 1], [0, 3]])
    stats = component_stats(split)
    assert stats.full.accuracy.tolist() == [1.0]
    assert stats.full["margin"].tolist() == [2.0]
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


@pytest.mark.parametrize("k", [2, 3])
def test_near_ties_are_no_ties(k):
    """A logit that is larger by one unit in the last place wins; equal ones go to the first."""
    base = np.float32(0.3)
    above = np.nextafter(base, np.float32(1))
    logits = np.full((3, 1, k), base)
    logits[0, 0, -1], logits[1, 0, 0] = above, above
    gold = np.array([k - 1, 0, k - 1])
    got = score(logits, gold)
    assert got.predicted[0].tolist() == [2 / 3, *[0] * (k - 2), 1 / 3]
    assert got.accuracy[0] == 2 / 3
    assert got.tied[0] == 1 / 3


@pytest.mark.parametrize(
    ("m", "n", "c"), [(222, 100, 302), (25, 300, 302), (3, 1, 1), (700, 130, 9)]
)
def test_products_in_pieces_are_the_products(m, n, c):
    """Counts are the same whether a product is taken whole or in pieces."""
    rng = np.random.default_rng(m)
    one = rng.integers(0, 2, (m, n)).astype(np.float32)
    other = rng.integers(0, 2, (n, c)).astype(np.float32)
    np.testing.assert_array_equal(tally._product(one, other), one @ other)

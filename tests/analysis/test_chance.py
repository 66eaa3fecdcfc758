"""The permutation test against enumeration, SciPy and drawn permutations."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from compread.analysis.chance import (
    false_discovery,
    hypergeometric_tails,
    luck_test,
    null_moments,
    pearson_tails,
)


def confusion(predicted, gold, k):
    """[1, K, K] rows by predicted and by right label."""
    counts = np.zeros((1, k, k), np.int64)
    np.add.at(counts[0], (predicted, gold), 1)
    return counts


def every_shuffle(predicted, gold):
    """Right predictions under every order of the right labels."""
    return np.array([sum(np.equal(predicted, order)) for order in permutations(gold)])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_chance_and_moments_are_those_of_every_shuffle(k):
    """Mean, variance and third moment are exact: all 5040 orders of seven labels say so."""
    rng = np.random.default_rng(k)
    for _ in range(4):
        predicted, gold = rng.integers(0, k, (2, 7))
        right = every_shuffle(predicted, gold)
        counts = confusion(predicted, gold, k)
        mean, variance, third = null_moments(counts.sum(2), counts[0].sum(0))
        assert luck_test(counts).chance[0] * 7 == pytest.approx(right.mean())
        wanted = [right.mean(), right.var(), ((right - right.mean()) ** 3).mean()]
        assert [mean[0], variance[0], third[0]] == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=7))
def test_two_labels_are_exact(rows):
    """Both p-values of two labels are those of every shuffle."""
    predicted, gold = np.array(rows).T
    right = every_shuffle(predicted, gold)
    observed = (predicted == gold).sum()
    test = luck_test(confusion(predicted, gold, 2))
    assert test.above[0] == pytest.approx((right >= observed).mean(), abs=1e-12)
    assert test.below[0] == pytest.approx((right <= observed).mean(), abs=1e-12)


@pytest.mark.parametrize(("n", "marked"), [(300, 150), (300, 7), (100_000, 50_000), (5, 0), (5, 5)])
def test_tails_equal_scipy(n, marked):
    """Tails are SciPy's, far out too, for many numbers drawn at once."""
    drawn = np.linspace(0, n, 23).astype(int)
    law = stats.hypergeom(n, marked, drawn)
    for quantile in (1e-9, 0.01, 0.3, 0.7, 1 - 1e-9):
        x = np.clip(law.ppf(quantile), np.maximum(0, drawn + marked - n), np.minimum(drawn, marked))
        above, below = hypergeometric_tails(x.astype(int), drawn, marked, n)
        np.testing.assert_allclose(above, law.sf(x - 1), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(below, law.cdf(x), rtol=1e-6, atol=1e-12)


def shuffled_right(rng, predicted_counts, gold_counts, draws):
    """Right predictions under random orders, from the contingency table's own law."""
    k = len(gold_counts)
    left, right = np.tile(gold_counts, (draws, 1)), np.zeros(draws, int)
    for y in range(k):
        wanted = np.full(draws, predicted_counts[y])
        taken = np.zeros((draws, k), int)
        for z in range(k):
            taken[:, z] = rng.hypergeometric(left[:, z], left[:, z + 1 :].sum(1), wanted)
            wanted = wanted - taken[:, z]
        left, right = left - taken, right + taken[:, y]
    return right


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [
        ((87, 83, 75, 55), (75, 75, 75, 75)),
        ((268, 8, 11, 13), (75, 75, 75, 75)),
        ((89, 106, 105), (10, 90, 200)),
        ((100, 120, 80), (100, 100, 100)),
        ((271, 14, 15), (100, 100, 100)),
    ],
)
def test_more_labels_are_never_too_sure(predicted, gold):
    """With three and four labels the p-value is at least that of drawn permutations, but for 5 %.

    Down to one in five thousand, which the draws resolve to a tenth; further out the same law of
    moments is held against exact tails below.
    """
    rng = np.random.default_rng(1)
    right = shuffled_right(rng, predicted, gold, 300_000)
    x = np.arange(right.min(), right.max() + 1)
    table = np.tile(predicted, (len(x), 1))
    above, below = pearson_tails(x, *null_moments(table, np.array(gold)))
    drawn_above = np.array([(right >= value).mean() for value in x])
    drawn_below = np.array([(right <= value).mean() for value in x])
    for p, drawn in ((above, drawn_above), (below, drawn_below)):
        seen = (drawn > 1e-3) & (drawn < 0.2)
        assert seen.any() and (drawn[seen] <= 1.05 * p[seen] + 1e-4).all()
        assert (drawn[seen] >= 0.6 * p[seen]).all()


@pytest.mark.parametrize("skewness", [-1.2, -0.3, -1e-4, 0.0, 1e-4, 0.002, 0.3, 1.2])
def test_tails_by_three_moments_equal_scipy(skewness):
    """Pearson's third law, half a step out on either side; one certain value has no tail."""
    x, sd = np.arange(0, 30, 3), 4.0
    flat = np.ones(len(x))
    above, below = pearson_tails(x, 12 * flat, sd**2 * flat, skewness * sd**3 * flat)
    law = stats.pearson3(skewness, 12, sd)
    np.testing.assert_allclose(above, law.sf(x - 0.5), rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(below, law.cdf(x + 0.5), rtol=1e-3, atol=1e-12)
    certain = pearson_tails(x, 12 * flat, 0 * flat, 0 * flat)
    assert np.array_equal(certain, np.ones((2, len(x))))


@pytest.mark.parametrize(
    ("n", "drawn", "marked"),
    [(300, 150, 150), (300, 20, 150), (300, 20, 30), (2000, 1000, 1000), (60, 30, 20)],
)
def test_the_law_of_moments_is_cautious_far_out(n, drawn, marked):
    """At 1e-3 to 1e-7 its tail is at least the exact one, so ten thousand tests stay honest."""
    law = stats.hypergeom(n, marked, drawn)
    x = np.arange(max(0, drawn + marked - n), min(drawn, marked) + 1)
    third = sum(law.pmf(v) * (v - law.mean()) ** 3 for v in x)
    values = [np.full(len(x), m) for m in (law.mean(), law.var(), third)]
    above, _ = pearson_tails(x, *values)
    exact = law.sf(x - 1)
    for level in (1e-3, 1e-5, 1e-7):
        at = int(np.argmax(exact < level))
        assert exact[at] <= above[at] * (1 + 1e-4)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_nothing_to_find_is_never_found(k, n):
    """A constant component, one class of rows and a single row have p-values of 1."""
    gold = np.arange(n) % k
    for predicted, right in ((np.zeros(n, int), gold), (gold, np.zeros(n, int))):
        test = luck_test(confusion(predicted, right, k))
        assert test.above.tolist() == test.below.tolist() == [1.0]


@pytest.mark.parametrize("n", [1, 2, 17, 10_000])
def test_false_discovery_equals_scipy(n):
    """Corrected p-values are SciPy's, with and without values that are no tests."""
    rng = np.random.default_rng(n)
    p = np.round(rng.random(n), 2)  # with ties
    wanted = stats.false_discovery_control(p)
    np.testing.assert_allclose(false_discovery(p), wanted, rtol=1e-12)
    gaps = np.insert(p, 0, np.nan)
    assert np.isnan(false_discovery(gaps)[0])
    np.testing.assert_allclose(false_discovery(gaps)[1:], wanted, rtol=1e-12)
    assert np.isnan(false_discovery(np.full(3, np.nan))).all()


@pytest.mark.parametrize("k", [2, 4])
def test_ten_thousand_tests_of_noise_find_nothing(k):
    """Of 10,000 components that guess, none is significant after correction; a planted one is."""
    rng = np.random.default_rng(0)
    n, c = 400, 10_000
    gold = rng.permutation(np.arange(n) % k)
    predicted = rng.integers(0, k, (c, n))
    predicted[0] = np.where(rng.random(n) < 0.5, gold, predicted[0])
    flat = predicted * k + gold + np.arange(c)[:, None] * k * k
    counts = np.bincount(flat.ravel(), minlength=c * k * k).reshape(c, k, k)
    q = false_discovery(luck_test(counts).above)
    assert np.flatnonzero(q <= 0.05).tolist() == [0]

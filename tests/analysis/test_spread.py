"""Intervals over several runs: their variance by hand, their ends, and their coverage."""

import numpy as np
import pytest

from compread.analysis.intervals import score_interval, wilson_interval
from compread.analysis.spread import RowSet, accuracy_interval, df_of_rows, shrink


def row_set(hit):
    """The sums of hits [S, N, C]."""
    return RowSet(hit.mean(axis=1), hit.sum(axis=0).astype(np.int32))


def drawn(rng, s, n, c, accuracy, shared, spread=0.0):
    """Hits [S, N, C] of which runs share a part of the noise on each row."""
    from scipy.special import ndtri

    common = rng.normal(size=(1, n, c))
    noise = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(s, n, c))
    at = ndtri(accuracy) * np.sqrt(1 + spread**2) + spread * rng.normal(size=(s, 1, c))
    return noise < at


@pytest.mark.parametrize(("n", "p"), [(60, 0.08), (300, 0.9), (25, 0.2)])
def test_the_variance_of_rows_is_known_as_well_as_draws_say(n, p):
    """Over draws the variance of a variance, in its square, is 2 by the degrees of freedom."""
    right = np.random.default_rng(n).binomial(n, p, 400_000) / n
    variances = n / (n - 1) * right * (1 - right)
    found = df_of_rows(n, np.array([p * (1 - p)]))
    assert 2 / found == pytest.approx(variances.var() / (p * (1 - p)) ** 2, rel=0.02)
    assert df_of_rows(n, np.array([0.25])) == n - 1  # never better than of normal numbers


def test_one_run_has_wilsons_interval():
    """Of one run the interval is that of its rows."""
    hit = drawn(np.random.default_rng(0), 1, 80, 30, 0.8, 0)
    got = accuracy_interval([row_set(hit)], np.ones(30, bool))
    np.testing.assert_allclose(got, wilson_interval(hit[0].sum(0), 80), atol=1e-12)


def test_the_variance_is_that_of_the_table():
    """Of one component, whose spread is drawn to none but its own, it follows from mean squares."""
    rng = np.random.default_rng(3)
    s, n = 3, 40
    table = drawn(rng, s, n, 1, 0.7, 0.6, 0.5)[:, :, 0].astype(float)
    mean = table.mean()
    runs, rows = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    ms_runs = n * ((runs - mean) ** 2).sum() / (s - 1)
    ms_rows = s * ((rows - mean) ** 2).sum() / (n - 1)
    ms_rest = ((table - runs - rows + mean) ** 2).sum() / (n - 1) / (s - 1)
    variance = max(ms_runs + ms_rows - ms_rest, ms_runs, ms_rows) / (s * n)
    p = (mean * n + 1) / (n + 2)
    want = score_interval(np.array([mean]), np.array([p * (1 - p) / variance]), np.array([n - 1.0]))
    got = accuracy_interval([row_set(table[:, :, None] > 0)], np.ones(1, bool))
    np.testing.assert_allclose(got, want)


@pytest.mark.parametrize("shared", [0.0, 0.6, 0.99])
@pytest.mark.parametrize("s", [2, 5])
def test_an_interval_has_a_width_and_stays_inside(s, shared):
    """Runs that agree on every row, always right and never right ones have one within [0, 1]."""
    rng = np.random.default_rng(s)
    hit = drawn(rng, s, 60, 50, rng.random(50), shared)
    hit[:, :, 0], hit[:, :, 1], hit[:, :, 2] = True, False, hit[:1, :, 2]
    low, high = accuracy_interval([row_set(hit)], np.ones(50, bool))
    mean = hit.mean(axis=(0, 1))
    assert (low >= 0).all() and (high <= 1).all() and (high - low > 0.01).all()
    assert (low <= mean).all() and (mean <= high).all()
    assert high[0] == 1 and low[0] < 0.98 and low[1] == 0 and high[1] > 0.02


@pytest.mark.parametrize(
    ("shared", "spread", "s"), [(0.95, 0, 3), (0.6, 0, 2), (0.6, 0.15, 3), (0.95, 0.15, 5)]
)
def test_intervals_cover(shared, spread, s):
    """About 95 % hold the accuracy of all runs there might be."""
    rng = np.random.default_rng(7)
    inside = []
    for _ in range(6):
        low, high = accuracy_interval(
            [row_set(drawn(rng, s, 200, 300, 0.7, shared, spread))], np.ones(300, bool)
        )
        inside.append(((low <= 0.7) & (high >= 0.7)).mean())
    assert 0.93 <= np.mean(inside) <= 0.975


def test_intervals_over_other_rows_cover():
    """Three sets of rows with accuracies of their own, two runs on each: the mean is covered."""
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(10):
        means = 0.7 + 0.08 * rng.normal(size=(3, 200))
        sets = [row_set(drawn(rng, 2, 150, 200, m, 0.6)) for m in means]
        low, high = accuracy_interval(sets, np.ones(200, bool))
        inside.append(((low <= 0.7) & (high >= 0.7)).mean())
    assert 0.92 <= np.mean(inside) <= 0.99


def test_variances_are_drawn_together_as_far_as_they_agree():
    """Those of one size become one; those that differ keep their own, more so the better known."""
    rng = np.random.default_rng(0)
    one = rng.chisquare(4, 5000) / 4
    drawn_, df = shrink(one, np.full(5000, 4.0), np.ones(5000))
    assert np.abs(drawn_ - 1).max() < 0.25 and df.min() > 50
    of_many = one * rng.choice([0.2, 5.0], 5000)
    apart, df = shrink(of_many, np.full(5000, 4.0), np.ones(5000))
    assert np.corrcoef(apart, of_many)[0, 1] == pytest.approx(1) and df.max() < 20
    assert shrink(np.zeros(3), np.ones(3), np.ones(3))[0].tolist() == [0, 0, 0]

"""The joint test of several runs against enumeration, drawn permutations and the test of one."""

from itertools import permutations

import numpy as np
import pytest

from compread.analysis.chance import (
    LuckTest,
    false_discovery,
    luck_test,
    null_moments,
    pearson_tails,
    two_sided,
)
from compread.analysis.joint import cauchy, joint_moments, joint_test


def votes_of(choice, k):
    """[N, C, K] votes of predictions [S, N, C]."""
    return np.stack([(choice == y).sum(axis=0) for y in range(k)], axis=2).astype(np.int32)


def right_of(votes, gold):
    """Right predictions of all runs together, [C]."""
    return votes[np.arange(len(gold)), :, gold].sum(axis=0)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("s", [1, 2, 4])
def test_moments_are_those_of_every_order(s, k):
    """Mean, variance and third moment are exact: all 5040 orders of seven labels say so."""
    rng = np.random.default_rng(s * k)
    gold = rng.integers(0, k, 7)
    votes = votes_of(rng.integers(0, k, (s, 7, 3)), k)
    right = np.array([right_of(votes, np.array(order)) for order in permutations(gold)])
    mean, variance, third = joint_moments(votes, np.bincount(gold, minlength=k).astype(float))
    np.testing.assert_allclose(mean, right.mean(0), atol=1e-9)
    np.testing.assert_allclose(variance, right.var(0), atol=1e-9)
    np.testing.assert_allclose(third, ((right - right.mean(0)) ** 3).mean(0), atol=1e-9)
    assert joint_test(votes, gold, s).chance == pytest.approx(right.mean(0) / 7 / s)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_one_run_has_the_moments_and_tails_of_its_own_test(k):
    """The joint law of one run is the law of moments of ``luck_test``."""
    rng = np.random.default_rng(k)
    gold = rng.integers(0, k, 60)
    votes = votes_of(rng.integers(0, k, (1, 60, 20)), k)
    of_label = np.bincount(gold, minlength=k)
    joint = joint_moments(votes, of_label.astype(float))
    single = null_moments(votes.sum(axis=0), of_label)
    np.testing.assert_allclose(joint, single, atol=1e-8)
    if k > 2:
        test = joint_test(votes, gold, 1)
        above, below = pearson_tails(right_of(votes, gold), *single)
        np.testing.assert_allclose(test.above, above)
        np.testing.assert_allclose(test.below, below)


@pytest.mark.parametrize("k", [2, 3])
def test_tails_are_those_of_drawn_permutations(k):
    """Above .01 both tails agree with 40,000 drawn orders within a tenth, noise shared by runs."""
    rng = np.random.default_rng(k)
    s, n, c = 3, 120, 24
    gold = rng.permutation(np.arange(n) % k)
    common = rng.integers(0, k, (1, n, c))
    own = rng.integers(0, k, (s, n, c))
    choice = np.where(rng.random((s, n, c)) < 0.6, common, own)
    knows = rng.random((1, n, c)) < np.linspace(0, 0.18, c)
    choice = np.where(knows, gold[:, None], choice)
    votes = votes_of(choice, k)
    test, observed = joint_test(votes, gold, s), right_of(votes, gold)
    drawn = np.zeros((2, c))
    flat = votes.transpose(0, 2, 1).astype(np.float32)  # (N, K, C)
    orders = rng.permuted(np.tile(gold, (40_000, 1)), axis=1)
    right = np.zeros((len(orders), c), np.float32)
    for y in range(k):
        right += (orders == y).astype(np.float32) @ flat[:, y]
    drawn = [(right >= observed).mean(axis=0), (right <= observed).mean(axis=0)]
    for p, wanted in zip((test.above, test.below), drawn, strict=True):
        seen = (wanted > 0.01) & (wanted < 0.99)
        assert seen.sum() > c / 3
        np.testing.assert_allclose(p[seen], wanted[seen], rtol=0.1, atol=0.003)


def test_more_runs_find_more_and_nothing_where_there_is_nothing():
    """Of planted components three runs find more than one; of noise at most 2 of 40 find any."""
    rng = np.random.default_rng(1)
    n, c = 200, 120
    real, found, any_null = np.arange(c) < 30, np.zeros(2), 0
    for _ in range(40):
        gold = rng.permutation(np.arange(n) % 2)
        common = rng.normal(size=(1, n, c))
        noise = np.sqrt(0.6) * common + np.sqrt(0.4) * rng.normal(size=(3, n, c))
        for planted in (True, False):
            lean = 0.5 * rng.normal(size=c) + planted * 0.2 * real * (2 * gold[:, None] - 1)
            votes = votes_of((noise + lean > 0).astype(int), 2)
            test = joint_test(votes, gold, 3)
            q = false_discovery(two_sided(test.above, test.below))
            if not planted:
                any_null += (q <= 0.05).any()
                continue
            first = votes_of((noise[:1] + lean > 0).astype(int), 2)
            confusion = np.stack([first[gold == y].sum(axis=0) for y in (0, 1)], axis=2)
            one = luck_test(confusion.astype(np.int64))
            alone = false_discovery(two_sided(one.above, one.below))
            found += (alone <= 0.05)[real].sum(), (q <= 0.05)[real].sum()
    assert found[1] > 1.3 * found[0] > 0 and any_null <= 4


def test_constant_components_have_p_one():
    """Where all runs always say the same, or nothing, there is nothing to find."""
    gold = np.arange(20) % 2
    votes = votes_of(np.zeros((3, 20, 2), int), 2)
    test = joint_test(votes, gold, 3)
    assert test.above.tolist() == test.below.tolist() == [1, 1]


def luck(above, below):
    """A test of one component."""
    return LuckTest(np.array([0.5]), np.array([above]), np.array([below]))


@pytest.mark.parametrize("p", [1e-200, 1e-12, 1e-4, 0.02])
def test_cauchy_is_near_bonferroni_for_one_small_p(p):
    """One small p among three is times three, and two of them are better than one."""
    one = cauchy([luck(p / 2, 1), luck(0.3, 0.7), luck(0.4, 0.6)])
    got = two_sided(one.above, one.below)[0]
    assert got == pytest.approx(3 * p, rel=0.12) and one.above < one.below
    two = cauchy([luck(p / 2, 1), luck(p / 2, 1), luck(0.4, 0.6)])
    assert two_sided(two.above, two.below)[0] < 0.6 * got


def test_cauchy_of_nothing_is_one():
    """Tests without evidence stay so; a p-value of 1 takes little from a small one."""
    none = cauchy([luck(1, 1), luck(1, 1)])
    assert two_sided(none.above, none.below)[0] == 1
    some = cauchy([luck(1, 1), luck(1, 0.0005)])
    assert two_sided(some.above, some.below)[0] == pytest.approx(0.0022, abs=2e-4)
    assert some.below < some.above

"""Which components are good, bad and label-biased."""

from dataclasses import replace

import numpy as np
import pytest
from whole_split import component_stats

from compread.analysis.categories import Rules, categorize
from compread.components import Component, LayerShape, component_axis
from compread.errors import UsageError

HEAD = (Component("head", 0, 0),)


def answers(n, right, gold, k):
    """Logits [N, K] that are right on the first ``right`` rows and one label off on the rest."""
    return np.eye(k)[np.where(np.arange(n) < right, gold, (gold + 1) % k)]


def one_component(make_split, right, n=100, gold=None, full_right=60, k=2, rules=None):
    """The category of a component that is right on the first ``right`` of ``n`` rows."""
    gold = np.arange(n) % k if gold is None else np.asarray(gold)
    parts = answers(n, right, gold, k)[:, None]
    split = make_split(parts, gold, full=answers(n, full_right, gold, k))
    return categorize(component_stats(split), HEAD, rules or Rules()).category[0]


@pytest.mark.parametrize(
    ("right", "full_right", "category"),
    [
        (100, 60, "good"),
        (61, 60, "good"),
        (61, 61, "good"),  # Hypergeometric, two-sided: p = 0.046
        (60, 61, "other"),  # p = 0.072
        (61, 62, "other"),  # above chance, below the full model
        (50, 50, "other"),
        (40, 60, "other"),
        (38, 60, "bad"),
        (0, 60, "bad"),
    ],
)
def test_thresholds_on_balanced_rows(make_split, right, full_right, category):
    """Good and bad begin where the permutation test does; good is no worse than the full model."""
    assert one_component(make_split, right, full_right=full_right) == category


@pytest.mark.parametrize(
    ("right", "rules", "category"),
    [
        (61, {"alpha": 0.01}, "other"),
        (66, {"alpha": 0.01}, "good"),
        (70, {"good_accuracy": 0.8}, "other"),
        (80, {"good_accuracy": 0.8}, "good"),
        (30, {"bad_accuracy": 0.2}, "other"),
        (20, {"bad_accuracy": 0.2}, "bad"),
        (90, {"bias_share": 0.5}, "label-biased"),
        (90, {"bias_share": 0.61}, "good"),
    ],
)
def test_each_threshold_can_be_set(make_split, right, rules, category):
    """Alpha, the bias share and both accuracies move the border that they name."""
    assert one_component(make_split, right, rules=Rules(**rules)) == category


@pytest.mark.parametrize("name", ["alpha", "bias_share", "good_accuracy", "bad_accuracy"])
@pytest.mark.parametrize("value", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_is_a_share(name, value):
    """Any other number is a usage error that names the option."""
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} {value}"):
        Rules(**{name: value})


@pytest.mark.parametrize("label", [0, 1])
def test_label_biased_comes_first(make_split, label):
    """One label on every row is label-biased, even where it is always right or always wrong."""
    parts = np.tile(np.eye(2)[label], (50, 1, 1))
    split = make_split(parts, np.zeros(50, int), full=np.tile([1.0, 0.0], (50, 1)))
    assert categorize(component_stats(split), HEAD).category == ("label-biased",)


def test_unbalanced_rows_raise_the_bar(make_split):
    """Eighty right of a hundred are not good where a constant answer gets eighty-five."""
    gold = np.array([0] * 15 + [1] * 85)
    assert one_component(make_split, 80, gold=gold) == "other"
    assert one_component(make_split, 80) == "good"


def test_three_labels_have_chance_a_third(make_split):
    """Half right of ninety is good with three labels, a fifth is bad, a third is neither."""
    found = [one_component(make_split, r, n=90, full_right=40, k=3) for r in (48, 15, 30)]
    assert found == ["good", "bad", "other"]


def test_one_row_shows_nothing(make_split):
    """With one row every component says one label on every row."""
    split = make_split(np.random.default_rng(0).normal(size=(1, 5, 2)), [1])
    assert categorize(component_stats(split), HEAD * 5).category == ("label-biased",) * 5


def test_a_store_of_noise_has_no_good_component(make_split):
    """Of 200 analyses of random numbers at most one in twenty finds a good component."""
    axis = component_axis([LayerShape(9)] * 4)
    rng = np.random.default_rng(7)
    found = []
    for draw in range(200):
        k = 2 + draw % 3
        gold = rng.permutation(np.arange(120) % k)
        # The full model is at chance too, so that it is no hurdle.
        parts = rng.normal(size=(120, len(axis), k)) + rng.normal(size=(len(axis), k))
        stats = component_stats(make_split(parts, gold, full=rng.normal(size=(120, k))))
        found.append(categorize(stats, axis, Rules(good_accuracy=0.01)).category[1:-1])
    assert sum("good" in f for f in found) <= 10
    # Both ends together have the whole of alpha; the 99.9 % quantile of Binomial(200, 0.05) is 20.
    assert sum("good" in f or "bad" in f for f in found) <= 20
    assert sum(category != "other" for f in found for category in f) > 20  # biased ones


def test_planted_shares_are_found(make_split):
    """Of 400 components the 40 good, 20 bad and 60 biased ones are found, and no others."""
    rng = np.random.default_rng(3)
    axis = component_axis([LayerShape(397)])
    n = 300
    gold = rng.permutation(np.arange(n) % 2)
    parts = rng.normal(size=(n, 400, 2))
    right = np.eye(2)[gold]
    for first, last, share in ((1, 41, 0.75), (41, 61, 0.25)):
        hit = rng.random((n, last - first, 1)) < share
        parts[:, first:last] = np.where(hit, right[:, None], 1 - right[:, None])
    parts[:, 61:121] += [9, 0]
    stats = component_stats(make_split(parts, gold, full=rng.normal(size=(n, 2))))
    category = np.array(categorize(stats, axis).category)
    assert (category[1:41] == "good").all() and (category[41:61] == "bad").all()
    assert (category[61:121] == "label-biased").all()
    assert np.isin(category[121:], ["good", "bad"]).sum() <= 6  # 5 % of 60, twice over


def test_embed_and_bias_are_no_tests(make_split):
    """The correction is over heads, MLPs and mixers alone, whatever embed and bias do.

    By hand: of 3 tests the smallest p is times 3, and would be times 5 with embed and bias.
    """
    axis = component_axis([LayerShape(2)])
    gold = np.arange(100) % 2
    parts = np.stack([answers(100, right, gold, 2) for right in (100, 70, 50, 50, 100)], axis=1)
    verdicts = categorize(component_stats(make_split(parts, gold)), axis)
    assert np.isnan(verdicts.q).tolist() == [True, False, False, False, True]
    assert verdicts.q[1] == pytest.approx(3 * verdicts.p[1])
    assert verdicts.p[0] < verdicts.p[1]


def test_embed_and_bias_are_judged_by_their_own_test(make_split):
    """Outside the correction they are good by their own p-value."""
    axis = component_axis([LayerShape(2)])
    gold = np.arange(100) % 2
    parts = np.stack([answers(100, right, gold, 2) for right in (80, 70, 50, 50, 20)], axis=1)
    full = answers(100, 60, gold, 2)
    found = categorize(component_stats(make_split(parts, gold, full=full)), axis)
    assert found.category == ("good", "good", "other", "other", "bad")


def test_significant_is_up_to_alpha(make_split):
    """A corrected p-value of alpha itself is significant."""
    gold = np.arange(100) % 2
    split = make_split(answers(100, 70, gold, 2)[:, None], gold, full=answers(100, 60, gold, 2))
    q = float(categorize(component_stats(split), HEAD).q[0])
    assert categorize(component_stats(split), HEAD, Rules(alpha=q)).category == ("good",)
    below = Rules(alpha=float(np.nextafter(q, 0)))
    assert categorize(component_stats(split), HEAD, below).category == ("other",)


def test_a_mean_that_rounds_apart_is_on_a_par(make_split):
    """An accuracy that is the full model's but for rounding is at least as good."""
    gold = np.arange(100) % 2
    split = make_split(answers(100, 70, gold, 2)[:, None], gold, full=answers(100, 70, gold, 2))
    stats = component_stats(split)
    above = replace(stats.full, accuracy=stats.full.accuracy + 1e-15)
    assert categorize(replace(stats, full=above), HEAD).category == ("good",)

"""Which components are good, bad and label-biased."""

import numpy as np
import pytest

from compread.analysis.categories import categorize
from compread.analysis.components import component_stats


def one_component(make_split, right, n=100, gold=None, full_right=60, k=2):
    """The category of a component that is right on the first ``right`` of ``n`` rows."""
    gold = np.arange(n) % k if gold is None else np.asarray(gold)
    eye = np.eye(k)

    def answers(count):
        return eye[np.where(np.arange(n) < count, gold, (gold + 1) % k)]

    split = make_split(answers(right)[:, None], gold, full=answers(full_right))
    return categorize(component_stats(split))[0]


@pytest.mark.parametrize(
    ("right", "full_right", "category"),
    [
        (100, 60, "good"),
        (61, 60, "good"),
        (60, 60, "good"),  # Wilson 0.502 to 0.691
        (60, 61, "other"),  # above chance, below the full model
        (59, 40, "other"),  # Wilson from 0.492: not above chance
        (50, 50, "other"),
        (41, 60, "other"),
        (40, 60, "bad"),  # Wilson up to 0.498
        (0, 60, "bad"),
    ],
)
def test_thresholds_on_balanced_rows(make_split, right, full_right, category):
    """Good and bad begin where the interval leaves 1/2; good is no worse than the full model."""
    assert one_component(make_split, right, full_right=full_right) == category


@pytest.mark.parametrize("label", [0, 1])
def test_label_biased_comes_first(make_split, label):
    """One label on every row is label-biased, even where it is always right or always wrong."""
    parts = np.tile(np.eye(2)[label], (50, 1, 1))
    split = make_split(parts, np.zeros(50, int), full=np.tile([1.0, 0.0], (50, 1)))
    assert categorize(component_stats(split)) == ("label-biased",)


def test_unbalanced_rows_raise_the_bar(make_split):
    """Eighty right of a hundred are not good where a constant answer gets eighty-five."""
    gold = np.array([0] * 15 + [1] * 85)
    assert one_component(make_split, 80, gold=gold) == "other"
    assert one_component(make_split, 80) == "good"
    # Twelve right are below 1/2 but not below the rarer label's 15 %.
    assert one_component(make_split, 12, gold=gold) == "other"
    assert one_component(make_split, 12) == "bad"


def test_three_labels_have_chance_a_third(make_split):
    """Half right of ninety is good with three labels, a fifth is bad, a third is neither."""
    found = [one_component(make_split, r, n=90, full_right=40, k=3) for r in (45, 18, 30)]
    assert found == ["good", "bad", "other"]


def test_one_row_shows_nothing(make_split):
    """With one row every component says one label on every row."""
    split = make_split(np.random.default_rng(0).normal(size=(1, 5, 2)), [1])
    assert categorize(component_stats(split)) == ("label-biased",) * 5

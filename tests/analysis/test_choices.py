"""Predictions in bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compread.analysis.choices import Choices, RowChoices, votes


@given(n=st.integers(1, 9), c=st.integers(1, 20), k=st.integers(1, 9), seed=st.integers(0, 99))
def test_what_is_packed_comes_back(n, c, k, seed):
    """Labels of any number come back as they were, in pieces too."""
    choice = np.random.default_rng(seed).integers(0, k, (n, c)).astype(np.int16)
    pieces = [Choices.pack(choice[: n // 2], k), Choices.pack(choice[n // 2 :], k)]
    np.testing.assert_array_equal(Choices.pack(choice, k).unpack(), choice)
    np.testing.assert_array_equal(Choices.join(pieces).unpack(), choice)


def test_two_labels_take_a_bit():
    """A million predictions of two labels take an eighth of a megabyte."""
    assert Choices.pack(np.zeros((1000, 1000), np.int16), 2).planes.nbytes == 125_000


def test_votes_are_counted():
    """Each run has one vote on each row."""
    rng = np.random.default_rng(0)
    runs = rng.integers(0, 3, (4, 5, 7)).astype(np.int16)
    got = votes([Choices.pack(run, 3) for run in runs], 3)
    for label in range(3):
        np.testing.assert_array_equal(got[:, :, label], (runs == label).sum(axis=0))


@pytest.mark.parametrize(
    ("ids", "gold", "task"),
    [
        (("a", "c"), (0, 1), "sst2"),
        (("a", "b"), (1, 1), "sst2"),
        (("b", "a"), (0, 1), "sst2"),
        (("a", "b"), (0, 1), "rte"),
    ],
)
def test_other_rows_have_another_key(ids, gold, task):
    """Ids, their order, right labels and the task tell row sets apart."""
    one = RowChoices.key_of(("a", "b"), np.array([0, 1]), "sst2")
    assert one == RowChoices.key_of(["a", "b"], np.array([0, 1]), "sst2")
    assert one != RowChoices.key_of(ids, np.array(gold), task)

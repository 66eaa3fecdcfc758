"""What places of a ranking are worth elsewhere."""

import numpy as np
import pytest
from conftest import make_run

from compread.analysis.choices import Choices, RowChoices
from compread.analysis.crossfit import crossfit_accuracy
from compread.analysis.runs import RunStats
from compread.store import Labels


def runs_of(choices, gold, keys=None):
    """Runs with predictions [S, N, C] over rows of labels [N]."""
    runs = []
    for s, choice in enumerate(choices):
        packed = Choices.pack(choice.astype(np.int16), 2)
        rows = RowChoices(keys[s] if keys else "same", gold, packed, packed)
        labels = Labels((" a", " b"), (1, 2))
        runs.append(RunStats(f"{s}.h5", make_run(), (), labels, None, rows=rows))
    return runs


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("s", [1, 3])
def test_guessing_components_are_worth_half(s, ascending):
    """Of components that guess, the first of many looks far better than half, and is worth half."""
    rng = np.random.default_rng(s)
    worth, seen = [], []
    for _ in range(40):
        gold = rng.permutation(np.arange(100) % 2)
        common = rng.integers(0, 2, (1, 100, 200))
        own = rng.integers(0, 2, (s, 100, 200))
        choices = np.where(rng.random((s, 100, 200)) < 0.7, common, own)
        accuracy = (choices == gold[:, None]).mean(axis=(0, 1))
        seen.append(accuracy.min() if ascending else accuracy.max())
        worth.append(crossfit_accuracy(runs_of(choices, gold), np.arange(200), ascending)[0])
    assert abs(np.mean(seen) - 0.5) > 0.08
    assert np.mean(worth) == pytest.approx(0.5, abs=3 * np.std(worth) / np.sqrt(40))


def test_places_that_are_deserved_keep_their_worth():
    """Planted accuracies far apart come back in their order, over other rows and the same ones."""
    rng = np.random.default_rng(0)
    truth = np.array([0.3, 0.9, 0.6])
    gold = np.arange(2000) % 2
    hit = rng.random((2, 2000, 3)) < truth
    choices = np.where(hit, gold[:, None], 1 - gold[:, None])
    for keys in (None, ["one", "other"]):
        got = crossfit_accuracy(runs_of(choices, gold, keys), np.arange(3))
        np.testing.assert_allclose(got, [0.9, 0.6, 0.3], atol=0.03)


def test_a_single_row_has_no_other_half():
    """With one row nothing can be scored elsewhere."""
    runs = runs_of(np.zeros((1, 1, 3), int), np.array([0]))
    assert np.isnan(crossfit_accuracy(runs, np.arange(3))).all()

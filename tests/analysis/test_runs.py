"""Statistics of stores, and their average."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from compread.analysis.components import component_stats
from compread.analysis.runs import average, read_runs
from compread.components import LayerShape, component_axis
from compread.errors import StoreError, UsageError
from compread.store import open_store


@pytest.fixture(scope="module")
def runs(stores):
    """The three planted runs."""
    return read_runs(sorted(stores.iterdir()))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_streamed_store_equals_its_arrays(stores, split):
    """Reading a store in pieces gives what its arrays in memory give."""
    path = stores / "sst2-t1-k4-s0.h5"
    (run,) = read_runs([path], split)
    with open_store(path) as store:
        wanted = component_stats(store.split(split))
    for got, want in ((run.stats.parts, wanted.parts), (run.stats.full, wanted.full)):
        for name in ("accuracy", "accuracy_low", "accuracy_high", "predicted", "margin", "tied"):
            np.testing.assert_allclose(getattr(got, name), getattr(want, name), rtol=1e-12)
    assert run.stats.gold_share.tolist() == wanted.gold_share.tolist()


def test_one_run_is_its_own_average(runs):
    """The average of one run is that run, Wilson's interval included."""
    assert average(runs[:1]) is runs[0].stats


def test_averages_over_runs(runs):
    """Means are means over stores, sd is the population's, the interval Student's t."""
    got = average(runs)
    accuracy = np.stack([run.stats.parts.accuracy for run in runs])
    np.testing.assert_allclose(got.parts.accuracy, accuracy.mean(0))
    np.testing.assert_allclose(got.parts.accuracy_sd, np.std(accuracy, axis=0))
    np.testing.assert_allclose(
        got.parts.predicted, np.mean([run.stats.parts.predicted for run in runs], axis=0)
    )
    assert got.parts.n == sum(run.stats.parts.n for run in runs)
    for j in np.flatnonzero(accuracy.std(0) > 0):
        low, high = scipy_stats.t.interval(
            0.95, 2, accuracy[:, j].mean(), scipy_stats.sem(accuracy[:, j])
        )
        assert got.parts.accuracy_low[j] == pytest.approx(max(0, low))
        assert got.parts.accuracy_high[j] == pytest.approx(min(1, high))


def test_a_p_value_over_runs_is_twice_the_mean(runs):
    """One that holds whatever the dependence of the runs, and is at most 1."""
    got = average(runs).parts
    for name in ("above", "below"):
        each = np.stack([getattr(run.stats.parts, name) for run in runs])
        np.testing.assert_allclose(getattr(got, name), np.minimum(1, 2 * each.mean(0)))


def test_biased_on_average_is_biased_in_every_store(runs):
    """A component that is label-biased in some of the stores only is not so on average."""
    each = np.stack([run.stats.parts.label_biased for run in runs])
    assert average(runs).parts.label_biased.tolist() == each.all(0).tolist()


def test_runs_of_other_components_are_not_averaged(tmp_path, stores, write_store):
    """The message names both stores and says what differs."""
    other = write_store(tmp_path / "other.h5", axis=component_axis([LayerShape(3)]), model="large")
    runs = read_runs([stores / "sst2-t1-k4-s0.h5", other])
    with pytest.raises(
        StoreError, match=r"s0\.h5 and .*other\.h5 have different components.*large"
    ):
        average(runs)


def test_runs_of_other_labels_are_not_averaged(tmp_path, stores, write_store):
    """The message names both stores and the words."""
    other = write_store(tmp_path / "other.h5", words=(" no", " yes"))
    runs = read_runs([stores / "sst2-t1-k4-s0.h5", other])
    with pytest.raises(StoreError, match=r"s0\.h5 and .*other\.h5 .*' negative'.*' no'"):
        average(runs)


def test_a_split_without_rows_is_a_usage_error(tmp_path, write_store):
    """The message names the store and the split that has rows."""
    path = write_store(tmp_path / "s.h5", n_train=0)
    with pytest.raises(UsageError, match=r"s\.h5 has no train rows; try --split test"):
        read_runs([path], "train")

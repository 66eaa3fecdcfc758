"""Statistics of stores, and their average."""

from dataclasses import fields

import numpy as np
import pytest
from conftest import AXIS, make_run
from whole_split import component_stats

from compread.analysis.average import average
from compread.analysis.chance import LuckTest
from compread.analysis.change import change
from compread.analysis.joint import cauchy, joint_test
from compread.analysis.repeats import repeats_note
from compread.analysis.runs import read_runs
from compread.components import LayerShape, component_axis
from compread.errors import StoreError, UsageError
from compread.store import Labels, SplitRows, StoreWriter, open_store


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
        for name in ("accuracy", "accuracy_low", "accuracy_high", "predicted", "tied"):
            np.testing.assert_allclose(getattr(got, name), getattr(want, name), rtol=1e-12)
        np.testing.assert_allclose(got["margin"], want["margin"], rtol=1e-12)
    assert run.stats.gold_share.tolist() == wanted.gold_share.tolist()


def test_one_run_is_its_own_average(runs):
    """The average of one run is that run, Wilson's interval included."""
    assert average(runs[:1]) is runs[0].stats


def test_averages_over_runs(runs):
    """Means are means over stores, sd is the population's."""
    got = average(runs)
    accuracy = np.stack([run.stats.parts.accuracy for run in runs])
    np.testing.assert_allclose(got.parts.accuracy, accuracy.mean(0))
    np.testing.assert_allclose(got.parts.accuracy_sd, np.std(accuracy, axis=0))
    np.testing.assert_allclose(
        got.parts.predicted, np.mean([run.stats.parts.predicted for run in runs], axis=0)
    )
    assert got.parts.n == sum(run.stats.parts.n for run in runs)
    assert (got.parts.accuracy_low <= got.parts.accuracy).all()
    assert (got.parts.accuracy_high - got.parts.accuracy_low > 0).all()


def test_runs_over_the_same_rows_have_one_test(tmp_path, write_store):
    """Three runs with the same right labels are tested jointly, parts and full model alike."""
    rng = np.random.default_rng(0)
    paths, parts = [], []
    gold, ids = np.arange(100) % 2, [str(i) for i in range(100)]
    for seed in range(3):
        info = make_run(seed=seed)
        path = tmp_path / f"{seed}.h5"
        parts.append(rng.normal(size=(100, len(AXIS), 2)).astype(np.float32))
        rows = {"test": SplitRows(gold, ids, ids)}
        with StoreWriter.open(path, info, AXIS, Labels((" a", " b"), (1, 2)), rows) as writer:
            writer.append(range(100), parts[-1], parts[-1].sum(1), np.zeros(100), np.ones(100))
            paths.append(writer.finish(info))
    got = average(read_runs(paths))
    choice = np.stack(parts).argmax(axis=3)
    counts = np.stack([(choice == y).sum(axis=0) for y in (0, 1)], axis=2).astype(np.int32)
    wanted = joint_test(counts, gold, 3)
    for name in ("above", "below", "chance"):
        np.testing.assert_allclose(getattr(got.parts, name), getattr(wanted, name))
    full = np.stack([p.sum(1) for p in parts]).argmax(axis=2)
    counts = np.stack([(full == y).sum(axis=0) for y in (0, 1)], axis=1).astype(np.int32)
    assert got.full.above == pytest.approx(joint_test(counts[:, None], gold, 3).above)


def test_runs_over_other_rows_are_combined(runs):
    """Runs whose rows differ have Cauchy's combination of their own tests."""
    got, each = average(runs).parts, [run.stats.parts for run in runs]
    wanted = cauchy([LuckTest(one.chance, one.above, one.below) for one in each])
    np.testing.assert_allclose(got.above, wanted.above)
    np.testing.assert_allclose(got.below, wanted.below)


def test_biased_on_average_is_biased_in_every_store(runs):
    """A component that is label-biased in some of the stores only is not so on average."""
    each = np.stack([run.stats.parts.top_share >= 1 for run in runs])
    assert (average(runs).parts.top_share >= 1).tolist() == each.all(0).tolist()


def test_runs_of_other_components_are_not_averaged(tmp_path, stores, write_store):
    """The message names both stores and says what differs."""
    other = write_store(tmp_path / "other.h5", axis=component_axis([LayerShape(3)]), model="large")
    runs = read_runs([stores / "sst2-t1-k4-s0.h5", other])
    with pytest.raises(
        StoreError, match=r"s0\.h5 and .*other\.h5 have different components.*large"
    ):
        average(runs)


def test_runs_of_another_number_of_labels_are_not_averaged(tmp_path, stores, write_store):
    """The message names both stores, their words and a way out."""
    other = write_store(tmp_path / "other.h5", words=(" no", " maybe", " yes"))
    runs = read_runs([stores / "sst2-t1-k4-s0.h5", other])
    with pytest.raises(StoreError, match=r"s0\.h5 has 2 .*other\.h5 has 3 \(no, maybe.*analyze"):
        average(runs)


def test_a_split_without_rows_is_a_usage_error(tmp_path, write_store):
    """The message names the store and the split that has rows."""
    path = write_store(tmp_path / "s.h5", n_train=0)
    with pytest.raises(UsageError, match=r"s\.h5 has no train rows; try --split test"):
        read_runs([path], "train")


def test_rows_of_equal_prompts_count_as_one(doubled):
    """A store whose rows stand twice has the statistics of one in which they stand once."""
    once, twice = read_runs([doubled("1.h5", 1), doubled("2.h5", 2)], resample=True)
    assert (once.repeats[1:], twice.repeats[1:]) == ((0, 60), (60, 120))
    for side in ("parts", "full"):
        one, two = getattr(once.stats, side), getattr(twice.stats, side)
        assert one.measured.keys() == two.measured.keys()
        values = [(getattr(one, f.name), getattr(two, f.name)) for f in fields(one)]
        values += [(one.measured[name], two.measured[name]) for name in one.measured]
        for first, second in (pair for pair in values if not isinstance(pair[0], dict)):
            np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(once.resampled.right, twice.resampled.right)
    assert once.rows.gold.tolist() == twice.rows.gold.tolist()


def test_rows_that_repeat_are_told(doubled):
    """One sentence for all stores, which names the one with the most."""
    runs = read_runs([doubled("1.h5", 1), doubled("2.h5", 2), doubled("3.h5", 3)])
    told = repeats_note([run.repeats for run in runs], "test")
    assert "2 of 3 stores have test rows with the prompt of an earlier row" in told
    assert "3.h5: 120 of 180" in told
    assert repeats_note([runs[0].repeats], "test") is None


def test_a_change_counts_equal_prompts_once(doubled):
    """Paired rows of equal prompts are one pair."""
    once = change([doubled("1.h5", 1)], [doubled("1b.h5", 1, seed=1)])
    twice = change([doubled("2.h5", 2)], [doubled("2b.h5", 2, seed=1)])
    np.testing.assert_array_equal(once.p, twice.p)
    np.testing.assert_array_equal(once.low, twice.low)
    assert [one[1:] for one in (*once.repeats, *twice.repeats)] == [(0, 60), (60, 120)]

"""Paired tests against scipy and a simulation, and the means over tasks."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from compread.errors import UsageError
from compread.reweight.fit import reweight
from compread.reweight.registry import make_methods
from compread.reweight.results import average, compare, summarize, versus
from compread.views.reweight import _versus_table


@pytest.fixture(scope="module")
def fits(make_store):
    """Three methods on two runs of each of three tasks."""
    stores = [make_store(s, task=f"task{s % 3}") for s in range(6)]
    return reweight(stores, make_methods(["full", "comprw", "blend"], "official"), (8, 20))


def test_the_test_is_over_tasks(fits):
    """Interval and p are those of scipy's t test on the tasks' mean differences."""
    accuracy = {(f.method, len(f.train_ids), f.store): f.test.accuracy for f in fits}
    rows = versus(fits, "full")
    assert [(r["method"], r["n_train"]) for r in rows] == [
        (m, n) for n in (8, 20) for m in ("comprw", "blend")
    ]
    for row in rows:
        gains = [
            accuracy[row["method"], row["n_train"], f"s{s}.h5"]
            - accuracy["full", row["n_train"], f"s{s}.h5"]
            for s in range(6)
        ]
        by_task = [np.mean(gains[task::3]) for task in range(3)]
        wanted = ttest_1samp(by_task, 0)
        interval = wanted.confidence_interval(0.95)
        assert row["difference"] == pytest.approx(np.mean(by_task))
        assert row["p"] == pytest.approx(wanted.pvalue)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["tasks_won"] == sum(gain > 0 for gain in by_task)
        assert (row["unit"], row["units"], row["tasks"], row["runs"]) == ("task", 3, 3, 6)


def test_a_single_task_is_tested_over_its_runs():
    """There the runs are the units."""
    gains = [0.1, 0.0, 0.3, -0.1]
    row = compare({("sst2", str(i)): gain for i, gain in enumerate(gains)})
    assert (row["unit"], row["units"], row["tasks"]) == ("run", 4, 1)
    assert row["p"] == pytest.approx(ttest_1samp(gains, 0).pvalue)


def test_without_spread_there_is_no_p():
    """One run, or differences that are all the same, leave interval and p open."""
    for gains in ([0.2], [0.0, 0.0, 0.0], [0.1 + 0.2, 0.3, 0.3]):
        row = compare({("sst2", str(i)): gain for i, gain in enumerate(gains)})
        assert (row["low"], row["high"], row["p"]) == (None, None, None)
        assert row["difference"] == np.mean(gains)


@pytest.mark.parametrize("tasks", [1, 2])
def test_two_units_give_no_interval(tasks):
    """Of two tasks, or two runs of one, an interval would reach beyond all that can be."""
    gains = {(f"t{i % tasks}", str(i)): gain for i, gain in enumerate([-0.27, -0.01])}
    row = compare(gains)
    assert (row["units"], row["low"], row["high"], row["p"]) == (2, None, None, None)
    table = _versus_table([row | {"method": "a", "versus": "b", "n_train": 8, "setting": None}])
    unit = "tasks" if tasks == 2 else "runs"
    assert f"2 {unit} give no interval and no p; give at least 3" in table.note


def test_an_interval_stays_within_what_accuracies_can_differ():
    """Three tasks as far apart as can be have an interval from -1 to 1."""
    row = compare({(f"t{i}", "0"): gain for i, gain in enumerate([-0.9, 0.0, 0.9])})
    assert (row["low"], row["high"]) == (-1, 1)


def test_runs_of_a_task_are_not_independent_points():
    """Where tasks differ and runs do not, equal methods are called different in 1 of 20 cases."""
    rng = np.random.default_rng(0)
    found = {"ours": 0, "pooled": 0}
    for _ in range(400):
        tasks = rng.normal(0, 0.03, 8)
        gains = {
            (f"t{t}", str(r)): tasks[t] + rng.normal(0, 0.01) for t in range(8) for r in range(15)
        }
        found["ours"] += compare(gains)["p"] < 0.05
        found["pooled"] += ttest_1samp(list(gains.values()), 0).pvalue < 0.05
    assert found["ours"] / 400 < 0.08
    assert found["pooled"] / 400 > 0.3


def test_an_unknown_opponent_is_named(fits):
    """The message has the methods there are."""
    with pytest.raises(UsageError, match="'bc': it is not among --methods full,comprw,blend"):
        versus(fits, "bc")


def test_the_average_is_over_tasks(fits):
    """A task counts once however many runs it has."""
    some = [f for f in fits if f.store != "s3.h5"]
    for row in average(summarize(some)):
        by_task = {}
        for f in some:
            if (f.method, len(f.train_ids)) == (row["method"], row["n_train"]):
                by_task.setdefault(f.run.task, []).append(f.test.accuracy)
        assert row["accuracy"] == pytest.approx(np.mean([np.mean(v) for v in by_task.values()]))
        assert (row["tasks"], row["runs"]) == (3, 5)


def test_a_task_without_a_difference_is_not_won():
    """Only above zero; both tasks count as units."""
    row = compare({("a", "1"): 0.0, ("b", "2"): 0.25, ("c", "3"): -0.25})
    assert (row["tasks_won"], row["tasks"]) == (1, 3)

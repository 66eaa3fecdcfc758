"""From stores to fits: budgets, scores, and what is refused."""

from collections import Counter
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from compread.errors import StoreError, UsageError
from compread.reweight.fit import reweight
from compread.reweight.registry import METHODS, make_methods
from compread.reweight.results import summarize
from compread.store.schema import Labels

ALL = make_methods(list(METHODS), "official")
FULL = make_methods(["full"], "official")


def parameters(fits):
    """The fitted arrays of each fit."""
    return [fit.fitted.parameters() for fit in fits]


def test_fits_come_store_by_store_budget_by_budget_method_by_method(make_store):
    """One fit for each store, budget and method, in that order."""
    fits = reweight([make_store(0), make_store(1)], ALL, (8, None))
    assert [(f.store, len(f.train_ids), f.method) for f in fits] == [
        (store, n, method) for store in ("s0.h5", "s1.h5") for n in (8, 20) for method in METHODS
    ]


def test_fitting_stores_together_is_fitting_each_alone(make_store):
    """A store's fits do not depend on the stores beside it, of other labels and sizes too."""
    stores = [make_store(0), make_store(1, labels=3), make_store(2, n_train=9)]
    together = reweight(stores, ALL)
    alone = [fit for store in stores for fit in reweight([store], ALL)]
    assert [f.row() for f in together] == [f.row() for f in alone]


def test_a_budget_takes_the_first_rows(make_store):
    """Rows beyond the budget have no influence, and the ids kept are those of the first."""
    store, changed = make_store(0), make_store(0)
    train = changed.split("train")
    train.parts[8:] = 0
    train.gold[8:] = 1 - train.gold[8:]
    ours, theirs = reweight([store], ALL, (8,)), reweight([changed], ALL, (8,))
    np.testing.assert_equal(parameters(ours), parameters(theirs))
    assert ours[0].train_ids == tuple(f"train-{i}" for i in range(8))


@pytest.mark.parametrize("method", [*METHODS, "comprw:paper", "comprw:convex", "comprw:signed"])
def test_labels_of_the_test_rows_touch_no_fit(make_store, method):
    """Shuffled test labels give the same weights and only another accuracy."""
    store, shuffled = make_store(0, n_test=61), make_store(0, n_test=61)
    gold = shuffled.split("test").gold
    gold[:] = 1 - gold
    (ours,) = reweight([store], make_methods([method], "official"))
    (theirs,) = reweight([shuffled], make_methods([method], "official"))
    np.testing.assert_equal(parameters([ours]), parameters([theirs]))
    assert ours.test.accuracy == pytest.approx(1 - theirs.test.accuracy)
    assert ours.test.accuracy != theirs.test.accuracy


def test_accuracies_and_their_interval_are_those_of_the_scores(make_store):
    """Accuracy is counted on the scores' argmax, with Wilson's interval of scipy around it."""
    from scipy.stats import binomtest

    store = make_store(0)
    for fit in reweight([store], ALL):
        test, train = store.split("test"), store.split("train")
        if fit.method == "comprw":
            scores = [np.einsum("nck,c->nk", s.parts, fit.fitted.weights) for s in (test, train)]
            right = int((scores[0].argmax(1) == test.gold).sum())
            assert fit.test.accuracy == right / 60
            assert fit.train_accuracy == (scores[1].argmax(1) == train.gold).mean()
        wanted = binomtest(round(fit.test.accuracy * 60), 60).proportion_ci(method="wilson")
        assert (fit.test.accuracy_low, fit.test.accuracy_high) == pytest.approx(tuple(wanted))
        assert fit.test.n == 60


def test_the_full_model_needs_no_train_rows(make_store):
    """On a store without train rows `full` is scored, with no train accuracy to tell."""
    (fit,) = reweight([make_store(n_train=0)], FULL)
    assert fit.train_accuracy is None and fit.row()["n_train"] == 0


@pytest.mark.parametrize("gold", [[0], [1, 1, 1]])
def test_one_row_or_one_class_is_enough_to_fit(make_store, gold):
    """One train row, and a class missing from train, are fitted and scored."""
    store = make_store(n_train=len(gold))
    store.split("train").gold[:] = gold
    for fit in reweight([store], ALL):
        assert 0 <= fit.test.accuracy <= 1


@pytest.mark.parametrize(
    ("n_train", "budget", "message"),
    [
        (20, 21, "--n-train 21: s0.h5 has 20 train rows"),
        (20, 0, "--n-train 0 leaves no train rows to fit calib+, "),
        (0, None, "s0.h5 has no train rows to fit calib+, "),
        (0, 0, "s0.h5 has no train rows to fit calib+, "),
    ],
)
def test_too_few_train_rows_are_refused(make_store, n_train, budget, message):
    """The message names the store and how many rows there are."""
    with pytest.raises(UsageError) as error:
        reweight([make_store(n_train=n_train)], ALL, (budget,))
    assert message in str(error.value)


def test_a_single_label_is_refused(make_store):
    """With one label there is nothing to tell apart."""
    store = replace(make_store(labels=2), labels=Labels((" yes",), (7,)))
    with pytest.raises(StoreError, match="only the label ' yes'"):
        reweight([store], FULL)


def test_a_store_without_test_rows_is_refused(make_store):
    """There is nothing to score on."""
    with pytest.raises(StoreError, match=r"s0\.h5 has no test rows"):
        reweight([make_store(n_test=0)], FULL)


def test_the_summary_is_mean_and_population_sd_by_task_and_method(make_store):
    """One row a task, method and budget, over its runs."""
    stores = [make_store(s, task=task) for s, task in enumerate(["a", "b", "a"])]
    fits = reweight(stores, ALL, (8, 20))
    rows = summarize(fits)
    assert len(rows) == 2 * len(METHODS) * 2
    for row in rows:
        mine = [
            f.test.accuracy
            for f in fits
            if (f.run.task, f.method, len(f.train_ids))
            == (row["task"], row["method"], row["n_train"])
        ]
        assert row["runs"] == len(mine) == (2 if row["task"] == "a" else 1)
        assert row["accuracy"] == pytest.approx(sum(mine) / len(mine))
        spread = (sum((x - row["accuracy"]) ** 2 for x in mine) / len(mine)) ** 0.5
        assert row["accuracy_sd"] == pytest.approx(spread)


def test_train_rows_are_gone_before_the_next_store_is_read(make_store, monkeypatch):
    """Beyond a limit stores are finished one by one; below it they are fitted together."""
    read = []
    stores = [make_store(0), make_store(1)]
    split = type(stores[0]).split
    monkeypatch.setattr(
        type(stores[0]), "split", lambda s, name: read.append((s.path.name, name)) or split(s, name)
    )
    for limit, wanted in ((1, ["s0", "s0", "s1", "s1"]), (1 << 20, ["s0", "s1", "s0", "s1"])):
        monkeypatch.setattr(import_module("compread.reweight.fit"), "TOGETHER_BYTES", limit)
        read.clear()
        reweight(stores, FULL)
        seen = [(store[:2], name) for store, name in read if name != "calibration"]
        assert [store for store, _ in seen] == wanted
        assert seen[-1] == ("s1", "test")


def test_what_reads_no_train_row_scores_the_test_rows_once(make_store, monkeypatch):
    """Whatever the numbers of train rows; each still has the fit's line, and its own train rows."""
    store = make_store(0)
    methods = make_methods(["full", "bc", "bc-prob", "cc", "dc", "procal", "comprw"], "official")
    alone = [reweight([store], methods, (budget,)) for budget in (4, 8, 20)]
    scored = []
    for kind in {method.fitted for method in methods}:  # cc and dc make one kind
        monkeypatch.setattr(
            kind,
            "scores",
            lambda self, rows, kind=kind, own=kind.scores: (
                scored.append((kind.__name__, len(rows))) or own(self, rows)
            ),
        )
    fits = reweight([store], methods, (4, 8, 20))
    on_test = Counter(name for name, rows in scored if rows == 60)
    assert on_test == {
        "FullModel": 1, "LogBatch": 1, "ProbabilityBatch": 1, "LogPrior": 2, "Clusters": 1,
        "ComponentWeights": 3,
    }  # fmt: skip
    assert [fit.row() for fit in fits] == [fit.row() for some in alone for fit in some]

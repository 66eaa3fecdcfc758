"""Temperatures: fitted on rows left out, right on a simulation, sound on next to nothing."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from compread.analysis.calibration import calibration
from compread.reweight.fit import reweight
from compread.reweight.registry import METHODS, make_methods
from compread.reweight.rows import Rows, Training, training_of
from compread.reweight.temperature import (
    GROUPS,
    best_temperature,
    groups,
    left_out_scores,
    scaled,
    temperature,
)


def training(store, n_train=None):
    """The train rows of a store."""
    split, free = store.split("train"), store.split("calibration")
    gram = store.label_gram("train")
    return training_of(split, store.components, n_train, "s", free, gram)


def without(run, row):
    """The same rows less one."""
    kept = [n for n in range(len(run)) if n != row]
    rows = Rows(run.rows.parts[kept], run.rows.full[kept], run.rows.components)
    free = (run.content_free, run.content_free_id)
    return Training(rows, run.gold[kept], tuple(run.id[n] for n in kept), "s", *free)


def by_root(scores, gold):
    """T where the slope of the penalised, smoothed cross-entropy in log T is zero, by bisection."""
    n, k = scores.shape
    target = (np.eye(k)[gold] * n + 1) / (n + k)
    sd = np.std(scores - scores.mean(axis=1, keepdims=True))

    def slope(log_t):
        x = scores / np.exp(log_t)
        return ((target - softmax(x, axis=1)) * x).sum() + (log_t - np.log(sd) - 1) / 1.5**2

    return np.exp(brentq(slope, np.log(sd) - 5, np.log(sd) + 10, xtol=1e-12))


def test_it_repairs_an_overconfident_predictor():
    """Scores three times too large get T = 3, and the error of new rows goes to nearly 0."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 3)) * 1.5
    p = softmax(scores, axis=1).cumsum(axis=1)
    gold = (rng.random((len(p), 1)) > p[:, :-1]).sum(axis=1)
    train, test = slice(0, 10_000), slice(10_000, None)
    at = best_temperature(3 * scores[train], gold[train])
    assert at == pytest.approx(3, rel=0.05)
    before = calibration(scaled(3 * scores[test], None), gold[test])
    after = calibration(scaled(3 * scores[test], at), gold[test])
    assert before.ece > 0.15 and after.ece < 0.02 and after.log_loss < before.log_loss


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("labels", [2, 5])
def test_the_temperature_is_the_root_of_the_slope(size, labels):
    """Scores of any size, against a solver of another kind."""
    rng = np.random.default_rng(labels)
    gold = np.arange(30) % labels
    scores = rng.normal(size=(30, labels)) + 0.7 * np.eye(labels)[gold]
    wanted = by_root(scores, gold) * size
    assert best_temperature(scores * size, gold) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("method", ["comprw", "blend-row", "centroid", "linc", "affine"])
def test_each_row_is_scored_by_a_fit_without_it(make_store, method):
    """With so few rows one by one, against fits made here."""
    run = training(make_store(0), 8)
    (one,) = make_methods([method], None)
    wanted = [one.fit([without(run, n)])[0].scores(run.rows)[n] for n in range(8)]
    np.testing.assert_allclose(left_out_scores(one, run), wanted, atol=1e-6)


def test_a_row_that_is_not_left_out_would_vouch_for_itself(make_store):
    """Where labels are random, scores of the rows fitted on are sure and right, others not."""
    store = make_store(3)
    run = training(store)
    run.gold[:] = np.random.default_rng(1).permutation(run.gold)
    run.rows.parts[:] = np.random.default_rng(2).normal(size=run.rows.parts.shape)
    (blend,) = make_methods(["blend"], None)
    seen = best_temperature(blend.fit([run])[0].scores(run.rows), run.gold)
    assert temperature(blend, run) > 3 * seen


@pytest.mark.parametrize(("n", "labels"), [(2, 2), (7, 3), (20, 2), (61, 5)])
def test_groups_have_every_label_alike(n, labels):
    """No group lacks more than one row of a label that another has; all are of nearly a size."""
    gold = np.random.default_rng(n).permutation(np.arange(n) % labels)
    group = groups(gold)
    assert len(set(group)) == min(n, GROUPS)
    for which in [np.ones(n, bool), *(gold == y for y in range(labels))]:
        counts = np.bincount(group[which], minlength=min(n, GROUPS))
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("gold", [[0, 0, 0, 0], [0, 1], [1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0]])
def test_every_method_has_a_temperature(make_store, gold):
    """Finite and above 0, also where one label is missing and where all left-out rows are right."""
    store = make_store(n_train=len(gold))
    store.split("train").gold[:] = gold
    for fit in reweight([store], make_methods(list(METHODS), None), temperatures=True):
        assert fit.temperature is not None and 0 < fit.temperature < np.inf, fit.title
        assert fit.test.scaled is not None and np.isfinite(fit.test.scaled.log_loss)
        assert fit.test.scaled.brier <= 2


def test_what_has_no_say_leaves_it_open(make_store):
    """No temperature of fewer than two rows; 1 where scores are all equal."""
    (full,) = make_methods(["full"], None)
    assert temperature(full, training(make_store(n_train=1))) is None
    assert best_temperature(np.ones((6, 2)), np.array([0, 1] * 3)) == 1.0


def test_it_reads_no_test_row(make_store):
    """Other test rows with other labels leave each temperature as it is, to the bit."""
    methods = make_methods(["full", "bc", "procal", "comprw", "blend"], None)
    store, other = make_store(0), make_store(0)
    other.splits["test"] = make_store(9).splits["test"]
    one, two = (reweight([s], methods, (8, 20), temperatures=True) for s in (store, other))
    assert [f.temperature for f in one] == [f.temperature for f in two]
    assert [f.test for f in one] != [f.test for f in two]


def test_it_changes_no_prediction(make_store):
    """Accuracies are those without temperatures, and so is the calibration as it is."""
    methods = make_methods(["full", "comprw", "blend"], None)
    plain = reweight([make_store(0)], methods)
    for one, other in zip(
        reweight([make_store(0)], methods, temperatures=True), plain, strict=True
    ):
        assert other.temperature is None and other.test.scaled is None
        assert one.test.accuracy == other.test.accuracy
        assert one.test.calibration == other.test.calibration


def test_the_calibration_is_that_of_the_scaled_scores(make_store):
    """Of the test rows' scores over T, against scipy's softmax."""
    store = make_store(0)
    (fit,) = reweight([store], make_methods(["comprw"], None), temperatures=True)
    split = store.split("test")
    scores = fit.fitted.scores(Rows(split.parts, split.full, store.components))
    logs = log_softmax(scores / fit.temperature, axis=1)
    assert fit.test.scaled == calibration(logs, split.gold)
    assert fit.row()["scaled_ece"] == fit.test.scaled.ece

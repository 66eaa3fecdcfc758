"""Calib+ on probabilities that are many, whose exponentials are followed."""

from importlib import import_module

import numpy as np
import pytest

from compread.reweight.methods.calib import TRAINER, FollowedDiagonal
from compread.reweight.rows import training_of
from compread.reweight.solvers.descent import descend
from compread.reweight.solvers.sums import Diagonal

calib = import_module("compread.reweight.methods.calib")


@pytest.fixture
def taken(monkeypatch):
    """The runs whose exponentials were taken, one after the other."""
    runs, real = [], FollowedDiagonal._take
    monkeypatch.setattr(FollowedDiagonal, "_take", lambda *a: runs.append(int(a[1])) or real(*a))
    return runs


def problem(seed, runs=2, rows=40, labels=12):
    """Probabilities [R, N, K] and right labels [R, N], likelier than others but not by much."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, labels, (runs, rows))
    p = np.exp(rng.normal(size=(runs, rows, labels)) + np.eye(labels)[gold])
    return p / p.sum(axis=-1, keepdims=True), gold


def test_what_is_followed_is_what_is_taken_anew(taken):
    """Loss and gradient at each step, near where exponentials were taken and just within reach."""
    p, gold = problem(0)
    followed, exact = FollowedDiagonal(Diagonal.of(p)), Diagonal.of(p)
    rng = np.random.default_rng(1)
    weights = np.ones((2, p.shape[2]))
    for _ in range(100):
        for ours, theirs in zip(
            followed.descent(weights, gold), exact.descent(weights, gold), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
        weights = weights + rng.normal(size=weights.shape) * [[0.001], [0.01]]
    assert 3 < taken.count(0) < 50 < taken.count(1)


def test_a_leap_is_no_reason_to_follow(taken):
    """Weights as far away as can be have their exponentials taken, of the runs that leapt alone."""
    p, gold = problem(2)
    followed, exact = FollowedDiagonal(Diagonal.of(p)), Diagonal.of(p)
    weights = np.ones((2, p.shape[2]))
    followed.descent(weights, gold)
    weights[1] = np.linspace(-900, 900, p.shape[2])
    for ours, theirs in zip(
        followed.descent(weights, gold), exact.descent(weights, gold), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    assert taken == [0, 1, 1]


def test_a_run_does_not_depend_on_those_beside_it():
    """It ends where it ends alone, to the bit; the others' exponentials are taken oftener."""
    p, gold = problem(3)
    p[1] = p[1] ** 4 / (p[1] ** 4).sum(axis=-1, keepdims=True)
    together = descend(FollowedDiagonal(Diagonal.of(p)), gold, TRAINER)
    for run, beside in enumerate(together):
        (alone,) = descend(FollowedDiagonal(Diagonal.of(p[[run]])), gold[[run]], TRAINER)
        assert alone.epochs == beside.epochs
        np.testing.assert_array_equal(alone.weights, beside.weights)


def test_many_probabilities_are_followed(monkeypatch, taken, make_store):
    """From a size on, with the same epoch and the same factors but for rounding."""
    store = make_store(seed=3)
    training = training_of(store.split("train"), store.components, None, "s.h5")
    (exact,) = calib.CalibPlus().fit([training])
    assert not taken
    monkeypatch.setattr(calib, "FOLLOWED_BYTES", 0)
    (followed,) = calib.CalibPlus().fit([training])
    assert 0 < len(taken) < exact.epochs / 2
    assert followed.epochs == exact.epochs
    np.testing.assert_allclose(followed.factors, exact.factors, rtol=1e-12)

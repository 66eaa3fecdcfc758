"""Levels and shares of rows to predict against a general optimiser, and on rows that were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import norm

from compread.reweight.solvers import shares
from compread.reweight.solvers.shares import (
    CONCENTRATION,
    EVEN_ODDS,
    LEAST_WITHIN,
    TEMPER,
    estimate,
)


def drawn(seed, true, rows=400, margin=2.0, trained=20):
    """Scores [N, K] of rows with these shares, the train rows' mean wrong as it would be."""
    rng = np.random.default_rng(seed)
    labels = len(true)
    gold = rng.choice(labels, rows, p=true)
    noise = rng.normal(size=(rows, labels)) + rng.normal(size=labels) / np.sqrt(trained)
    scores = margin * np.eye(labels)[gold] + noise
    return scores - scores.mean(axis=1, keepdims=True), gold


def relative(margin, labels):
    """The margin in standard deviations of the scores where labels are even."""
    return margin / np.sqrt(1 + margin**2 / labels)


def maximum(scores, step, within, trained, fixed):
    """δ, π and the objective's maximum, by a general optimiser on normal densities."""
    labels = scores.shape[1]
    centres = step * (np.eye(labels) - 1 / labels)
    basis = np.linalg.svd(np.eye(labels) - 1 / labels)[0][:, : labels - 1]

    def split(x):
        pi = np.full(labels, 1 / labels) if fixed else softmax(np.append(x[labels - 1 :], 0.0))
        return basis @ x[: labels - 1], pi

    def loss(x):
        level, pi = split(x)
        away = scores[:, None] - level - centres
        density = norm.pdf(away @ basis, scale=np.sqrt(within)).prod(axis=2)
        seen = np.log(density @ pi).sum()
        prior = (CONCENTRATION - 1) * np.log(labels * pi).sum()
        return -(TEMPER * seen - (level**2).sum() * trained / (2 * within) + prior)

    start = np.zeros((1 if fixed else 2) * (labels - 1))
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-9})
    return *split(found.x), -found.fun


@pytest.mark.parametrize("true", [(0.5, 0.5), (0.85, 0.15), (0.2, 0.3, 0.5)])
def test_it_is_the_maximum_of_the_objective(monkeypatch, true):
    """Of both forms, each as likely as it is at its maximum."""
    monkeypatch.setattr(shares, "STEPS", 3000)
    scores, _ = drawn(1, true, rows=80)
    labels, margin, trained = len(true), 1.3, 15
    variance = ((scores - scores.mean(axis=0)) ** 2).sum() / len(scores) / (labels - 1)
    step = margin * np.sqrt(variance)
    within = max(variance - step**2 / labels, LEAST_WITHIN * variance)
    level, even, lone = maximum(scores, step, within, trained, True)
    moved, pi, free = maximum(scores, step, within, trained, False)
    likely = 1 / (1 + EVEN_ODDS * np.exp(lone - free))
    found = estimate(scores, margin, trained)
    wanted = likely * pi + (1 - likely) * even
    np.testing.assert_allclose(found.shares, wanted, atol=1e-4)
    level = likely * moved + (1 - likely) * level - within / step * np.log(labels * wanted)
    np.testing.assert_allclose(found.level, level, atol=1e-3)


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_even_labels_are_centred(labels):
    """Where labels are even, it gives away next to nothing beside the rows' own mean."""
    lost = []
    for seed in range(30):
        scores, gold = drawn(seed, np.full(labels, 1 / labels))
        level = estimate(scores, relative(2.0, labels), 20).level
        right = ((scores - level).argmax(axis=1) == gold).mean()
        lost.append((np.argmax(scores - scores.mean(axis=0), axis=1) == gold).mean() - right)
    assert np.mean(lost) < 0.01


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("share", [0.8, 0.95])
def test_skewed_labels_are_found(labels, share):
    """It says so, with the caution of its prior, and is right far more often than a mean is."""
    true = np.full(labels, (1 - share) / (labels - 1))
    true[0] = share
    gained, said = [], []
    for seed in range(30):
        scores, gold = drawn(seed, true)
        found = estimate(scores, relative(2.0, labels), 20)
        said.append(found.shares[0])
        mean = (np.argmax(scores - scores.mean(axis=0), axis=1) == gold).mean()
        gained.append(((scores - found.level).argmax(axis=1) == gold).mean() - mean)
    assert np.mean(gained) > (0.08 if share == 0.8 else 0.2)
    assert 0.5 < (np.mean(said) - 1 / labels) / (share - 1 / labels) < 1.05


def test_labels_have_no_order():
    """Exchanged they exchange their levels and shares; a score's unit changes levels alone."""
    scores, _ = drawn(2, (0.2, 0.3, 0.5))
    found, order = estimate(scores, 1.2, 10), [2, 0, 1]
    other = estimate(7.5 * scores[:, order] + 3.0, 1.2, 10)
    np.testing.assert_allclose(other.shares, found.shares[order], atol=1e-9)
    np.testing.assert_allclose(other.level, 7.5 * found.level[order], atol=1e-9)


@pytest.mark.parametrize("margin", [0.0, -0.7])
def test_without_a_margin_the_level_is_the_mean(margin):
    """Nothing is known of the labels: they are taken for even."""
    scores, _ = drawn(3, (0.3, 0.7))
    found = estimate(scores, margin, 10)
    np.testing.assert_allclose(found.level, scores.mean(axis=0), atol=1e-12)
    np.testing.assert_array_equal(found.shares, [0.5, 0.5])


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("margin", [0.1, 1.2, 50.0])
def test_few_rows_give_numbers(rows, margin):
    """One row keeps the train rows' level; rows that are one row, and huge margins, are finite."""
    scores = np.repeat([[2.0, -1.0, -1.0]], rows, axis=0)
    for some in (scores, scores + np.arange(rows)[:, None] * [1.0, 0.0, -1.0]):
        found = estimate(some, margin, 5)
        assert np.isfinite(found.level).all() and found.shares.sum() == pytest.approx(1)
    if rows == 1:
        np.testing.assert_array_equal(estimate(scores, margin, 5).level, 0)

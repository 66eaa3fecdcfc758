"""Sums in each of their forms against plain products."""

from importlib import import_module

import numpy as np
import pytest

from compread.reweight.solvers.sums import CACHE_BYTES, Diagonal, InBlocks, SideBySide, sums_of

ROWS, COLUMNS, LABELS = 7, 6, 3


def plain(features, weights, gold):
    """Scores, mean cross-entropy and gradient, row by row."""
    scores = np.array([weights @ row for row in features])
    loss, gradient = 0.0, np.zeros(len(weights))
    for row, score, right in zip(features, scores, gold, strict=True):
        p = np.exp(score - score.max())
        p /= p.sum()
        loss -= np.log(p[right]) / len(gold)
        gradient += row @ (p - np.eye(len(p))[right]) / len(gold)
    return scores, loss, gradient


def diagonal(features):
    """The features of a first component for each label, spread out."""
    return features[:, 0, :, None] * np.eye(LABELS)


@pytest.mark.parametrize("block", [1, 2 * COLUMNS * LABELS * 8, 1 << 20])
@pytest.mark.parametrize("form", ["side by side", "in blocks", "single precision", "diagonal"])
def test_every_form_is_the_plain_product(monkeypatch, form, block):
    """Scores, loss and gradient are those computed row by row, in blocks of any size."""
    monkeypatch.setattr(import_module("compread.reweight.solvers.sums"), "BLOCK_BYTES", block)
    rng = np.random.default_rng(3)
    features, gold = rng.normal(size=(ROWS, COLUMNS, LABELS)), rng.integers(0, LABELS, ROWS)
    if form == "diagonal":
        sums, features = Diagonal.of([features[:, 0]]), diagonal(features)
    elif form == "side by side":
        sums = SideBySide.of([features])
    else:
        held = features.astype(np.float32 if form == "single precision" else float)
        sums, features = InBlocks.of(held), held.astype(float)
        assert sums.features.dtype == held.dtype
    weights = rng.normal(size=(1, features.shape[1]))
    right = np.eye(LABELS)[gold][None]
    wanted = plain(features, weights[0], gold)
    for ours, theirs in zip(sums.descent(weights, right), wanted, strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(sums.scores(weights)[0], wanted[0], rtol=1e-12)
    assert (sums.columns, sums.labels) == features.shape[1:]


def test_large_features_are_not_copied():
    """A run beyond the cache is taken as it lies in memory; smaller ones are put side by side."""
    large = np.zeros((2, LABELS, CACHE_BYTES // 16 // LABELS + 1)).swapaxes(1, 2)
    sums = sums_of([large])
    assert isinstance(sums, InBlocks) and np.shares_memory(sums.features, large)
    assert isinstance(sums_of([large[:1]]), SideBySide)
    assert isinstance(sums_of([large, large]), SideBySide)


def test_runs_with_levels_of_their_own_share_their_features():
    """A level is taken off every row of its run alone; a run that has ended is left out."""
    rng = np.random.default_rng(5)
    features, gold = rng.normal(size=(ROWS, COLUMNS, LABELS)), rng.integers(0, LABELS, ROWS)
    level, weights = rng.normal(size=(COLUMNS, LABELS)), rng.normal(size=(2, COLUMNS))
    sums, right = InBlocks.of(features, (0.0, level)), np.eye(LABELS)[[gold, gold]]
    found = sums.descent(weights, right)
    half = sums.descent(weights, right, np.array([False, True]))
    for run, own in enumerate((features, features - level)):
        wanted = plain(own, weights[run], gold)
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(ours[run], theirs, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(sums.scores(weights)[run], wanted[0], rtol=1e-12, atol=1e-13)
    for ours, both in zip(half, found, strict=True):
        np.testing.assert_array_equal(ours[1], both[1])
    assert not half[2][0].any()

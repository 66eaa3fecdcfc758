"""Sums in each of their forms against plain products."""

from importlib import import_module

import numpy as np
import pytest

from compread.reweight.solvers.sums import (
    AFRESH,
    CACHE_BYTES,
    Diagonal,
    Followed,
    InBlocks,
    SideBySide,
    sums_of,
)

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
    wanted = plain(features, weights[0], gold)
    for ours, theirs in zip(sums.descent(weights, gold[None]), wanted[1:], strict=True):
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
    sums, both = InBlocks.of(features, (0.0, level)), np.stack([gold, gold])
    found = sums.descent(weights, both)
    half = sums.descent(weights, both, np.array([False, True]))
    for run, own in enumerate((features, features - level)):
        wanted = plain(own, weights[run], gold)
        for ours, theirs in zip(found, wanted[1:], strict=True):
            np.testing.assert_allclose(ours[run], theirs, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(sums.scores(weights)[run], wanted[0], rtol=1e-12, atol=1e-13)
    for ours, theirs in zip(half, found, strict=True):
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert not half[1][0].any()


def steps_of_training(rng, columns, count):
    """Weights [R, J] as training takes them: all ones, then a little less at each step."""
    weights = np.ones((2, columns))
    for _ in range(count):
        yield weights
        weights = weights - 1e-3 * rng.random((2, columns))


def furthest(sums, exact, rng, gold, count=3 * AFRESH):
    """How far losses and gradients were from those of ``exact`` at most, over their own size."""
    away = []
    for weights in steps_of_training(rng, exact.columns, count):
        pairs = zip(sums.descent(weights, gold), exact.descent(weights, gold), strict=True)
        away.append([np.abs(ours - theirs).max() / np.abs(theirs).max() for ours, theirs in pairs])
    return np.max(away, axis=0)


class AllInSingle(InBlocks):
    """Multiplies whole weights in single precision at each descent."""

    def descent(self, weights, gold, going=None):
        """From the start."""
        point = self.certain(gold)
        self.move(point, weights, going, single=True)
        return self.found(point, gold)


def test_what_is_followed_is_nearly_double_precision():
    """Loss and gradient; by whole weights in single precision they would be far off."""
    rng = np.random.default_rng(6)
    features = rng.normal(size=(40, 300, 5)).astype(np.float32)
    # Components as loud as late MLPs are, against each other.
    features[:, 0] += 300
    features[:, 1] -= 300
    levels = (0.0, features.mean(axis=0, dtype=float))
    gold = np.stack([rng.integers(0, 5, 40)] * 2)
    exact = InBlocks.of(features, levels)
    followed = furthest(Followed(exact), exact, np.random.default_rng(7), gold)
    single = furthest(AllInSingle.of(features, levels), exact, np.random.default_rng(7), gold)
    assert (followed < 1e-6).all(), followed
    assert (single > 20 * followed).all(), (single, followed)


def test_it_is_double_precision_afresh():
    """At the first descent and each so many later, to the bit, and by whole scores at any time."""
    rng = np.random.default_rng(8)
    exact = InBlocks.of(rng.normal(size=(9, 30, 3)).astype(np.float32))
    gold, sums, same = rng.integers(0, 3, (1, 9)), Followed(exact), []
    for weights in steps_of_training(rng, 30, 2 * AFRESH + 1):
        pairs = zip(sums.descent(weights[:1], gold), exact.descent(weights[:1], gold), strict=True)
        same.append(all(np.array_equal(ours, theirs) for ours, theirs in pairs))
        np.testing.assert_array_equal(sums.scores(weights[:1]), exact.scores(weights[:1]))
    assert np.flatnonzero(same).tolist() == [0, AFRESH, 2 * AFRESH]

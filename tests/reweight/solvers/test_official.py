"""CompRW's official training shared by the methods that use it."""

import numpy as np
import pytest

from compread.reweight.fit import reweight
from compread.reweight.registry import make_methods
from compread.reweight.rows import training_of
from compread.reweight.solvers import official
from compread.reweight.solvers.descent import Recipe, descend_each


@pytest.fixture
def training(make_store):
    """Train rows of a store with three labels."""
    store = make_store(seed=6, labels=3)
    return training_of(store.split("train"), store.components, None, "s.h5")


def test_both_forms_together_are_each_alone(monkeypatch, training):
    """Trained side by side, weights and epochs are those of the raw and of the centred rows."""
    monkeypatch.setattr(official, "CACHE_BYTES", 1)
    official.train_together([training], [None, official.RAW, official.CENTRED])
    parts = training.rows.carrying()
    own = {official.RAW: parts, official.CENTRED: parts - parts.mean(axis=0)}
    assert set(training.official) == set(own)
    for form, features in own.items():
        (end,) = descend_each([features], [training.gold], Recipe())
        assert training.official[form].epochs == end.epochs
        np.testing.assert_allclose(training.official[form].raw, end.raw, atol=1e-12)
    assert np.abs(np.subtract(*(e.raw for e in training.official.values()))).max() > 0.01


@pytest.mark.parametrize("forms", [[], [None], [official.RAW, None], [official.CENTRED]])
def test_one_form_is_not_trained_ahead(monkeypatch, training, forms):
    """Nothing is trained before a method asks where only one form, or none, is wanted."""
    monkeypatch.setattr(official, "CACHE_BYTES", 1)
    official.train_together([training], forms)
    assert training.official == {}


@pytest.mark.parametrize("form", [official.RAW, official.CENTRED])
def test_large_rows_are_trained_as_small_ones_are(monkeypatch, training, make_store, form):
    """A form alone ends as in small runs where rows are held in single precision."""
    (small,) = official.ends([training], form)
    again = training_of(
        make_store(seed=6, labels=3).split("train"), training.rows.components, None, "s.h5"
    )
    monkeypatch.setattr(official, "CACHE_BYTES", 1)
    (large,) = official.ends([again], form)
    assert large.epochs == small.epochs
    np.testing.assert_allclose(large.raw, small.raw, atol=1e-12)


@pytest.mark.parametrize("threshold", [0, 1 << 40])
def test_very_large_rows_end_where_large_ones_do(monkeypatch, training, make_store, threshold):
    """Followed in single precision, both forms: the same epoch, weights to a millionth."""
    followed = []
    real = official.Followed.descent
    monkeypatch.setattr(official.Followed, "descent", lambda *a: followed.append(1) or real(*a))
    monkeypatch.setattr(official, "CACHE_BYTES", 1)
    official.train_together([training], [official.RAW, official.CENTRED])
    assert not followed
    monkeypatch.setattr(official, "FOLLOWED_BYTES", threshold)
    again = training_of(
        make_store(seed=6, labels=3).split("train"), training.rows.components, None, "s.h5"
    )
    official.train_together([again], [official.RAW, official.CENTRED])
    assert bool(followed) == (threshold == 0)
    for form, end in training.official.items():
        assert again.official[form].epochs == end.epochs
        np.testing.assert_allclose(again.official[form].raw, end.raw, atol=1e-6)


def test_what_is_known_is_not_trained_again(training):
    """A second method that uses a form takes the first one's training."""
    first = official.ends([training], official.RAW)
    assert official.ends([training], official.RAW)[0] is first[0]


def test_methods_fit_as_they_do_alone(monkeypatch, make_store):
    """CompRW, Blend and Blend-row of one call have the weights of calls of their own."""
    methods = make_methods(["comprw", "comprw:paper", "blend", "blend-row"], "official")
    alone = [reweight([make_store()], [method])[0] for method in methods]
    monkeypatch.setattr(official, "CACHE_BYTES", 1)
    for one, beside in zip(alone, reweight([make_store()], methods), strict=True):
        assert one.fitted.epochs == beside.fitted.epochs
        np.testing.assert_allclose(one.fitted.weights, beside.fitted.weights, atol=1e-10)

"""Centred contributions made block by block."""

from importlib import import_module

import numpy as np
import pytest

from compread.reweight.methods.blend import fit_weights
from compread.reweight.rows import training_of
from compread.reweight.solvers import signal
from compread.reweight.solvers.signal import Signal


@pytest.fixture
def training(make_store):
    """Train rows of a store with three labels."""
    store = make_store(seed=6, labels=3)
    return training_of(store.split("train"), store.components, None, "s.h5")


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_span_is_that_of_the_centred_array(monkeypatch, training, block):
    """Less the mean over all rows, then less the mean over the labels, whatever a block is."""
    monkeypatch.setattr(import_module("compread.reweight.blocks"), "BLOCK_BYTES", block)
    monkeypatch.setattr(signal, "BLOCK_BYTES", block)
    parts = training.rows.parts[:, training.rows.reweighted()].astype(float)
    parts -= parts.mean(axis=0)
    parts -= parts.mean(axis=2, keepdims=True)
    made = Signal.of(training.rows)
    assert isinstance(made, Signal) == (block == 1)
    assert made.shape == parts.shape
    np.testing.assert_allclose(made[3:7], parts[3:7], atol=1e-13)


def test_blend_has_the_same_weights_in_blocks(monkeypatch, training):
    """Whether the rows are one block or many."""
    ((_, whole, margin),) = fit_weights([training])
    monkeypatch.setattr(import_module("compread.reweight.blocks"), "BLOCK_BYTES", 1)
    monkeypatch.setattr(signal, "BLOCK_BYTES", 1)
    ((_, blocked, same),) = fit_weights([training])
    np.testing.assert_allclose(blocked, whole, rtol=1e-10, atol=1e-13)
    assert same == pytest.approx(margin, rel=1e-10)

"""The default method against its formulas, and what it is meant for."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp

from compread.reweight.registry import make_methods
from compread.reweight.rows import Rows, rows_of, training_of
from compread.reweight.solvers.descent import Recipe, descend_each
from compread.reweight.solvers.ridge import RIDGE, dual, primal, ridge_weights


def fit(name, training):
    """The method of this name, fitted."""
    (method,) = make_methods([name], "official")
    return method.fit([training])[0]


def centred(parts):
    """Less the mean over the rows, then less the mean over the labels."""
    parts = parts.astype(float)
    parts = parts - parts.mean(axis=0)
    return parts - parts.mean(axis=2, keepdims=True)


def direct_ridge(signal, gold, penalty, kept=slice(None)):
    """The ridge weights from the normal equations, with the signal's own loudness."""
    loud = np.sqrt((signal**2).mean(axis=(0, 2)))
    target = np.eye(signal.shape[2])[gold] - 1 / signal.shape[2]
    x = np.concatenate(list(signal[kept].swapaxes(1, 2)))
    return np.linalg.solve(x.T @ x + penalty * np.diag(loud), x.T @ np.concatenate(target[kept]))


@pytest.fixture(params=[2, 3])
def training(request, make_store):
    """Train rows of a store with two or three labels."""
    store = make_store(seed=4, labels=request.param)
    return training_of(store.split("train"), store.components, None, "s.h5")


def test_ridge_weights_solve_the_normal_equations(training):
    """The dual solution is the primal one, and its t statistic that of refits without a row."""
    signal, gold = centred(training.rows.parts), training.gold
    weights, t = ridge_weights(signal, gold)
    loud = np.sqrt((signal**2).mean(axis=(0, 2)))
    penalty = (
        RIDGE * ((signal**2).sum(axis=0) / loud[:, None]).sum() / (len(gold) * signal.shape[2])
    )
    np.testing.assert_allclose(weights, direct_ridge(signal, gold, penalty), atol=1e-10)
    left_out = []
    for n, right in enumerate(gold):
        kept = np.arange(len(gold)) != n
        w = direct_ridge(signal, gold, penalty, kept)
        left_out.append((signal[n] * w[:, None]).sum(axis=0)[right])
    wanted = ttest_1samp(left_out, 0).statistic * np.sqrt(len(gold) / (len(gold) - 1))
    assert t == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("meaningless", [False, True])
def test_the_weights_are_the_average_of_the_three(training, meaningless):
    """Each of one size on the train rows, all alike unless the rows show what can be learned."""
    if meaningless:  # rows that contradict each other predict each other wrongly
        twice = Rows(
            np.concatenate([training.rows.parts, 1.1 * training.rows.parts]),
            np.concatenate([training.rows.full] * 2),
            training.rows.components,
        )
        other = (training.gold + 1) % training.rows.full.shape[1]
        training = replace(training, rows=twice, gold=np.concatenate([training.gold, other]))
    used = np.array([c.kind not in ("embed", "bias") for c in training.rows.components])
    parts = training.rows.parts[:, used].astype(float)
    (end,) = descend_each([parts - parts.mean(axis=0)], [training.gold], Recipe())
    signal = centred(parts)
    ridge, t = ridge_weights(signal, training.gold)
    u, wanted = 1 / 3 if meaningless else norm.sf(t), 0.0
    assert norm.sf(t) > 0.5 if meaningless else 0 < u < 0.3
    learned = (1 - u) / 2
    for w, share in ((np.ones(used.sum()), u), (end.weights, learned), (ridge, learned)):
        size = np.sqrt((np.einsum("njk,j->nk", signal, w) ** 2).mean())
        wanted = wanted + share * w / size
    fitted = fit("blend", training)
    np.testing.assert_allclose(fitted.weights[used], wanted, rtol=1e-9)
    assert (fitted.weights[~used] == 0).all()


def test_levels_are_those_of_the_rows_or_of_the_train_rows(training, make_store):
    """`blend` subtracts the mean over the rows it scores, `blend-row` that over the train rows."""
    store = make_store(seed=5, labels=training.rows.full.shape[1])
    rows = rows_of(store.split("test"), store.components)
    batch, row = fit("blend", training), fit("blend-row", training)
    np.testing.assert_array_equal(batch.weights, row.weights)
    raw = np.array([batch.weights @ g.astype(float) for g in rows.parts])
    train = np.array([batch.weights @ g.astype(float) for g in training.rows.parts])
    np.testing.assert_allclose(batch.scores(rows), raw - raw.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(row.scores(rows), raw - train.mean(axis=0), atol=1e-9)
    one = Rows(rows.parts[3:4], rows.full[3:4], rows.components)
    np.testing.assert_allclose(row.scores(one), row.scores(rows)[3:4], atol=1e-12)


def test_a_component_that_knows_the_opposite_is_turned_round(make_store):
    """With enough rows its weight is negative, which CompRW's never is."""
    store = make_store(n_train=60)
    train = store.split("train")
    train.parts[:, 4] -= 3 * np.eye(2, dtype=np.float32)[train.gold]
    fitted = fit("blend", training_of(train, store.components, None, "s.h5"))
    assert fitted.weights[4] < 0 < fitted.weights[2]


def test_labels_by_chance_are_no_evidence(make_store):
    """Over many stores Φ(t) is about a half where labels mean nothing, near 1 where they do."""
    by_chance, real = [], []
    for seed in range(40):
        train = make_store(seed=seed).split("train")
        signal, chance = centred(train.parts), np.random.default_rng(seed + 100)
        for shares, gold in ((by_chance, chance.integers(0, 2, 20)), (real, train.gold)):
            shares.append(norm.cdf(ridge_weights(signal, gold)[1]))
    assert np.mean(by_chance) < 0.6 and np.mean(real) > 0.85


def test_a_single_train_row_gives_the_model_as_it_is(make_store):
    """Nothing varies over one row: all weights are one."""
    store = make_store(n_train=1)
    fitted = fit("blend-row", training_of(store.split("train"), store.components, None, "s.h5"))
    assert set(fitted.weights) == {0.0, 1.0}
    assert fitted.weights.sum() == len(store.components) - 2


DEGENERATE = {
    "random": lambda parts: parts,
    "more equations than components": lambda parts: parts[:, :3],
    "a silent component": lambda parts: parts * (np.arange(parts.shape[1]) != 4)[:, None],
    "rows that are one row": lambda parts: parts[[0, 0, 1, 1, 2, 3]],
    "components that are one component": lambda parts: parts[:, [0, 0, 1, 1, 2]],
    "labels that are one label": lambda parts: parts[:, :, [0, 0, 1]],
    "one component is all there is": lambda parts: parts[:, 2:3],
}


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_both_systems_have_the_same_answer(monkeypatch, case, labels, block):
    """Weights and left-out scores of the equations by rows are those by components."""
    monkeypatch.setattr(import_module("compread.reweight.blocks"), "BLOCK_BYTES", block)
    rng = np.random.default_rng(labels)
    signal = centred(
        DEGENERATE[case](rng.normal(size=(9, 12, labels)) * rng.gamma(1, size=(12, 1)))
    )
    gold = rng.integers(0, signal.shape[2], len(signal))
    loud = np.sqrt((signal**2).mean(axis=(0, 2)))
    scale = np.divide(1, np.sqrt(loud), out=np.zeros_like(loud), where=loud > 0)
    for ours, theirs in zip(
        primal(signal, scale, gold, RIDGE * loud.sum()),
        dual(signal, scale, gold, RIDGE * loud.sum()),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("rows", "chosen"), [(6, "dual"), (7, "primal")])
def test_the_smaller_system_is_solved(monkeypatch, rows, chosen):
    """12 components: the rows' equations for 6 rows of 2 labels, the components' for 7."""
    asked = []
    for name, solve in (("dual", dual), ("primal", primal)):
        monkeypatch.setattr(
            import_module("compread.reweight.solvers.ridge"),
            name,
            lambda *a, name=name, solve=solve: asked.append(name) or solve(*a),
        )
    signal = centred(np.random.default_rng(0).normal(size=(rows, 12, 2)))
    ridge_weights(signal, np.arange(rows) % 2)
    assert asked == [chosen]


def test_two_rows_that_mirror_each_other_are_no_evidence(make_store):
    """Their left-out scores are one number, whatever rounding makes of it: t is 0."""
    for seed in range(20):
        signal = centred(make_store(seed=seed, n_train=2).split("train").parts)
        assert ridge_weights(signal, np.array([0, 1]))[1] == 0.0

"""The default method against its formulas, and what it is meant for."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from compread.errors import StoreError
from compread.reweight.methods.blend import advantage
from compread.reweight.registry import make_methods
from compread.reweight.rows import Rows, rows_of, training_of
from compread.reweight.solvers.descent import Recipe, descend_each
from compread.reweight.solvers.ridge import LOUDNESS, RIDGE, dual, primal, ridge_weights
from compread.reweight.solvers.shares import estimate, right_scores
from compread.reweight.weights_json import _fitted


def fit(name, training):
    """The method of this name, fitted."""
    (method,) = make_methods([name], "official")
    return method.fit([training])[0]


def centred(parts):
    """Less the mean over the rows, then less the mean over the labels."""
    parts = parts.astype(float)
    parts = parts - parts.mean(axis=0)
    return parts - parts.mean(axis=2, keepdims=True)


def direct_ridge(signal, gold, penalty, loud):
    """The ridge weights from the normal equations."""
    target = np.eye(signal.shape[2])[gold] - 1 / signal.shape[2]
    x = np.concatenate(list(signal.swapaxes(1, 2)))
    kernel = x.T @ x + penalty * np.diag(loud**LOUDNESS)
    return np.linalg.solve(kernel, x.T @ np.concatenate(target))


@pytest.fixture(params=[2, 3])
def training(request, make_store):
    """Train rows of a store with two or three labels."""
    store = make_store(seed=4, labels=request.param)
    return training_of(store.split("train"), store.components, None, "s.h5")


def test_ridge_weights_solve_the_normal_equations(training):
    """The dual solution is the primal one; a row left out is scored as by a refit without it.

    Each refit is centred over its own rows: the row left out knows nothing of itself.
    """
    parts, gold = centred(training.rows.parts), training.gold
    rows, _, labels = parts.shape
    fitted = ridge_weights(parts, gold)
    loud = np.sqrt((parts**2).mean(axis=(0, 2)))
    diagonal = ((parts**2).sum(axis=(0, 2)) / loud**LOUDNESS).sum() / (rows * labels)
    penalty = RIDGE * diagonal
    np.testing.assert_allclose(fitted.weights, direct_ridge(parts, gold, penalty, loud), atol=1e-10)
    left_out = []
    for n in range(rows):
        kept = np.arange(rows) != n
        level = parts[kept].mean(axis=0)
        w = direct_ridge(parts[kept] - level, gold[kept], penalty, loud)
        left_out.append(((parts[n] - level) * w[:, None]).sum(axis=0))
    np.testing.assert_allclose(fitted.left_out, left_out, atol=1e-10)


def t_over_the_model(signal, fitted, gold):
    """The t of ridge over the model as it is."""
    return advantage(right_scores(fitted.left_out, gold, 1.0), signal.sum(axis=1), gold)


def test_ridge_is_compared_with_the_calibrated_model(training):
    """Pair by pair, each row's margin in standard deviations, the row itself left out of both."""
    used = np.array([c.kind not in ("embed", "bias") for c in training.rows.components])
    parts, gold = centred(training.rows.parts[:, used]), training.gold
    rows, _, labels = parts.shape
    fitted = ridge_weights(parts, gold)
    model = np.array(
        [parts[n].sum(axis=0) - np.delete(parts, n, 0).sum(axis=1).mean(axis=0)
         for n in range(rows)]
    )  # fmt: skip
    margins = []
    for scores in (fitted.left_out, model):
        right = scores[np.arange(rows), gold]
        others = (scores.sum(axis=1) - right) / (labels - 1)
        margins.append((right - others) / np.sqrt(scores.var(axis=0).sum() / (labels - 1)))
    wanted = ttest_rel(*margins).statistic * np.sqrt(rows / (rows - 1))
    assert t_over_the_model(parts, fitted, gold) == pytest.approx(wanted, rel=1e-8)
    assert float(fit("blend", training).margin) == pytest.approx(np.mean(margins[0]), rel=1e-6)


@pytest.mark.parametrize("meaningless", [False, True])
def test_the_weights_are_the_average_of_the_three(training, meaningless):
    """Each of one size on the train rows, ridge with the share that the rows speak for it."""
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
    ridge = ridge_weights(signal, training.gold)
    ahead = norm.cdf(t_over_the_model(signal, ridge, training.gold))
    learned, wanted = max(1 / 3, ahead), 0.0
    assert ahead < 1 / 3 if meaningless else ahead > 1 / 3
    rest = (1 - learned) / 2
    for w, share in ((np.ones(used.sum()), rest), (end.weights, rest), (ridge.weights, learned)):
        size = np.sqrt((np.einsum("njk,j->nk", signal, w) ** 2).mean())
        wanted = wanted + share * w / size
    fitted = fit("blend", training)
    np.testing.assert_allclose(fitted.weights[used], wanted, rtol=1e-9)
    assert (fitted.weights[~used] == 0).all()


def test_levels_are_estimated_or_those_of_the_train_rows(training, make_store):
    """`blend` estimates them on the rows that it scores, `blend-row` takes the train rows'."""
    store = make_store(seed=5, labels=training.rows.full.shape[1])
    rows = rows_of(store.split("test"), store.components)
    batch, row = fit("blend", training), fit("blend-row", training)
    np.testing.assert_array_equal(batch.weights, row.weights)
    raw = np.array([batch.weights @ g.astype(float) for g in rows.parts])
    train = np.array([batch.weights @ g.astype(float) for g in training.rows.parts])
    np.testing.assert_allclose(row.scores(rows), raw - train.mean(axis=0), atol=1e-9)
    level = estimate(raw - train.mean(axis=0), float(batch.margin), len(training)).level
    np.testing.assert_allclose(batch.scores(rows), raw - train.mean(axis=0) - level, atol=1e-9)
    one = Rows(rows.parts[3:4], rows.full[3:4], rows.components)
    np.testing.assert_allclose(row.scores(one), row.scores(rows)[3:4], atol=1e-12)
    np.testing.assert_allclose(batch.scores(one), row.scores(one), atol=1e-12)
    none = Rows(rows.parts[:0], rows.full[:0], rows.components)
    assert batch.scores(none).shape == (0, raw.shape[1])


def test_older_weights_are_read_as_they_were(training, tmp_path, make_store):
    """A file without margin and train rows holds weights that centre over the rows to predict."""
    rows = rows_of(make_store(seed=5, labels=training.rows.full.shape[1]).split("test"),
                   training.rows.components)  # fmt: skip
    fitted = fit("blend", training)
    old = {name: array.tolist() for name, array in fitted.parameters().items()}
    del old["margin"], old["trained"]
    sizes = {"C": len(fitted.weights), "K": len(fitted.levels)}
    read = _fitted(type(fitted), {"parameters": old, "epochs": 3}, sizes, "file")
    raw = np.array([fitted.weights @ g.astype(float) for g in rows.parts])
    gone = read.scores(rows) - (raw - raw.mean(axis=0))
    np.testing.assert_allclose(gone - gone.mean(axis=1, keepdims=True), 0, atol=1e-9)
    with pytest.raises(StoreError, match="`parameters` has"):
        _fitted(type(fitted), {"parameters": {**old, "margin": 1.0}, "epochs": 3}, sizes, "file")


def test_behind_another_prompt_the_levels_are_its_own(training, make_store):
    """What it adds to a label's score on every row changes nothing there, and does at home."""
    rows = rows_of(make_store(seed=5, labels=training.rows.full.shape[1]).split("test"),
                   training.rows.components)  # fmt: skip
    shifted = Rows(rows.parts.copy(), rows.full, rows.components)
    fitted = fit("blend", training)
    shifted.parts[:, 2, 0] += np.float32(40 / fitted.weights[2])
    away = fitted.elsewhere()

    def moved(form):
        change = form.scores(shifted) - form.scores(rows)  # one number on all labels is nothing
        return np.abs(change - change.mean(axis=1, keepdims=True)).max()

    assert moved(away) < 1e-3 and moved(fitted) > 1


def test_one_class_leaves_the_ridge_out(make_store):
    """Its weights are rounding there, which must not be brought to the others' size."""
    store = make_store(seed=3)
    training = training_of(store.split("train"), store.components, None, "s.h5")
    training = replace(training, gold=np.zeros_like(training.gold))
    signal = centred(training.rows.parts)
    assert np.abs(ridge_weights(signal, training.gold).weights).max() < 1e-10
    weights = fit("blend", training).weights
    weights = weights[weights != 0]
    assert (weights > 0).all() and weights.std() < weights.mean()


def test_a_component_that_knows_the_opposite_is_turned_round(make_store):
    """With enough rows its weight is negative, which CompRW's never is."""
    store = make_store(n_train=60)
    train = store.split("train")
    train.parts[:, 4] -= 3 * np.eye(2, dtype=np.float32)[train.gold]
    fitted = fit("blend", training_of(train, store.components, None, "s.h5"))
    assert fitted.weights[4] < 0 < fitted.weights[2]


def test_labels_by_chance_are_no_evidence(make_store):
    """Over many stores ridge scores a right label high where labels mean something, else not."""
    by_chance, real = [], []
    for seed in range(40):
        train = make_store(seed=seed).split("train")
        signal, chance = centred(train.parts), np.random.default_rng(seed + 100)
        for shares, gold in ((by_chance, chance.integers(0, 2, 20)), (real, train.gold)):
            shares.append(norm.cdf(t_of(ridge_weights(signal, gold), gold)))
    assert 0.4 < np.mean(by_chance) < 0.6 and np.mean(real) > 0.85


def t_of(fitted, gold):
    """The t statistic of the right labels' scores, each row left out."""
    right = fitted.left_out[np.arange(len(gold)), gold]
    return right.mean() / right.std() * np.sqrt(len(gold))


@pytest.mark.parametrize("rows", [6, 12, 20])
def test_a_row_left_out_knows_nothing_of_itself(rows):
    """On noise with balanced labels its t is not above 0 on average, however few the rows."""
    rng, gold = np.random.default_rng(rows), np.arange(rows) % 2
    found = [
        t_of(ridge_weights(centred(rng.normal(size=(rows, 40, 2))), gold), gold) for _ in range(300)
    ]
    assert np.median(found) < 0.3 and np.mean(np.array(found) > 0) < 0.6


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
    monkeypatch.setattr(import_module("compread.reweight.solvers.ridge"), "PANEL", 5)
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
        fitted = ridge_weights(signal, np.array([0, 1]))
        assert np.abs(fitted.left_out).max() < 1e-9
        assert right_scores(fitted.left_out, np.array([0, 1]), 1.0).tolist() == [0.0, 0.0]

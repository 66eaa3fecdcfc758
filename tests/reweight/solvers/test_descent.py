"""Training by hand against torch autograd and scipy."""

from dataclasses import replace

import numpy as np
import pytest

from compread.reweight.methods.calib import TRAINER as CALIB
from compread.reweight.methods.comprw import TRAINERS
from compread.reweight.solvers.descent import Recipe, descend, descend_each
from compread.reweight.solvers.sums import CACHE_BYTES, Diagonal, SideBySide

OFFICIAL = Recipe()


def problem(seed, rows=12, columns=40, labels=3, scale=1.0):
    """Random features and labels."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns, labels)) * scale, rng.integers(0, labels, rows)


def torch_descent(features, gold, *, l1, clip, epochs, after, trace=()):
    """The same training by autograd and torch's SGD; weights after each epoch of ``trace``."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # on arrays this small, more threads only wait for each other
    x, y = torch.tensor(features), torch.tensor(gold)
    w = torch.ones(x.shape[1], dtype=x.dtype, requires_grad=True)
    sgd = torch.optim.SGD([w], lr=0.05)

    def clipped():
        # The gradient of clamp in the torch of the released code; from 2.14 on it is 0 at the edge.
        return torch.where((w >= 0) & (w <= 1), w, w.detach().clamp(0, 1))

    def scores():
        return torch.einsum("njk,j->nk", x, clipped() if clip else w)

    def solved(epoch):
        return epoch % 100 == 0 and bool((scores().argmax(1) == y).all())

    best, left, seen = 100.0, 3, {}
    for epoch in range(epochs):
        sgd.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores(), y)
        (loss + l1 * w.abs().sum()).backward()
        if not after and solved(epoch):
            break
        sgd.step()
        if epoch in trace:
            seen[epoch] = w.detach().numpy().copy()
        if after and solved(epoch):
            break
        left, best = (left - 1, best) if loss.item() >= best else (left, loss.item())
        if not left:
            break
    return epoch, w.detach().numpy(), seen


CASES = {
    (seed, scale): problem(seed, scale=scale) for seed in range(3) for scale in (0.3, 1.0, 5.0)
}


@pytest.mark.parametrize("case", CASES)
def test_the_official_recipe_is_that_of_autograd(case):
    """Weights and the stop epoch equal those of autograd, whichever rule ends the training."""
    features, gold = CASES[case]
    epoch, weights, _ = torch_descent(features, gold, l1=0.01, clip=True, epochs=2000, after=True)
    (end,) = descend_each([features], [gold], OFFICIAL)
    assert end.epochs == epoch
    np.testing.assert_allclose(end.raw, weights, atol=1e-9)
    np.testing.assert_array_equal(end.weights, end.raw.clip(0, 1))


def test_every_way_to_stop_is_met():
    """The cases above end by accuracy at a hundred and by patience; a low limit ends one too."""
    ends = {case: descend_each([f], [g], OFFICIAL)[0] for case, (f, g) in CASES.items()}
    assert any(end.epochs % 100 == 0 for end in ends.values())
    assert any(end.epochs % 100 and end.epochs < 1999 for end in ends.values())
    features, gold = CASES[0, 0.3]
    assert descend_each([features], [gold], Recipe(epochs=7))[0].epochs == 6


def test_every_epoch_equals_autograd():
    """Cut short after any number of steps, the weights are those of autograd at that step."""
    features, gold = problem(7, scale=0.3)
    trace = (0, 1, 2, 5, 10, 20, 40, 80, 99)
    _, _, seen = torch_descent(
        features, gold, l1=0.01, clip=True, epochs=100, after=True, trace=trace
    )
    assert set(seen) == set(trace)
    for epoch, weights in seen.items():
        (end,) = descend_each([features], [gold], Recipe(epochs=epoch + 1))
        np.testing.assert_allclose(end.raw, weights, atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_calib_plus_is_that_of_autograd(seed):
    """On label probabilities on a diagonal, Calib+ is autograd's softmax over v times p."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), size=15)
    gold = rng.integers(0, 3, 15)
    features = p[:, :, None] * np.eye(3)
    epoch, weights, _ = torch_descent(features, gold, l1=0.0, clip=False, epochs=1500, after=False)
    (end,) = descend_each([features], [gold], replace(CALIB, epochs=1500))
    assert end.epochs == epoch
    np.testing.assert_allclose(end.raw, weights, atol=1e-9)


def test_accuracy_before_the_step_leaves_the_weights_alone():
    """A run that is right from the start stops at epoch 0: unmoved before, one step after."""
    features, gold = problem(0, columns=2)
    features[:] = np.eye(3)[gold][:, None]
    before, after = (
        descend_each([features], [gold], Recipe(check_after_step=flag))[0] for flag in (False, True)
    )
    assert (before.epochs, after.epochs) == (0, 0)
    np.testing.assert_array_equal(before.raw, 1.0)
    assert (after.raw != 1.0).all()


def test_a_weight_at_zero_still_moves():
    """As one at 1 does: the gradient of torch's clamp is that of the inside at both edges."""
    features = np.array([[[2.0, 0.0]]])
    slope = 2.0 / (1 + np.exp(-2.0))
    recipe = Recipe(learning_rate=1 / slope, l1=0.0, check_every=10**9, patience=10**9)
    ends = [
        descend_each([features], [np.array([1])], replace(recipe, epochs=epochs))[0].raw[0]
        for epochs in (1, 2)
    ]
    assert ends == [0.0, pytest.approx(-1 / slope)]


def test_a_loss_that_stays_as_it_is_counts_against_the_patience():
    """Features that say nothing: the first loss is the best, and three like it end the training."""
    (end,) = descend_each([np.zeros((2, 3, 2))], [np.array([0, 1])], Recipe(check_every=10**9))
    assert end.epochs == 3


def test_the_first_loss_has_one_hundred_to_beat():
    """Losses above 100 count against the patience even while they fall."""
    features, gold = np.zeros((2, 1, 2)), np.array([0, 1])
    features[:, 0, 0] = 202.0  # one of the two rows is right, so that the loss is half
    slow = Recipe(learning_rate=1e-6)
    assert descend_each([features], [gold], slow)[0].epochs == 2
    assert descend_each([features * 0.98], [gold], slow)[0].epochs > 2


def test_the_paper_recipe_may_begin_above_one_hundred():
    """Its loss is a sum over rows: 200 rows begin above 100, and it goes on while it falls."""
    features, gold = problem(5, rows=200, columns=4, scale=0.05)
    scores = features.sum(axis=1)
    loss = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(200), gold]
    assert loss.sum() > 200
    (end,) = descend_each([features], [gold], TRAINERS["paper"])
    assert end.epochs > 2


def test_calib_plus_takes_five_thousand_steps():
    """Nothing stops it where the rows contradict each other and the loss falls for ever."""
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.5, 0.5]])
    (end,) = descend_each([p], [np.array([0, 1, 1])], CALIB, Diagonal.of)
    assert end.epochs == 4999


def test_without_a_stop_rule_it_reaches_the_optimum():
    """Left to run, the descent ends where a general solver of the same objective does."""
    from scipy.optimize import minimize

    features, gold = problem(3, rows=30, columns=6)
    recipe = Recipe(l1=0.1, epochs=5_000, check_every=10**9, patience=10**9)

    def objective(w):
        scores = np.einsum("njk,j->nk", features, w)
        right = scores[np.arange(30), gold]
        return (np.log(np.exp(scores).sum(1)) - right).mean() + 0.1 * np.abs(w).sum()

    best = minimize(objective, np.full(6, 0.5), bounds=[(0, 1)] * 6, options={"ftol": 1e-14})
    (end,) = descend_each([features], [gold], recipe)
    # At a constant rate the L1 term leaves a saw-tooth of one step at zero.
    np.testing.assert_allclose(end.weights, best.x, atol=0.05 * 0.1 * 2)
    assert objective(end.weights) <= best.fun + 1e-3


def test_runs_do_not_touch_each_other():
    """A run fitted beside others, of its shape or not, ends where it ends alone."""
    runs = [*CASES.values(), problem(50, rows=8), problem(51, labels=2), problem(52)]
    together = descend_each(*map(list, zip(*runs, strict=True)), OFFICIAL)
    for (features, gold), beside in zip(runs, together, strict=True):
        (alone,) = descend_each([features], [gold], OFFICIAL)
        assert alone.epochs == beside.epochs
        np.testing.assert_allclose(alone.raw, beside.raw, atol=1e-12)


def test_runs_too_large_for_the_cache_are_still_all_fitted():
    """More runs than fit side by side come back complete and in order."""
    size = int(CACHE_BYTES / 8 / (20 * 1000 * 4) * 2.5) + 1
    runs = [problem(seed, 20, 1000, 4) for seed in range(size)]
    ends = descend_each(*map(list, zip(*runs, strict=True)), Recipe(epochs=3))
    for (features, gold), end in zip(runs, ends, strict=True):
        (alone,) = descend(SideBySide.of([features]), gold[None], Recipe(epochs=3))
        np.testing.assert_allclose(end.raw, alone.raw, atol=1e-12)


def test_weights_in_use_are_within_the_box():
    """Clipped weights are within 0 and 1 though the raw ones leave it; unclipped are the raw."""
    features, gold = problem(1, scale=3.0)
    patient = Recipe(epochs=500, check_every=10**9, patience=10**9)
    (end,) = descend_each([features], [gold], patient)
    assert end.weights.min() >= 0 and end.weights.max() <= 1
    assert end.raw.max() > 1 or end.raw.min() < 0
    (free,) = descend_each([features], [gold], Recipe(clip=False, epochs=500, patience=10**9))
    np.testing.assert_array_equal(free.weights, free.raw)


def test_a_single_row_or_one_class_is_fitted():
    """One train row, and rows that all have the same label, give finite weights."""
    for rows, gold in ((1, [2]), (5, [0] * 5)):
        features, _ = problem(2, rows=rows)
        (end,) = descend_each([features], [np.array(gold)], OFFICIAL)
        assert np.isfinite(end.raw).all()

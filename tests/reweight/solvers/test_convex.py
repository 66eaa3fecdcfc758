"""The optimum of CompRW's objective: against general solvers, and by its own conditions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize
from scipy.special import logsumexp

from compread.reweight.fit import reweight, unsolved
from compread.reweight.registry import make_methods
from compread.reweight.solvers.convex import (
    DEFAULT_PENALTY,
    ENOUGH,
    PENALTIES,
    choose_penalty,
    folds,
    solve,
)
from compread.reweight.solvers.sums import sums_of
from compread.store import open_store

CASES = [(20, 6, 2, 0.02), (12, 15, 3, 0.05), (30, 8, 4, 0.003)]


def problem(rows, columns, labels, seed=0):
    """Random features, of which the first two know the label and the third contradicts it."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, labels, rows)
    features = rng.normal(size=(rows, columns, labels))
    features[:, :2] += np.eye(labels)[gold][:, None]
    features[:, 2] -= np.eye(labels)[gold]
    return features, gold


def value(weights, features, gold, penalty):
    """The objective written from its formula."""
    scores = sum(w * features[:, j] for j, w in enumerate(weights))
    losses = [logsumexp(s) - s[y] for s, y in zip(scores, gold, strict=True)]
    return np.mean(losses) + penalty * np.abs(weights).sum()


def gradient(weights, features, gold):
    """The slope of the mean cross-entropy by central differences."""
    step = 1e-6 * np.eye(len(weights))
    ends = [[value(weights + s * d, features, gold, 0.0) for s in (1, -1)] for d in step]
    return np.array([(up - down) / 2e-6 for up, down in ends])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_in_the_box_no_general_solver_does_better(case):
    """Scipy's interior-point method ends at the same objective, to 1e-6."""
    *sizes, penalty = case
    features, gold = problem(*sizes)
    ours = solve(features, gold, penalty, signed=False).weights
    assert ours.min() >= 0 and ours.max() <= 1
    box = LinearConstraint(np.eye(sizes[1]), 0, 1)
    theirs = minimize(
        value, np.full(sizes[1], 0.5), (features, gold, penalty), "trust-constr",
        constraints=[box], options={"maxiter": 2000, "gtol": 1e-9, "xtol": 1e-12},
    )  # fmt: skip
    best = value(theirs.x.clip(0, 1), features, gold, penalty)
    assert value(ours, features, gold, penalty) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_signed_weights_are_those_of_a_smooth_problem_in_pairs(case):
    """SLSQP on w with bounds t ≥ |w| ends at the same objective, to 1e-6."""
    *sizes, penalty = case
    features, gold = problem(*sizes)
    count = sizes[1]
    ours = solve(features, gold, penalty, signed=True).weights
    apart = [
        {"type": "ineq", "fun": lambda v: v[count:] - v[:count]},
        {"type": "ineq", "fun": lambda v: v[count:] + v[:count]},
    ]
    theirs = minimize(
        lambda v: value(v[:count], features, gold, 0.0) + penalty * v[count:].sum(),
        np.r_[np.zeros(count), np.ones(count)], method="SLSQP", constraints=apart,
        options={"maxiter": 2000, "ftol": 1e-14},
    )  # fmt: skip
    best = value(theirs.x[:count], features, gold, penalty)
    assert value(ours, features, gold, penalty) == pytest.approx(best, abs=1e-6)
    assert ours[2] < 0 < ours[0]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("case", [*CASES, (20, 300, 2, 0.01)], ids=str)
def test_the_conditions_of_the_optimum(case, signed):
    """The slope of f is zero inside, and points out of the box, or into the kink, at an edge."""
    *sizes, penalty = case
    features, gold = problem(*sizes)
    w = solve(features, gold, penalty, signed).weights
    slope, loose = gradient(w, features, gold), 2e-5
    if signed:
        at_zero = np.abs(w) < 1e-7
        assert (np.abs(slope[at_zero]) <= penalty + loose).all()
        np.testing.assert_allclose(slope[~at_zero], -penalty * np.sign(w[~at_zero]), atol=loose)
    else:
        slope = slope + penalty
        low, high = w < 1e-7, w > 1 - 1e-7
        assert (slope[low] >= -loose).all() and (slope[high] <= loose).all()
        np.testing.assert_allclose(slope[~low & ~high], 0, atol=loose)
    assert (np.abs(w) > 1e-7).sum() > 0


def test_the_objective_and_its_slope_are_those_of_the_formula():
    """Value by the formula, slope by differences."""
    features, gold = problem(12, 5, 3)
    w = np.linspace(0.1, 0.9, 5)
    loss, slope = sums_of([features]).descent(w[None], gold[None])
    assert loss[0] + 0.1 * w.sum() == pytest.approx(value(w, features, gold, 0.1), abs=1e-12)
    np.testing.assert_allclose(slope[0], gradient(w, features, gold), atol=1e-8)


def test_the_answer_does_not_depend_on_the_start():
    """From nothing and from everything the same optimum is reached."""
    features, gold = problem(20, 30, 2)
    ends = [solve(features, gold, 0.02, False, np.full(30, start)).weights for start in (0.0, 1.0)]
    values = [value(end, features, gold, 0.02) for end in ends]
    assert values[0] == pytest.approx(values[1], abs=1e-8)


@pytest.mark.parametrize("known", [0.0, 3.0])
def test_the_penalty_is_that_of_the_least_loss_on_rows_held_out(known):
    """Recomputed here fold by fold, with nothing to learn and with much; one row is no choice."""
    features, gold = problem(15, 10, 3)
    features[:, :2] += known * np.eye(features.shape[2])[gold][:, None]
    dealt = np.empty(15, int)
    dealt[np.argsort(gold, kind="stable")] = np.arange(15) % 5
    losses = []
    for penalty in PENALTIES:
        total = 0.0
        for fold in range(5):
            kept = dealt != fold
            w = solve(features[kept], gold[kept], penalty, False).weights
            total += value(w, features[~kept], gold[~kept], 0.0) * (~kept).sum()
        losses.append(total)
    assert choose_penalty(features, gold, False) == PENALTIES[int(np.argmin(losses))]
    assert choose_penalty(features[:1], gold[:1], False) == DEFAULT_PENALTY == 0.01


def test_folds_hold_each_row_out_once_and_spread_the_classes():
    """Each row is out once, and a fold has its share of every class to one row."""
    gold = np.array([0, 1] * 10)
    masks = np.array(list(folds(gold, 5)))
    assert masks.shape == (5, 20) and (masks.sum(0) == 1).all()
    assert all(abs((gold[m] == 0).sum() - (gold[m] == 1).sum()) <= 1 for m in masks)
    # Dealt by their order in the file, every other row would make a fold of one class.
    halves = np.array(list(folds(gold, 2)))
    assert [(gold[m] == 0).sum() for m in halves] == [5, 5]
    assert len(list(folds(gold[:3], 5))) == 3 and list(folds(gold[:1], 5)) == []


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e3, 6e4])
def test_loud_contributions_reach_the_minimum(signed, scale):
    """Contributions as large as float16 holds end as low as the best of other starts."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 300, 2)) * scale
    gold = rng.permuted(np.arange(20) % 2)

    def reached(start):
        w = solve(features, gold, 0.01, signed, start).weights
        return value(w, features, gold, 0.01)

    best = min(reached(start) for start in (np.zeros(300), np.full(300, 1e-6)))
    assert reached(None) <= 1.02 * best


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_how_far_a_fit_can_be_from_the_minimum_is_kept(signed, scale):
    """The gap bounds what any other weights gain; of contributions of 10⁹ it is no longer small."""
    features, gold = problem(20, 30, 2)
    end = solve(features * scale, gold, 0.003, signed)
    own = value(end.weights, features * scale, gold, 0.003) if not signed else None
    if own is not None:
        others = [np.zeros(30), np.eye(30)[0], np.eye(30)[1] / scale]
        least = min(value(w, features * scale, gold, 0.003) for w in others)
        assert own - least <= end.gap * own + 1e-12
    assert (end.gap > ENOUGH) == (scale > 1)


def test_a_fit_far_from_the_minimum_is_told(stores):
    """The line has method, rows, store and by how much; a fit that is near has none."""
    with open_store(stores / "sst2-t1-k4-s0.h5") as store:
        (fit,) = reweight([store], make_methods(["comprw"], "convex"))
    assert unsolved([fit]) == ()
    (line,) = unsolved([replace(fit, fitted=replace(fit.fitted, gap=0.25))])
    rows = f"{len(fit.train_ids)} rows of {fit.store}"
    assert line.startswith(f"comprw:convex on {rows}: ") and "25.0% above its minimum" in line

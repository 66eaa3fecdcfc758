"""Calibration against a second implementation, row by row, and on simulated predictors."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from compread.analysis.calibration import BINS, calibration, confidence_of, equal_mass, equal_width


def drawn(seed, rows, labels, sharpness=1.0):
    """Random log probabilities and labels drawn from them, which are then calibrated."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, labels)) * 2
    p = softmax(scores, axis=1)
    gold = (rng.random((rows, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return log_softmax(scores * sharpness, axis=1), gold


def by_hand(logs, gold):
    """ECE, adaptive ECE, Brier score and log loss in loops, as their definitions have them."""
    n, k = logs.shape
    p = [[math.exp(x) for x in row] for row in logs]
    top = [max(row) for row in p]
    hit = [row.index(max(row)) == y for row, y in zip(p, gold, strict=True)]

    def error(members):
        groups = [g for g in members if g]
        away = (abs(sum(hit[i] for i in g) - sum(top[i] for i in g)) for g in groups)
        return sum(away) / n

    width = [[i for i in range(n) if b / BINS < top[i] <= (b + 1) / BINS] for b in range(BINS)]
    order = sorted(range(n), key=lambda i: top[i])
    mass = [[order[r] for r in range(n) if r * min(BINS, n) // n == b] for b in range(BINS)]
    brier = sum((p[i][y] - (y == gold[i])) ** 2 for i in range(n) for y in range(k)) / n
    loss = -sum(logs[i][gold[i]] for i in range(n)) / n
    return error(width), error(mass), brier, loss


@pytest.mark.parametrize(("rows", "labels"), [(1, 2), (7, 2), (15, 4), (301, 3), (400, 20)])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_all_four_are_those_of_their_definitions(rows, labels, sharpness):
    """Fewer rows than bins, as many, and more."""
    logs, gold = drawn(rows, rows, labels, sharpness)
    found = calibration(logs, gold)
    got = found.ece, found.ece_adaptive, found.brier, found.log_loss
    assert got == pytest.approx(by_hand(logs, gold))


def test_a_calibrated_predictor_has_no_error_and_a_sure_one_has():
    """Labels drawn from the probabilities themselves; three times as sure is 0.1 off or more."""
    right = calibration(*drawn(0, 100_000, 3))
    sure = calibration(*drawn(0, 100_000, 3, sharpness=3.0))
    assert right.ece < 0.01 and right.ece_adaptive < 0.01
    assert sure.ece > 0.1 and sure.ece_adaptive > 0.1
    assert sure.log_loss > right.log_loss and sure.brier > right.brier


def test_the_order_of_rows_decides_nothing():
    """Also where rows of one probability lie in several bins of equal mass."""
    logs = np.log([[0.7, 0.3]] * 50 + [[0.6, 0.4]] * 10)
    gold = np.array([0, 1] * 30)
    turned = calibration(logs[::-1], gold[::-1])
    straight = vars(calibration(logs, gold))
    assert vars(turned) == pytest.approx(straight)
    by_label = np.argsort(gold, kind="stable")
    assert vars(calibration(logs[by_label], gold[by_label])) == pytest.approx(straight)


def test_borders_belong_to_the_lower_bin():
    """0 and 1 lie in the first and the last bin, 1/15 in the first."""
    confidence = np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 1.0])
    bins = equal_width(confidence, np.array([True, False, True, True]))
    assert bins.rows.tolist() == [2, 1, 1] and bins.accuracy.tolist() == [0.5, 1.0, 1.0]


def test_bins_of_equal_mass_have_equal_rows():
    """As near as the number of rows allows; none is empty."""
    confidence, hit = confidence_of(*drawn(3, 100, 2))
    rows = equal_mass(confidence, hit).rows
    assert len(rows) == BINS and rows.sum() == 100 and rows.max() - rows.min() <= 1
    assert len(equal_mass(confidence[:4], hit[:4]).rows) == 4

"""A temperature, so that a fit's probabilities say how often it is right.

    p = softmax(score / T)

T is fitted on the train rows, each scored by a fit that has not seen it: on scores of the rows it
was trained on, T would vouch for what the fit remembers. It minimises

    cross-entropy with Platt's targets + (log(T / sd) - 1)² / (2 · 1.5²)

with sd the size of the scores. Both terms are for few rows. Platt's targets (1999) count one row of
each label as seen at every score, so that T stays above 0 where all left-out rows are right; the
second keeps it from infinity where they are right by chance only. Of 30 forms tried on the eight
design tasks, with 8, 20 and 60 rows, it is among the best, which differ little. T changes no
prediction. Guo et al. 2017, there for held-out rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compread.array_types import Floats, Ints
from compread.reweight.method import Fitted, Method, in_turn
from compread.reweight.probability import log_softmax
from compread.reweight.rows import Rows, Training
from compread.reweight.solvers.signal import centred_over_answers
from compread.reweight.solvers.sums import ABSENT

GROUPS = 10
"""Rows are left out one by one, or in so many groups where there are more of them."""
USUAL, REACH = 1.0, 1.5
"""Mean and standard deviation of log(T / sd) before any row is seen."""


def temperature(method: Method, run: Training) -> float | None:
    """T of a method on its train rows; None where there are fewer than two of them."""
    if len(run) < 2:
        return None
    scores = left_out_scores(method, run)
    return best_temperature(np.where(run.rows.absent, np.nan, scores), run.gold)


def left_out_scores(method: Method, run: Training) -> Floats:
    """[N, K] the scores of the train rows, each by a fit on the others.

    A method that reads no train row is no other without one. One that looks at all rows together
    sees them together here too, without their labels, unless it has a form for rows alone.
    """
    if not method.reads_rows:
        return _form(method.fit([run])[0]).scores(run.rows)
    group = groups(run.gold)
    scores = np.empty(run.rows.full.shape)
    fits = in_turn(method, (_without(run, group == out) for out in range(group.max() + 1)))
    for out, fitted in enumerate(fits):
        rows = np.flatnonzero(group == out)
        form = _form(fitted)
        if form.transductive:
            scores[rows] = form.scores(run.rows)[rows]
        else:
            scores[rows] = form.scores(_some(run.rows, rows))
    return scores


def groups(gold: Ints) -> Ints:
    """[N] the group that each row is left out with, the labels spread evenly over the groups."""
    count = min(GROUPS, len(gold))
    group = np.empty(len(gold), np.int64)
    group[np.argsort(gold, kind="stable")] = np.arange(len(gold)) % count
    return group


def best_temperature(scores: Floats, gold: Ints) -> float:
    """The T at which scores [N, K] fit the right labels best, by the rule of this file.

    Scores are NaN for answers that a row does not have.

    1 where all scores of each row are equal, as no T makes a difference then.
    """
    from scipy.optimize import minimize_scalar

    rows, labels = scores.shape
    there = ~np.isnan(scores)
    counts = there.sum(axis=1, keepdims=True)
    centred = centred_over_answers(scores)
    size = float(np.abs(centred).max())
    if not size > 0:
        return 1.0
    centred = centred / size  # or the squares of large scores would have no number
    spread = float(np.sqrt((centred**2).sum() / counts.sum()))
    target = np.where(there, (np.eye(labels)[gold] * rows + 1) / (rows + counts), 0.0)
    absent = np.where(there, 0.0, ABSENT)

    def loss(log_temperature: float) -> float:
        logs = log_softmax(centred / (spread * np.exp(log_temperature)) + absent)
        prior = (log_temperature - USUAL) ** 2 / (2 * REACH**2)
        return float(prior - (target * logs).sum())

    found = minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-7})
    return float(np.exp(found.x) * spread * size)


def _form(fitted: Fitted) -> Fitted:
    alone = fitted.row_wise()
    return fitted if alone is None else alone[1]


def _without(run: Training, out: np.ndarray) -> Training:
    kept = np.flatnonzero(~out)
    gram = None if run.label_gram is None else run.label_gram[kept]
    ids = tuple(run.id[n] for n in kept)
    rows = _some(run.rows, kept)
    return replace(run, rows=rows, gold=run.gold[kept], id=ids, label_gram=gram)


def _some(rows: Rows, chosen: Ints) -> Rows:
    return replace(rows, parts=rows.parts[chosen], full=rows.full[chosen])


def scaled(scores: Floats, at: float | None) -> Floats:
    """[N, K] log probabilities of scores at a temperature; None is 1."""
    return log_softmax(scores if at is None else scores / at)

"""Ridge regression of the right label on components, each row predicted from the others too.

With x [N·K, J] the contributions, each component divided by the root of its loudness s_j, the dual
weights solve (x xᵀ + λ) a = target, N·K of them, and the primal ones (xᵀx + λ) v = xᵀ target, J of
them: the same answer, so the smaller system is solved. A row left out is predicted as its target
less (I - H)⁻¹ r, with r its residuals and H [K, K] its block of the hat matrix x (xᵀx + λ)⁻¹ xᵀ.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from compread.array_types import Floats, Ints
from compread.reweight.blocks import blocks
from compread.reweight.solvers.signal import Signal

RIDGE = 3.0
"""λ as a multiple of the kernel's mean diagonal."""
SPREAD = 1e-9
"""Left-out scores that differ by less, relative to their size, are one number up to rounding."""


def ridge_weights(signal: Floats | Signal, gold: Ints) -> tuple[Floats, float]:
    """[J] the ridge weights, and the t statistic of the right label's score, each row left out.

    Args:
        signal: [N, J, K] contributions centred over the rows and over the labels.
        gold: [N] column of the right label.
    """
    rows, columns, labels = signal.shape
    squares = sum(np.einsum("njk,njk->j", s, s) for s in (signal[span] for span in blocks(signal)))
    loudness = np.sqrt(np.asarray(squares) / (rows * labels))
    scale = np.divide(1, np.sqrt(loudness), out=np.zeros(columns), where=loudness > 0)
    # The kernel's mean diagonal: Σ of x², which is Σ_j s_j, each N·K times.
    level = RIDGE * loudness.sum()
    if level == 0:
        return np.zeros(columns), 0.0
    solve = dual if rows * labels <= columns else primal
    weights, left_out = solve(signal, scale, gold, level)
    error = left_out.std() / np.sqrt(rows)
    known = error > SPREAD * np.abs(left_out).max()
    return weights, float(left_out.mean() / error) if known else 0.0


def dual(signal: Floats | Signal, scale: Floats, gold: Ints, level: float) -> tuple[Floats, Floats]:
    """[J] weights and [N] left-out scores of the right labels, by a system of N·K equations.

    Args:
        signal: [N, J, K].
        scale: [J] what each component is multiplied with.
        gold: [N].
        level: λ.
    """
    rows, _, labels = signal.shape
    target = _target(gold, labels).ravel()
    features = _features(signal[:], scale)
    inverse = np.linalg.inv(features @ features.T + level * np.eye(rows * labels))
    weights = inverse @ target
    # (I - H)⁻¹ r, from the row's block of the inverse.
    own = inverse.reshape(rows, labels, rows, labels)[np.arange(rows), :, np.arange(rows)]
    away = np.linalg.solve(own, weights.reshape(rows, labels, 1))[:, :, 0]
    left_out = (target.reshape(rows, labels) - away)[np.arange(rows), gold]
    return scale * (features.T @ weights), left_out


def primal(
    signal: Floats | Signal, scale: Floats, gold: Ints, level: float
) -> tuple[Floats, Floats]:
    """The same by a system of J equations, the rows gone through block by block."""
    rows, columns, labels = signal.shape
    target = _target(gold, labels)
    normal, moment = level * np.eye(columns), np.zeros(columns)
    for span in blocks(signal):
        x = _features(signal[span], scale)
        normal += x.T @ x
        moment += target[span].ravel() @ x
    factor = cho_factor(normal, lower=True, overwrite_a=True)
    weights = cho_solve(factor, moment)
    left_out = np.empty(rows)
    for span in blocks(signal):
        x = _features(signal[span], scale)
        residual = target[span] - (x @ weights).reshape(-1, labels)
        # xᵀ behind the factor [J, n·K]: H of a row is the product of its columns with each other.
        half = solve_triangular(factor[0], x.T, lower=True).T.reshape(-1, labels, columns)
        rest = np.eye(labels) - half @ half.swapaxes(1, 2)
        away = np.linalg.solve(rest, residual[:, :, None])[:, :, 0]
        left_out[span] = (target[span] - away)[np.arange(len(away)), gold[span]]
    return scale * weights, left_out


def _target(gold: Ints, labels: int) -> Floats:
    """[N, K] 1 at the right label, less the mean."""
    target: Floats = np.eye(labels)[gold] - 1 / labels
    return target


def _features(signal: Floats, scale: Floats) -> Floats:
    """[n·K, J] of signal [n, J, K]."""
    x: Floats = (signal.swapaxes(1, 2) * scale).reshape(-1, len(scale))
    return x

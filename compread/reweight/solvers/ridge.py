"""Ridge regression of the right label on components, each row predicted from the others too.

With x [N·K, J] the contributions, each component times s_j^(-p/2), its loudness s_j to a power, the
dual weights solve (x xᵀ + λ) a = target, N·K of them, and the primal ones (xᵀx + λ) v = xᵀ target,
J of them: the same answer, so the smaller system is solved. x is centred over the rows, which is a
regression with a constant for each label. With r [K] a row's residuals there and H [K, K] its block
of the hat matrix x (xᵀx + λ)⁻¹ xᵀ, the regression on the other rows alone predicts its target less
(I - H - 1/N)⁻¹ r; less the others' mean target, that is what their ridge makes of the row, centred
over them. Centred over all rows, each would know of itself.

Where rows have answers of their own there is no label to have a constant: x is centred over each
row's answers alone, the target is 1 less the mean over these, 1/N is not there, nor others' mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from compread.array_types import Bools, Floats, Ints
from compread.reweight.blocks import for_each_block, sum_of_blocks
from compread.reweight.solvers.signal import Signal
from compread.reweight.threads import blas_threads, cores
from compread.store.layout import spans

RIDGE = 1.0
"""λ as a multiple of the kernel's mean diagonal."""
LOUDNESS = 1.5
"""p: a weight's penalty grows with the loudness to this power."""
LARGE = 512
"""Equations from which on several threads of BLAS are worth it."""
PANEL = 256
"""Components of a triangle that are multiplied at a time."""


@dataclass(frozen=True)
class RidgeFit:
    """Ridge weights, and what rows that they were not fitted on say of them."""

    weights: Floats
    """[J]"""
    left_out: Floats
    """[N, K] what is scored by the ridge of all rows but this one."""


def ridge_weights(signal: Floats | Signal, gold: Ints, own: Bools | None = None) -> RidgeFit:
    """Fit N rows.

    Args:
        signal: [N, J, K] contributions centred over the rows and over the labels.
        gold: [N] column of the right label.
        own: [N, K] which answers a row has, where rows have their own.
    """
    rows, columns, labels = signal.shape
    squares = sum_of_blocks(lambda span: _squares(signal[span]), signal)
    loudness = np.sqrt(np.asarray(squares) / (rows * labels if own is None else own.sum()))
    scale = np.zeros(columns)
    scale[loudness > 0] = loudness[loudness > 0] ** (-LOUDNESS / 2)
    # The kernel's mean diagonal: Σ of x², which is Σ_j s_j^(2 - p), each N·K times.
    level = RIDGE * ((loudness * scale) ** 2).sum()
    if level == 0:
        return RidgeFit(np.zeros(columns), np.zeros((rows, labels)))
    solve = dual if rows * labels <= columns else primal
    # The one solver whose time is that of products of large matrices.
    with blas_threads(cores() if min(columns, rows * labels) >= LARGE else 1):
        return RidgeFit(*solve(signal, scale, gold, level, own))


def dual(
    signal: Floats | Signal, scale: Floats, gold: Ints, level: float, own: Bools | None = None
) -> tuple[Floats, Floats]:
    """[J] weights and [N, K] left-out scores, by a system of N·K equations.

    Args:
        signal: [N, J, K].
        scale: [J] what each component is multiplied with.
        gold: [N].
        level: λ.
        own: as in ``ridge_weights``.
    """
    rows, _, labels = signal.shape
    target = _target(gold, labels, own)
    features = _features(signal[:], scale)
    inverse = np.linalg.inv(features @ features.T + level * np.eye(rows * labels))
    weights = inverse @ target.ravel()
    # λ times the inverse is I - H.
    by_row = inverse.reshape(rows, labels, rows, labels)
    rests = np.multiply(level, by_row[np.arange(rows), :, np.arange(rows)])
    residual = level * (inverse @ (target - _constant(target, own)).ravel())
    left_out = _left_out(rests, np.asarray(residual.reshape(rows, labels)), target, own)
    return scale * (features.T @ weights), left_out


def primal(
    signal: Floats | Signal, scale: Floats, gold: Ints, level: float, own: Bools | None = None
) -> tuple[Floats, Floats]:
    """The same by a system of J equations, the rows gone through block by block."""
    rows, columns, labels = signal.shape
    target = _target(gold, labels, own)
    centred = target - _constant(target, own)

    def equations(span: slice) -> Floats:
        """[J + 1, J] xᵀx, and below it xᵀ target."""
        x = _features(signal[span], scale)
        return np.vstack([x.T @ x, target[span].ravel() @ x])

    system = np.asarray(sum_of_blocks(equations, signal))
    normal = system[:-1] + level * np.eye(columns)
    factor = cho_factor(normal, lower=True, overwrite_a=True)
    weights = cho_solve(factor, system[-1])
    inverse = solve_triangular(factor[0], np.eye(columns), lower=True)
    residuals, rests = np.empty((rows, labels)), np.empty((rows, labels, labels))

    def leave_out(span: slice) -> None:
        x = _features(signal[span], scale)
        residuals[span] = centred[span] - (x @ weights).reshape(-1, labels)
        # By the factor's inverse L: (xᵀx + λ)⁻¹ is LᵀL, so H of a row is its half with itself.
        half = _by_lower(x, inverse).reshape(-1, labels, columns)
        rests[span] = np.eye(labels) - half @ half.swapaxes(1, 2)

    for_each_block(leave_out, signal)
    return scale * weights, _left_out(rests, residuals, target, own)


def _by_lower(x: Floats, lower: Floats) -> Floats:
    """[n, J] x lowerᵀ, of which what is 0 is left out but for a panel's corner.

    scipy has products with triangles, but lets no other thread run meanwhile.
    """
    product = np.empty_like(x)
    for panel in spans(len(lower), PANEL):
        known = slice(panel.stop)
        np.matmul(x[:, known], lower[panel, known].T, out=product[:, panel])
    return product


def _left_out(rests: Floats, residuals: Floats, target: Floats, own: Bools | None) -> Floats:
    """[N, K] scores of rows left out, from I - H [N, K, K], residuals and targets [N, K]."""
    if own is not None:
        apart = np.linalg.solve(rests, residuals[:, :, None])[:, :, 0]
        return np.asarray(target - apart)
    rows, labels = residuals.shape
    alone = np.eye(labels) / rows
    away = np.linalg.solve(rests - alone, residuals[:, :, None])[:, :, 0]
    others: Floats = (target.sum(axis=0) - target) / (rows - 1)
    return np.asarray(target - away - others)


def _target(gold: Ints, labels: int, own: Bools | None) -> Floats:
    """[N, K] 1 at the right label, less the mean; 0 where a row has no answer."""
    if own is None:
        target: Floats = np.eye(labels)[gold] - 1 / labels
        return target
    return np.where(own, np.eye(labels)[gold] - 1 / own.sum(axis=1, keepdims=True), 0.0)


def _constant(target: Floats, own: Bools | None) -> Floats | float:
    """[K] what a regression of targets [N, K] has as its constant."""
    return target.mean(axis=0) if own is None else 0.0


def _squares(signal: Floats) -> Floats:
    """[J] Σ of signal² [n, J, K] over rows and labels."""
    squares: Floats = np.einsum("njk,njk->j", signal, signal)
    return squares


def _features(signal: Floats, scale: Floats) -> Floats:
    """[n·K, J] of signal [n, J, K]."""
    x: Floats = (signal.swapaxes(1, 2) * scale).reshape(-1, len(scale))
    return x

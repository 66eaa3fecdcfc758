"""Prototypical calibration: clusters of the rows' label log probabilities, one for each label.

A mixture of K Gaussians is fitted to the log p of the rows to be predicted, without their labels;
of many starts the likeliest fit is kept. Clusters are matched with labels by the assignment whose
cluster means have the largest log p of their label in sum; a row goes to its likeliest cluster.
Transductive, no train rows used. A cluster's share is the
mixture's own, or what is said of its label's. Han et al. 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from compread.array_types import Floats
from compread.reweight.cost import Size, Work
from compread.reweight.label_shares import LabelShares, known_shares
from compread.reweight.method import Fitted, Method, Transductive
from compread.reweight.probability import log_softmax
from compread.reweight.rows import Rows, Training

STARTS = 100
STEPS = 100
RIDGE = 1e-3
"""Added to the variances, so that no cluster is a single row."""
BLOCK_BYTES = 64 << 20
"""Of the starts that are gone through side by side."""


@dataclass(frozen=True)
class Mixture:
    """K Gaussians, with the starts side by side: S starts, K clusters, D dimensions."""

    shares: Floats
    """[S, K]."""
    means: Floats
    """[S, K, D]."""
    covariances: Floats
    """[S, K, D, D]."""

    def only(self, start: int) -> Mixture:
        """One of the starts."""
        at = slice(start, start + 1)
        return Mixture(self.shares[at], self.means[at], self.covariances[at])

    def log_joint(self, x: Floats) -> Floats:
        """[S, N, K] log of share times density of each row in each cluster."""
        lower = np.linalg.cholesky(self.covariances)
        away = x[None, None] - self.means[:, :, None]  # [S, K, N, D]
        whitened = np.linalg.solve(lower, away.swapaxes(2, 3))
        scale = np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2)  # [S, K]
        constant = np.log(self.shares) - scale - 0.5 * x.shape[1] * np.log(2 * np.pi)
        joint: Floats = constant[:, :, None] - 0.5 * (whitened**2).sum(axis=2)
        return joint.swapaxes(1, 2)


@dataclass(frozen=True)
class Clusters(Transductive):
    """Clusters of whatever rows are scored."""

    def raw(self, rows: Rows) -> Floats:
        """[N, K] log p."""
        return log_softmax(rows.full)

    def calibrated(self, raw: Floats) -> Floats:
        """[N, K] log of share times density in the cluster of each label."""
        from scipy.optimize import linear_sum_assignment

        logs, mixture = raw, fit_mixture(raw, raw.shape[1])
        joint = mixture.log_joint(logs)[0]
        own = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        centres = own.T @ logs / np.maximum(own.sum(axis=0), 1e-12)[:, None]  # [clusters, K]
        cluster, label = linear_sum_assignment(-centres)
        own_cluster = cluster[np.argsort(label)]
        scores: Floats = joint[:, own_cluster]
        if self.known is None:
            return scores
        scores += np.log(self.known) - np.log(mixture.shares[0, own_cluster])
        return scores


@dataclass(frozen=True)
class Prototypical(Method):
    """Prototypical calibration."""

    label_shares: LabelShares = None

    name: ClassVar[str] = "procal"
    about: ClassVar[str] = "prototypical calibration on the rows to predict"
    fitted: ClassVar[type[Fitted]] = Clusters
    needs_training: ClassVar[bool] = False

    @property
    def reads_rows(self) -> bool:
        """It does for their shares alone."""
        return self.label_shares == "train"

    def hyperparameters(self) -> dict[str, Any]:
        """Starts, steps, and what is added to the variances."""
        return {"starts": STARTS, "steps": STEPS, "ridge": RIDGE, "label_shares": self.told_as}

    def work(self, size: Size) -> Work:
        """Every row's outer product; K systems of K equations for each step of each start."""
        n, k = size.rows, size.labels
        return Work(8.0 * n * k * k + 2 * BLOCK_BYTES, STARTS * STEPS * k * k * k * (k + 3.0 * n))

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The same for every run, whatever its rows."""
        return tuple(
            Clusters(None, known_shares(self.label_shares, run.gold, run.labels))
            for run in training
        )


def fit_mixture(x: Floats, clusters: int) -> Mixture:
    """The likeliest of ``STARTS`` mixtures after ``STEPS`` of expectation-maximisation (S = 1).

    Args:
        x: [N, D] rows; each start takes K of them as its means.
        clusters: K.
    """
    rng = np.random.default_rng(0)
    starts = np.array([
        rng.choice(len(x), clusters, replace=len(x) < clusters) for _ in range(STARTS)
    ])  # fmt: skip
    # A start's own work is K systems with a column for each row.
    at_once = max(1, BLOCK_BYTES // (8 * clusters * x.shape[1] * (len(x) + 2 * x.shape[1])))
    found = []
    for first in range(0, STARTS, at_once):
        mixture = _climb(x, starts[first : first + at_once])
        likely = np.logaddexp.reduce(mixture.log_joint(x), axis=2).sum(axis=1)
        top = int(likely.argmax())
        found.append((float(likely[top]), mixture.only(top)))
    return max(found, key=lambda one: one[0])[1]


def _climb(x: Floats, starts: npt.NDArray[np.int64]) -> Mixture:
    """The mixtures after ``STEPS`` from rows [S, K] as their means."""
    ridge = RIDGE * np.eye(x.shape[1])
    whole = np.cov(x.T, bias=True).reshape(ridge.shape) + ridge
    mixture = Mixture(
        np.full(starts.shape, 1 / starts.shape[1]),
        x[starts],
        np.broadcast_to(whole, (*starts.shape, *whole.shape)),
    )
    outer = x[:, :, None] * x[:, None]  # [N, D, D]
    for _ in range(STEPS):
        mixture = _step(mixture, x, outer, ridge)
    return mixture


def _step(mixture: Mixture, x: Floats, outer: Floats, ridge: Floats) -> Mixture:
    joint = mixture.log_joint(x)
    own = np.exp(joint - np.logaddexp.reduce(joint, axis=2, keepdims=True)).swapaxes(1, 2)
    mass = own.sum(axis=2) + 1e-9  # [S, K]
    means = own @ x / mass[..., None]
    second = np.tensordot(own, outer, axes=1) / mass[..., None, None]
    spread = second - means[..., :, None] * means[..., None, :]
    return Mixture(mass / mass.sum(axis=1, keepdims=True), means, spread + ridge)

"""Nearest centroid in component space.

A row is its components' contributions to the labels, each less its mean over the labels; a label's
centroid is the mean of its train rows, and the nearest one in Euclidean distance is the
prediction. It is to contributions what Hidden Calibration (Cho et al. 2025) is to hidden states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compread.array_types import Floats
from compread.reweight.blocks import blocks
from compread.reweight.cost import Size, Work
from compread.reweight.method import Fitted, Method
from compread.reweight.rows import Rows, Training


@dataclass(frozen=True)
class Centroids(Fitted):
    """A point in component space for each label."""

    centroids: Floats
    """[K, C, K] the label's point, zero where a component carries no weight."""
    known: Floats
    """[K] 1 where the label had train rows."""

    axes: ClassVar[Mapping[str, str]] = {"centroids": "KCK", "known": "K"}

    def scores(self, rows: Rows) -> Floats:
        """[N, K] minus the squared distance; a label without a centroid is never the nearest."""
        flat = self.centroids.reshape(len(self.centroids), -1)
        # ‖x‖² is the same for every label, so it is left out.
        scores = np.tile(-np.einsum("kp,kp->k", flat, flat), (len(rows), 1))
        for span in blocks(rows.parts):
            scores[span] += 2 * points(rows, span) @ flat.T
        lowest = scores.min(axis=1, keepdims=True)
        return np.where(self.known > 0, scores, lowest - 1)


@dataclass(frozen=True)
class NearestCentroid(Method):
    """Nearest centroid in component space."""

    name: ClassVar[str] = "centroid"
    about: ClassVar[str] = "nearest centroid in component space"
    fitted: ClassVar[type[Fitted]] = Centroids

    def work(self, size: Size) -> Work:
        """A point of C·K numbers for each label, and one product of all rows with them."""
        points = float(size.labels) * size.components * size.labels
        return Work(8 * points, points * size.rows)

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """The centroids of each run."""
        return tuple(_fit(run) for run in training)


def points(rows: Rows, span: slice) -> Floats:
    """[N, C·K] contributions of some rows less their mean over the labels; unweighted ones zero."""
    parts = rows.parts[span].astype(float)
    parts -= parts.mean(axis=2, keepdims=True)
    parts[:, ~rows.reweighted()] = 0
    return parts.reshape(len(parts), -1)


def _fit(run: Training) -> Centroids:
    components, labels = run.rows.parts.shape[1:]
    members = np.eye(labels)[run.gold]  # [N, K]
    counts = members.sum(axis=0)
    means = np.zeros((labels, components * labels))
    for span in blocks(run.rows.parts):
        there = members[span].any(axis=0)
        means[there] += members[span][:, there].T @ points(run.rows, span)
    means /= np.maximum(counts, 1)[:, None]
    shape = (labels, components, labels)
    return Centroids(None, means.reshape(shape), (counts > 0).astype(float))

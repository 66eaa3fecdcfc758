"""Why a row got its label: the components that decided it."""

from __future__ import annotations

from typing import Any

import numpy as np

from compread.array_types import Floats
from compread.errors import UsageError, flag
from compread.reweight.fit import Fit
from compread.reweight.rows import Rows


def explain(fit: Fit, rows: Rows, scores: Floats, top: int) -> list[dict[str, Any]]:
    """For each row its margin and the components that made the most of it.

    ``margin`` is the label's score less the next one's; ``components`` are the ``top`` largest
    w_j (g[j, label] - g[j, next]) in size, and ``rest`` is what all else has to the margin, the
    levels of the labels included.

    Args:
        fit: a fit with a weight for each component.
        rows: the rows, N of them.
        scores: [N, K] their scores.
        top: how many components.

    Raises:
        UsageError: the method has no weights for components.
    """
    weights = fit.fitted.parameters().get("weights")
    if weights is None:
        raise UsageError(
            f"{flag('explain')}: {fit.title} has no component weights; use blend-row or comprw"
        )
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    first, second = order[:, 0], order[:, 1]
    at = np.arange(len(rows))
    ours, theirs = (rows.parts[at, :, y].astype(float) for y in (first, second))
    shares = weights * (ours - theirs)  # [N, C]
    found = []
    for n, share in enumerate(shares):
        best = np.argsort(-np.abs(share), kind="stable")[:top]
        margin = float(scores[n, first[n]] - scores[n, second[n]])
        found.append({
            "margin": margin,
            "against": fit.labels.word[second[n]],
            "components": {fit.components[j].name: float(share[j]) for j in best},
            "rest": margin - float(share[best].sum()),
        })  # fmt: skip
    return found

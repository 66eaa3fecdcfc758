"""Why a row got its label: the components that decided it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compread.array_types import Floats, Ints
from compread.errors import UsageError, flag
from compread.reweight.ensemble import Ensemble
from compread.reweight.rows import Rows


def explain(
    chosen: Ensemble,
    rows: Sequence[Rows],
    scores: Floats,
    words: Sequence[Sequence[str]],
    top: int,
) -> list[dict[str, Any]]:
    """For each row its margin and the components that made the most of it.

    ``margin`` is the label's score less the next one's; ``components`` are the ``top`` largest
    w_j (g[j, label] - g[j, next]) in size, of several prompts the mean, each in its scores' size,
    and ``rest`` is what all else has to the margin, the levels of the labels included.

    Args:
        chosen: fits with a weight for each component.
        rows: the N rows behind each member's prompt.
        scores: [N, K] their scores.
        words: [N, K] what each row chooses from.
        top: how many components.

    Raises:
        UsageError: the method has no weights for components.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    first, second = order[:, 0], order[:, 1]
    shares = _shares(chosen, rows, first, second)
    names = [component.name for component in chosen.first.components]
    at = np.arange(len(scores))
    margins = scores[at, first] - scores[at, second]
    found = []
    for n, share in enumerate(shares):
        best = np.argsort(-np.abs(share), kind="stable")[:top]
        found.append({
            "margin": float(margins[n]),
            "against": words[n][second[n]],
            "components": {names[j]: float(share[j]) for j in best},
            "rest": float(margins[n]) - float(share[best].sum()),
        })  # fmt: skip
    return found


def _shares(chosen: Ensemble, rows: Sequence[Rows], first: Ints, second: Ints) -> Floats:
    """[N, C] what each component has to the difference of two classes' scores."""
    total = np.zeros(rows[0].parts.shape[:2])
    at = np.arange(len(total))
    for fit, size, columns, own in zip(
        chosen.members, chosen.sizes, chosen.columns_of(rows[0].parts.shape[2]), rows, strict=True
    ):
        weights = fit.fitted.parameters().get("weights")
        if weights is None:
            raise UsageError(
                f"{flag('explain')}: {fit.title} has no component weights; use blend-row or comprw"
            )
        ours, theirs = (
            own.parts[at, :, np.array(columns)[y]].astype(float) for y in (first, second)
        )
        total += weights * (ours - theirs) / size
    return total / len(chosen.members)

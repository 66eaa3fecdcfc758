"""Scores of rows that come window by window, each with what the rows so far say of them all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compread.array_types import Floats
from compread.reweight.ensemble import Ensemble
from compread.reweight.method import Transductive
from compread.reweight.registry import METHODS
from compread.reweight.rows import Rows
from compread.reweight.scoring import check_finite, finite_scores


def told_of(chosen: Ensemble) -> str:
    """A line on whether rows are labelled alone, or with what of those before them."""
    fit = chosen.first
    fitted = fit.fitted
    if not isinstance(fitted, Transductive):
        return f"{fit.title}: each row is labelled alone"
    if fitted.known is not None:
        shares = f"taken to be {', '.join(f'{share:.3g}' for share in fitted.known)}"
    else:
        own = METHODS[fit.method].own_shares
        estimated = fit.hyperparameters.get("label_shares", own) == "estimate"
        shares = "estimated from them" if estimated else "taken to be even"
    return f"{fit.title}: a row is labelled with those so far, the labels' shares {shares}"


class Running:
    """What labels rows, and what it has kept of those that it has seen."""

    def __init__(self, chosen: Ensemble) -> None:
        """Begin without rows."""
        self._chosen = chosen
        self._seen: list[list[Floats]] = [[] for _ in chosen.members]

    def scores(self, rows: Sequence[Rows]) -> Floats:
        """[N, K] of N further rows behind each member's prompt.

        Raises:
            StoreError: some are not finite.
        """
        found = []
        for member, seen, own in zip(self._chosen.members, self._seen, rows, strict=True):
            fitted = member.fitted
            if isinstance(fitted, Transductive) and not own.own_answers:
                seen.append(fitted.raw(own))
                scores = fitted.calibrated(np.concatenate(seen))[-len(own) :]
                found.append(check_finite(scores, own.absent))
            else:
                found.append(finite_scores(fitted, own))
        return self._chosen.average(found)

"""Rows that come window by window: their scores, each with what the rows so far say of them all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compread.array_types import Float32, Floats
from compread.reweight.ensemble import Ensemble
from compread.reweight.fit import Fit
from compread.reweight.method import Transductive
from compread.reweight.registry import METHODS
from compread.reweight.rows import Rows
from compread.reweight.scoring import check_finite, finite_scores
from compread.store import Pooling, RowAnswers
from compread.store.normalizing import divided


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


def rows_for(fit: Fit, parts: Float32, full: Float32, answers: Sequence[RowAnswers]) -> Rows:
    """New rows as a fit has its own: one label a class, or answers made alike in length.

    Args:
        fit: what is to score them.
        parts: [N, C, K] their contributions to each word or answer.
        full: [N, K] the model's own label logits.
        answers: [N] their own answers; empty where labels are in common.
    """
    if answers:
        parts, full = (divided(one, answers, fit.run) for one in (parts, full))
        return Rows(parts, full, fit.components, own_answers=True)
    pooling = Pooling.of(fit.words, fit.pool)
    if pooling is not None:
        bias = next(j for j, c in enumerate(fit.components) if c.kind == "bias")
        parts, full = pooling.parts(parts, full, bias), pooling.full(full)
    return Rows(parts, full, fit.components)

"""How fitted methods do on the test rows of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from compread.analysis.calibration import Calibration, calibration
from compread.analysis.intervals import wilson_interval
from compread.analysis.repeats import distinct
from compread.errors import StoreError
from compread.reweight.method import Fitted
from compread.reweight.rows import (
    Rows,
    rows_of,
)
from compread.reweight.temperature import scaled
from compread.store import Store


@dataclass(frozen=True)
class HeldOutAccuracy:
    """How a fit does on the test rows."""

    accuracy: float
    accuracy_low: float
    """Lower end of the 95 % Wilson interval."""
    accuracy_high: float
    n: int
    """Test rows."""
    calibration: Calibration | None = None
    """Of the softmax of the scores; None where it was not counted, as in older weights files."""
    scaled: Calibration | None = None
    """Of the probabilities at the fit's temperature; None without one."""

    def keys(self) -> dict[str, float | None]:
        """``ece`` and the like, and ``scaled_ece`` and the like."""
        return {
            f"{prefix}{name}": None if found is None else getattr(found, name)
            for prefix, found in (("", self.calibration), ("scaled_", self.scaled))
            for name in CALIBRATION
        }


CALIBRATION = tuple(field.name for field in fields(Calibration))


CALIBRATION_KEYS = (*CALIBRATION, *(f"scaled_{name}" for name in CALIBRATION))
"""Of ``HeldOutAccuracy.keys``."""


def hits(fitted: Fitted, rows: Rows, gold: npt.NDArray[np.int64]) -> int:
    """How many rows have the right label's score as their largest, the first among equals."""
    return int((finite_scores(fitted, rows).argmax(axis=1) == gold).sum())


def finite_scores(fitted: Fitted, rows: Rows) -> npt.NDArray[np.float64]:
    """The labels' scores [N, K]; -∞ for answers that a row does not have.

    Raises:
        StoreError: some are not finite, as from weights near the largest number there is.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scores = fitted.scores(rows)
    return check_finite(np.where(rows.absent, -np.inf, scores), rows.absent)


def check_finite(
    scores: npt.NDArray[np.float64], absent: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Scores [N, K] that are numbers, but for answers [N, K] that rows do not have.

    Raises:
        StoreError: as in ``finite_scores``.
    """
    if not (np.isfinite(scores) | absent).all():
        raise StoreError("these weights make scores that are not finite; fit them again")
    return scores


def test_scores(
    store: Store, fitted: Sequence[Fitted], temperatures: Sequence[float | None]
) -> list[HeldOutAccuracy]:
    """How each does on the store's test rows, which are read once; equal prompts count as one.

    Args:
        store: the run.
        fitted: what to score; one that stands several times scores the rows once.
        temperatures: of each, None where it has none.

    Raises:
        StoreError: the store has no test rows, or a damaged value.
    """
    split = store.split("test")
    if not len(split):
        raise StoreError(f"{store.path} has no test rows; extract it with a test split")
    rows, gold = rows_of(split, store.components), split.gold
    if not (kept := distinct(split.prompt_hash)).all():
        rows, gold = replace(rows, parts=rows.parts[kept], full=rows.full[kept]), gold[kept]
    uses = Counter(map(id, fitted))
    known: dict[int, npt.NDArray[np.float64]] = {}
    found = []
    for one, at in zip(fitted, temperatures, strict=True):
        scores = known[id(one)] if id(one) in known else finite_scores(one, rows)
        if uses[id(one)] > 1:
            known[id(one)] = scores
        found.append(held_out(scores, gold, at))
    return found


def held_out(
    scores: npt.NDArray[np.float64], gold: npt.NDArray[np.int64], at: float | None
) -> HeldOutAccuracy:
    """How scores [N, K] do, and their probabilities as they are and at a temperature."""
    n, right = len(gold), int((scores.argmax(axis=1) == gold).sum())
    low, high = wilson_interval(np.array([right]), n)
    return HeldOutAccuracy(
        accuracy=right / n,
        accuracy_low=float(low[0]),
        accuracy_high=float(high[0]),
        n=n,
        calibration=calibration(scaled(scores, None), gold),
        scaled=None if at is None else calibration(scaled(scores, at), gold),
    )

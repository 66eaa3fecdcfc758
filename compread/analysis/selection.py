"""The best and the worst component of a run, as the paper has them and as they can be had.

The best of a thousand on the rows it is scored on looks better than it is. Beside that oracle
(Oracle-T1 and -B1 in the paper's Table 1) stand

- the component chosen on the train rows, scored on the test rows: what a user really gets;
- a cross-fitted estimate: chosen on one half of the test rows, scored on the other, averaged over
  both directions of many random splits. It is unbiased for a choice made on half of the rows;
- what the oracle would show where no component knew anything: the mean, over shuffles of the right
  labels, of the best accuracy under each; and how often a shuffle gets as far as the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compread.analysis.categories import counted
from compread.analysis.ranking import number
from compread.analysis.runs import Resampled, RunStats, Trained
from compread.array_types import Floats


@dataclass(frozen=True)
class Pick:
    """One end of a run's components: the best, or the worst."""

    oracle: int
    """Position of the component picked on the rows it is scored on, the first among equals."""
    oracle_accuracy: float
    trained: int | None
    """Position of the one picked on the train rows, by its margin among equals; None without."""
    trained_accuracy: float
    """Its accuracy on the test rows; NaN without train rows."""
    crossfit_accuracy: float
    """NaN without halves, or with a single row."""
    chance_accuracy: float
    """Mean of the same end under shuffled labels; NaN where none were drawn."""
    p_value: float
    """Of the oracle's accuracy among those under shuffled labels, itself counted in."""

    def keys(self, prefix: str, run: RunStats) -> dict[str, Any]:
        """The keys and values of a row, each key led by ``best`` or ``worst``."""
        names = run.components
        return {
            prefix: names[self.oracle].name,
            f"{prefix}_accuracy": self.oracle_accuracy,
            f"{prefix}_by_train": None if self.trained is None else names[self.trained].name,
            f"{prefix}_by_train_accuracy": number(self.trained_accuracy),
            f"{prefix}_crossfit_accuracy": number(self.crossfit_accuracy),
            f"{prefix}_by_chance_accuracy": number(self.chance_accuracy),
            f"{prefix}_p_value": number(self.p_value),
        }


def pick(run: RunStats, worst: bool = False) -> Pick:
    """The best component of a run among its heads, mixers and MLPs, or the worst."""
    of = np.array(counted(run.components))
    sign = -1.0 if worst else 1.0
    accuracy = run.stats.parts.accuracy
    oracle = int(of[np.argmax(sign * accuracy[of])])
    trained = None if run.train is None else _first(run.train, of, sign)
    crossfit = chance = p = np.nan
    if run.resampled is not None:
        crossfit = _crossfit(sign * run.resampled.halves[:, :, of]) * sign
        chance, p = _by_chance(run.resampled, worst, float(accuracy[oracle]))
    return Pick(
        oracle=oracle,
        oracle_accuracy=float(accuracy[oracle]),
        trained=trained,
        trained_accuracy=np.nan if trained is None else float(accuracy[trained]),
        crossfit_accuracy=crossfit,
        chance_accuracy=chance,
        p_value=p,
    )


def _first(scores: Trained, of: np.ndarray, sign: float) -> int:
    """Of few rows many components get the same share right; the margin tells them apart."""
    order = np.lexsort((-sign * scores.margin[of], -sign * scores.accuracy[of]))
    return int(of[order[0]])


def _crossfit(halves: Floats) -> float:
    """Mean over splits of what the best on one half reaches on the other: halves [R, 2, C]."""
    if np.isnan(halves).any():  # A single row leaves the second half empty.
        return np.nan
    chosen = halves.argmax(axis=2)  # (R, 2)
    other = np.take_along_axis(halves[:, ::-1], chosen[:, :, None], axis=2)
    return float(other.mean())


def _by_chance(resampled: Resampled, worst: bool, reached: float) -> tuple[float, float]:
    ends = resampled.worst if worst else resampled.best  # (P)
    beyond = reached - ends if worst else ends - reached
    as_far = int((beyond >= -1e-12).sum())
    return float(ends.mean()), (1 + as_far) / (1 + len(ends))

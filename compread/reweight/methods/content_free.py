"""Contextual and domain-context calibration: label probabilities against those of no content.

    score_y = log p_y - log p_cf,y       the same labels as diag(p_cf)^-1 p

p_cf is the mean label probability, renormalised, over content-free inputs: "N/A", "" and "[MASK]"
for contextual calibration (Zhao et al. 2021), random bags of the data's own words for
domain-context calibration (Fei et al. 2023). Those prompts are the store's ``calibration`` split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compread.array_types import Floats
from compread.errors import UsageError, flag, option
from compread.reweight.method import Fitted, Method
from compread.reweight.methods.batch_calibration import LogPrior
from compread.reweight.probability import softmax
from compread.reweight.rows import Training

CONTENT_FREE = "content-free"
"""What the ids of calibration rows without content begin with."""
DOMAIN = "domain"
"""What those of random in-domain words begin with."""


@dataclass(frozen=True)
class Contextual(Method):
    """Contextual calibration."""

    name: ClassVar[str] = "cc"
    about: ClassVar[str] = "contextual calibration (--calibration-prompts)"
    fitted: ClassVar[type[Fitted]] = LogPrior
    needs_training: ClassVar[bool] = False
    rows_used: ClassVar[str] = CONTENT_FREE

    def fit(self, training: Sequence[Training]) -> tuple[Fitted, ...]:
        """p_cf of each run; train rows are not looked at.

        Raises:
            UsageError: a store has no such calibration prompts.
        """
        return tuple(LogPrior(None, np.log(self._p_cf(run))) for run in training)

    def _p_cf(self, run: Training) -> Floats:
        p_cf = mean_probability(run, self.rows_used)
        if p_cf is None:
            raise UsageError(
                f"{option('methods', self.name)}: {run.store} has no {self.rows_used} "
                f"prompts; extract it with {flag('calibration-prompts')}"
            )
        return p_cf


@dataclass(frozen=True)
class DomainContext(Contextual):
    """Domain-context calibration."""

    name: ClassVar[str] = "dc"
    about: ClassVar[str] = "domain-context calibration (--calibration-prompts)"
    rows_used: ClassVar[str] = DOMAIN


def mean_probability(run: Training, rows_used: str) -> Floats | None:
    """[K] mean label probability over calibration rows whose ids begin so; None without any."""
    chosen = [row.startswith(rows_used) for row in run.content_free_id]
    if run.content_free is None or not any(chosen):
        return None
    mean = softmax(run.content_free.full)[chosen].mean(axis=0)
    p_cf: Floats = mean / mean.sum()
    return p_cf

"""Cross-validation on train rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]


def folds(gold: npt.NDArray[np.int64], count: int) -> Iterator[Bool]:
    """[N] masks of the rows that are held out, each row once, classes spread over the folds.

    The rows of a class are dealt to the folds in their order, so a run's folds are always the same.
    None where no row could be spared: fewer than two rows.

    Args:
        gold: [N] column of the right label.
        count: folds at most; no more than there are rows.
    """
    count = min(count, len(gold))
    if count < 2:
        return
    dealt = np.empty(len(gold), dtype=np.int64)
    dealt[np.argsort(gold, kind="stable")] = np.arange(len(gold)) % count
    for fold in range(count):
        yield dealt == fold

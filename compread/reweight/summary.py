"""Accuracy by task and method, over templates and seeds, as in Table 4 of the paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from compread.reweight.fit import Fit


def summarize(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """One row for each task, method and number of train rows.

    ``accuracy`` is the mean over the runs and ``accuracy_sd`` their population standard deviation,
    which is what the paper prints.
    """
    cells: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for fit in fits:
        if fit.test is not None:
            cells[fit.run.task, fit.method, len(fit.train_ids)].append(fit.test.accuracy)
    return [
        {
            "task": task,
            "method": method,
            "n_train": n_train,
            "accuracy": float(np.mean(shares)),
            "accuracy_sd": float(np.std(shares)),
            "runs": len(shares),
        }
        for (task, method, n_train), shares in cells.items()
    ]

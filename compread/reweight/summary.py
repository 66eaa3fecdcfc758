"""Accuracy by task and method, over templates and seeds, as in Table 4 of the paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compread.reweight.fit import Fit
from compread.reweight.settings import settings


def summarize(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """One row for each task, method, number of train rows and setting (``settings``).

    ``accuracy`` is the mean over the runs and ``accuracy_sd`` their population standard deviation,
    which is what the paper prints.
    """
    setting_of = settings(fits)
    cells: dict[tuple[str, str, int, str | None], list[float]] = defaultdict(list)
    for fit in fits:
        if fit.test is not None:
            setting = setting_of[fit.store]
            key = fit.run.task, fit.title, len(fit.train_ids), setting
            cells[key].append(fit.test.accuracy)
    return [
        {
            "task": task,
            "method": method,
            "n_train": n_train,
            "setting": setting,
            "accuracy": float(np.mean(shares)),
            "accuracy_sd": float(np.std(shares)),
            "runs": len(shares),
        }
        for (task, method, n_train, setting), shares in cells.items()
    ]


def average(summary: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each method, number of train rows and setting: the tasks' means, averaged.

    ``accuracy_sd`` is the mean of the tasks' standard deviations. A task without a run of that
    number of rows is not among ``tasks``.
    """
    cells: dict[tuple[str, int, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    for row in summary:
        cells[row["method"], row["n_train"], row["setting"]].append(row)
    return [
        {
            "method": method,
            "n_train": n_train,
            "setting": setting,
            "accuracy": float(np.mean([row["accuracy"] for row in rows])),
            "accuracy_sd": float(np.mean([row["accuracy_sd"] for row in rows])),
            "tasks": len(rows),
            "runs": sum(row["runs"] for row in rows),
        }
        for (method, n_train, setting), rows in cells.items()
    ]

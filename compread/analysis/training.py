"""Accuracy over the training of a model (paper section 6, figures 3 and 6).

For each revision: the full model, the best and the worst component at that revision, and the
component that is best at the last revision, followed back. Mean and population standard deviation
are over prompts: the task's templates, seeds and shots. Best and worst are oracles, as in the
paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from compread.analysis.categories import counted
from compread.analysis.pairs import demonstrations_key
from compread.analysis.runs import RunStats, check_same_components
from compread.errors import UsageError
from compread.store.schema import RunInfo

CURVES = ("full", "best", "best_at_last", "worst")


def revision_name(info: RunInfo) -> str:
    """What a run's revision is called: as the user named it, else its hash, else the model."""
    return info.checkpoint or info.revision or info.model


def revision_order(names: Sequence[str]) -> list[str]:
    """Each name once: by its last number where all have one (``step1000``), else as they come."""
    once = list(dict.fromkeys(names))
    numbers = [re.findall(r"\d+", name) for name in once]
    if not all(numbers):
        return once
    return sorted(once, key=lambda name: int(re.findall(r"\d+", name)[-1]))


def training_rows(runs: Sequence[RunStats]) -> list[dict[str, Any]]:
    """A row for each task and revision: mean and sd over the prompts of each of ``CURVES``.

    Prompts that some revision lacks are left out, so that all revisions are of the same prompts.

    Raises:
        StoreError: two runs of a task differ in their components.
        UsageError: no prompt has all revisions of its task.
    """
    rows = []
    for task in dict.fromkeys(run.info.task for run in runs):
        rows += _of_task(task, [run for run in runs if run.info.task == task])
    return rows


def _of_task(task: str, runs: Sequence[RunStats]) -> list[dict[str, Any]]:
    names = revision_order([revision_name(run.info) for run in runs])
    prompts: dict[Any, dict[str, RunStats]] = {}
    for run in runs:
        check_same_components(runs[0], run)
        key = (run.info.template, demonstrations_key(run.info))
        prompts.setdefault(key, {})[revision_name(run.info)] = run
    whole = [of for of in prompts.values() if len(of) == len(names)]
    if not whole:
        raise UsageError(
            f"{task}: no prompt was run at all of {', '.join(names)}; give the same templates and "
            "seeds at each revision"
        )
    of = np.array(counted(runs[0].components))
    # (prompts, revisions, C)
    accuracy = np.array([[p[name].stats.parts.accuracy[of] for name in names] for p in whole])
    last = accuracy[:, -1].argmax(axis=1)  # (prompts)
    curves = {
        "full": np.array([[p[name].stats.full.accuracy[0] for name in names] for p in whole]),
        "best": accuracy.max(axis=2),
        "best_at_last": np.take_along_axis(accuracy, last[:, None, None], axis=2)[:, :, 0],
        "worst": accuracy.min(axis=2),
    }
    rows = []
    for i, name in enumerate(names):
        row: dict[str, Any] = {"task": task, "revision": name, "prompts": len(whole)}
        for curve in CURVES:
            row[curve] = float(curves[curve][:, i].mean())
            row[f"{curve}_sd"] = float(curves[curve][:, i].std())
        rows.append(row)
    return rows

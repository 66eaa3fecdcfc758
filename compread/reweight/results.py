"""What fits show together: accuracy by task and method, and which method is better than which.

A mean is over templates and seeds, as in Table 4 of the paper, never over settings.

Two methods are compared on the same runs, so each run gives one difference of accuracies. Runs of
one task share its test rows and more, so they are not independent; the paper's Table 5 takes all
120 as if they were. Here a task gives one difference, the mean over its runs, and the t test is
over tasks: does the gain hold for tasks like these? Of a single task, the test is over its runs:
does it hold for this task's templates and seeds?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from compread.errors import UsageError, option
from compread.reweight.ensemble import Ensemble
from compread.reweight.fit import Fit
from compread.reweight.registry import title_of
from compread.reweight.scoring import CALIBRATION_KEYS, HeldOutAccuracy
from compread.store.gather import setting_names


def document(
    fits: Sequence[Fit], against: str | None = None, together: Sequence[Ensemble] = ()
) -> dict[str, list[dict[str, Any]]]:
    """The lists of ``compread reweight``: runs, summary, average, and what was asked for beside.

    Those are ``versus`` one method, and of ensembles of the fits ``ensembles`` and what they gain,
    ``ensemble_average``.

    Raises:
        UsageError: as in ``versus``.
    """
    by_task = summarize(fits)
    found = {"runs": [fit.row() for fit in fits], "summary": by_task, "average": average(by_task)}
    if against is not None:
        found["versus"] = versus(fits, against)
    if together:
        found["ensembles"] = ensemble_rows(fits, together)
        found["ensemble_average"] = ensemble_average(found["ensembles"])
    return found


def ensemble_rows(fits: Sequence[Fit], some: Sequence[Ensemble]) -> list[dict[str, Any]]:
    """A row for each ensemble; ``store_accuracy`` is the mean of its stores, each alone.

    A store alone is the method fitted on that store's own train rows.
    """
    alone = {
        (fit.store, fit.title, len(fit.train_ids)): fit.test.accuracy for fit in fits if fit.test
    }
    setting_of = settings(fits)
    return [
        {
            **one.row(),
            "setting": setting_of[one.first.store],
            "store_accuracy": float(
                np.mean([alone[m.store, one.first.title, one.n_train] for m in one.members])
            ),
        }
        for one in some
    ]


def ensemble_average(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each method, number of a store's train rows and setting.

    ``store_accuracy`` and ``accuracy`` are means over tasks of means over their ensembles, and the
    rest is the comparison of the two as in ``versus``.
    """
    cells: dict[tuple[str, int, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[title_of(row["method"], row["recipe"]), row["n_train"], row["setting"]].append(row)
    found = []
    for (method, n_train, setting), of in cells.items():
        gains = {
            (row["task"], str(row["stores"])): row["accuracy"] - row["store_accuracy"] for row in of
        }
        found.append({
            "method": method,
            "n_train": n_train,
            "setting": setting,
            **{key: _over_tasks(of, key) for key in ("store_accuracy", "accuracy")},
            **compare(gains),
            **_means([{key: row[key] for key in CALIBRATION_KEYS} for row in of]),
        })  # fmt: skip
    return found


def _over_tasks(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    by_task: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row[key])
    return float(np.mean([np.mean(values) for values in by_task.values()]))


def summarize(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """One row for each task, method, number of train rows and setting (``settings``).

    ``accuracy`` is the mean over the runs and ``accuracy_sd`` their population standard deviation,
    which is what the paper prints. ``ece`` and the like are means over the runs too.
    """
    setting_of = settings(fits)
    cells: dict[tuple[str, str, int, str | None], list[HeldOutAccuracy]] = defaultdict(list)
    for fit in fits:
        if fit.test is not None:
            setting = setting_of[fit.store]
            key = fit.run.task, fit.title, len(fit.train_ids), setting
            cells[key].append(fit.test)
    return [
        {
            "task": task,
            "method": method,
            "n_train": n_train,
            "setting": setting,
            "accuracy": float(np.mean([one.accuracy for one in tests])),
            "accuracy_sd": float(np.std([one.accuracy for one in tests])),
            "runs": len(tests),
            **_means([one.keys() for one in tests]),
        }
        for (task, method, n_train, setting), tests in cells.items()
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
            **_means([{key: row[key] for key in CALIBRATION_KEYS} for row in rows]),
        }
        for (method, n_train, setting), rows in cells.items()
    ]


def _means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean of each number; None where a row has none."""
    found: dict[str, float | None] = {}
    for key in CALIBRATION_KEYS:
        values = [value for row in rows if (value := row[key]) is not None]
        found[key] = float(np.mean(values)) if len(values) == len(rows) else None
    return found


def settings(fits: Sequence[Fit]) -> dict[str, str | None]:
    """The setting of each store, such as ``24-shot`` (``compread.store.gather.setting_names``)."""
    names = setting_names([fit.run for fit in fits])
    return {fit.store: name for fit, name in zip(fits, names, strict=True)}


FEWEST = 3
"""Tasks, or runs, that an interval takes: two have a t of 12.7, and reach beyond what can be."""
SPREAD = 1e-12
"""Below it a standard error is rounding: all differences are the same."""


def versus(fits: Sequence[Fit], other: str) -> list[dict[str, Any]]:
    """One row for each method beside ``other``, number of train rows and setting.

    ``difference`` is the mean over tasks of the mean over runs of method less other; ``low`` and
    ``high`` are the ends of its 95 % interval, ``p`` is two-sided, both from Student's t over
    ``units`` (tasks, or the runs of a single task) and None where there are fewer than three units
    or no difference between any two; ``tasks_won`` counts the tasks with a difference above zero.

    Raises:
        UsageError: ``other`` is not among the methods.
    """
    accuracy: dict[tuple[str, int, str | None], dict[tuple[str, str], float]] = defaultdict(dict)
    setting_of = settings(fits)
    for fit in fits:
        if fit.test is not None:
            key = fit.title, len(fit.train_ids), setting_of[fit.store]
            accuracy[key][fit.run.task, fit.store] = fit.test.accuracy
    known = list(dict.fromkeys(method for method, *_ in accuracy))
    if other not in known:
        raise UsageError(
            f"{option('versus', repr(other))}: it is not among {option('methods', ','.join(known))}"
        )
    rows = []
    for (method, n_train, setting), ours in accuracy.items():
        if method != other:
            theirs = accuracy[other, n_train, setting]
            pairs = {run: share - theirs[run] for run, share in ours.items()}
            where = {"versus": other, "n_train": n_train, "setting": setting}
            rows.append({"method": method, **where, **compare(pairs)})
    return rows


def compare(differences: dict[tuple[str, str], float]) -> dict[str, Any]:
    """The paired comparison of differences by (task, run)."""
    by_task: dict[str, list[float]] = defaultdict(list)
    for (task, _), difference in differences.items():
        by_task[task].append(difference)
    means = np.array([np.mean(values) for values in by_task.values()])
    units = means if len(means) > 1 else np.array(list(differences.values()))
    difference, n = float(means.mean()), len(units)
    error = float(units.std(ddof=1) / np.sqrt(n)) if n >= FEWEST else 0.0
    low = high = p = None
    if error > SPREAD:
        reach = float(stdtrit(n - 1, 0.975)) * error
        low, high = max(-1.0, difference - reach), min(1.0, difference + reach)
        p = float(2 * stdtr(n - 1, -abs(difference) / error))
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "p": p,
        "unit": "task" if len(means) > 1 else "run",
        "units": n,
        "tasks_won": int((means > 0).sum()),
        "tasks": len(means),
        "runs": len(differences),
    }

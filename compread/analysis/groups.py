"""Runs by what they are of, so that a measure can stand for each beside the mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from compread.analysis.runs import RunStats
from compread.store.schema import RunInfo

PER: dict[str, Callable[[RunInfo], str]] = {
    "template": lambda run: run.template or "no template",
    "seed": lambda run: "no seed" if run.seed is None else f"s{run.seed}",
    "task": lambda run: run.task,
    "shots": lambda run: "no shots recorded" if run.shots is None else f"k{run.shots}",
    "model": lambda run: run.model + (f"@{run.checkpoint}" if run.checkpoint else ""),
}


def group_runs(runs: Sequence[RunStats], per: str) -> dict[str, list[RunStats]]:
    """The runs by name, in the order in which each name stands first.

    Args:
        runs: at least one.
        per: ``store``, or a key of ``PER``. Templates of several tasks are named with their tasks.
    """
    groups: dict[str, list[RunStats]] = {}
    if per == "store":
        stems = [Path(run.path).stem for run in runs]
        unique = len(set(stems)) == len(stems)
        return {stem if unique else run.path: [run] for stem, run in zip(stems, runs, strict=True)}
    several = per == "template" and len({run.run.task for run in runs}) > 1
    for run in runs:
        name = PER[per](run.run)
        groups.setdefault(f"{run.run.task} {name}" if several else name, []).append(run)
    return groups

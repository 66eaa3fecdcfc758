"""The settings that runs of one task differ in and that no mean over runs may hide.

The paper's means are over templates and seeds. Runs of other models, numbers of shots or choices of
demonstrations are another experiment, so each setting has means of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from compread.reweight.fit import Fit
from compread.store.schema import RunInfo


def _model(run: RunInfo) -> str:
    at = f"@{run.checkpoint}" if run.checkpoint else ""
    return run.model + at + (f" with {run.adapter}" if run.adapter else "")


def _shots(run: RunInfo) -> str:
    return "no shots recorded" if run.shots is None else f"{run.shots}-shot"


def _selection(run: RunInfo) -> str:
    return f"{run.protocol.get('prompt_selection', 'fixed')} demonstrations"


SETTINGS: tuple[Callable[[RunInfo], str], ...] = (_model, _shots, _selection)


def settings(fits: Sequence[Fit]) -> dict[str, str | None]:
    """The setting of each store, such as ``24-shot``, of what differs among runs of any one task.

    None for every store where no task's runs differ: tasks of different shots, each in one number
    of them, are one experiment, as the paper's MNLI with three beside others with four.
    """
    of_task: dict[str, list[RunInfo]] = defaultdict(list)
    for fit in fits:
        of_task[fit.run.task].append(fit.run)
    differ = [
        name for name in SETTINGS if any(len(set(map(name, runs))) > 1 for runs in of_task.values())
    ]
    return {fit.store: ", ".join(name(fit.run) for name in differ) or None for fit in fits}

"""The stores of a folder that belong together: what is left out of a mean, and why.

A folder has copies, unfinished runs and runs of several models in it. What may not be averaged is
refused, what would count twice is dropped, and every such thing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from compread.errors import StoreError, flag, option
from compread.store.paths import paths_on, store_paths
from compread.store.reader import peek_run
from compread.store.schema import RunInfo
from compread.store.states import unfinished
from compread.text import base_settings

Models = Literal["one", "revisions", "any"]
"""Which models may stand together: one, or several revisions of one, or any."""
NAMED = 5
"""How many stores a message names."""


@dataclass(frozen=True)
class Gathered:
    """The stores that STORE arguments mean, each run once."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    """What a reader must know of them, a sentence each."""
    settings: tuple[str, ...]
    """The settings that runs of one task differ in (``setting_names``); empty where in none."""
    infos: tuple[RunInfo, ...]
    """The run of each store."""


def gather(
    arguments: Sequence[str], stdin: TextIO | None = None, models: Models = "any"
) -> Gathered:
    """Find the stores of STORE arguments (``store_paths``), and what is odd about them.

    Dropped are stores with the prompts and the model of one before them: a copy, or a run made
    twice. Of each store only the attributes are read.

    Raises:
        StoreError: stores of other models than ``models`` allows, or ``store_paths``' reasons.
    """
    names: list[str] = []
    for argument in arguments:
        names += paths_on(stdin) if argument == "-" else [argument]
    runs = {path: peek_run(path) for path in store_paths(names)}
    notes = _unfinished(names)
    first: dict[tuple[str, str], Path] = {}
    dropped = []
    for path, run in runs.items():
        kept = first.setdefault((run.fingerprint, run.prompt_set), path)
        if kept != path:
            dropped.append(f"{path} (as {kept})")
    if dropped:
        notes.append(f"the same run again, so left out: {_some(dropped)}")
    paths = tuple(first.values())
    notes += _limits(runs[path] for path in paths)
    _check_models({path: runs[path] for path in paths}, models)
    infos = tuple(runs[path] for path in paths)
    settings = dict.fromkeys(name for name in setting_names(infos) if name)
    return Gathered(paths, tuple(notes), tuple(base_settings(settings).values()), infos)


def setting_names(runs: Sequence[RunInfo]) -> list[str | None]:
    """The setting of each run, such as ``24-shot``, of what differs among runs of any one task.

    A setting is what no mean over templates and seeds may hide: the model, the number of shots, the
    choice of demonstrations. None for every run where no task's runs differ: tasks of different
    shots, each in one number of them, are one experiment, as the paper's MNLI with three.
    """
    tasks: dict[str, list[RunInfo]] = {}
    for run in runs:
        tasks.setdefault(run.task, []).append(run)
    differ = [
        name for name in SETTINGS if any(len(set(map(name, of))) > 1 for of in tasks.values())
    ]
    return [", ".join(name(run) for name in differ) or None for run in runs]


def setting_of(run: RunInfo) -> tuple[str, str, str]:
    """What runs must share to be averaged: the model, the shots, the choice of demonstrations."""
    return run.fingerprint, _shots(run), _selection(run)


def _model(run: RunInfo) -> str:
    at = f"@{run.checkpoint}" if run.checkpoint else ""
    return run.model + at + (f" with {run.adapter}" if run.adapter else "")


def _shots(run: RunInfo) -> str:
    return "no shots recorded" if run.shots is None else f"{run.shots}-shot"


def _selection(run: RunInfo) -> str:
    return f"{run.protocol.get('prompt_selection', 'fixed')} demonstrations"


SETTINGS: tuple[Callable[[RunInfo], str], ...] = (_model, _shots, _selection)


def _limits(runs: Iterable[RunInfo]) -> list[str]:
    """One sentence for the tasks whose runs are cut to other numbers of rows."""
    tasks: dict[str, dict[str, None]] = {}
    for run in runs:
        limit = run.protocol.get("limit")
        tasks.setdefault(run.task, {})["all" if limit is None else str(limit)] = None
    found = [f"{task} ({', '.join(of)})" for task, of in tasks.items() if len(of) > 1]
    if not found:
        return []
    return [
        f"runs of one task with different {option('limit')} count alike in a mean: {_some(found)}"
    ]


def _unfinished(names: Iterable[str]) -> list[str]:
    """One sentence for all runs of the folders that have rows to come, one for damaged ones."""
    begun = unfinished(name for name in names if Path(name).is_dir())
    partial = [f"{one.path} ({one.done} of {one.total} rows)" for one in begun if not one.reason]
    # The reason begins with the path and ends with the next step.
    damaged = [one.reason for one in begun if one.reason]
    notes = []
    if partial:
        notes.append(
            f"unfinished, so not counted: {_some(partial)}; the extract that began it goes on"
        )
    if damaged:
        notes.append(f"damaged, so not counted: {_some(damaged)}")
    return notes


def _check_models(runs: dict[Path, RunInfo], models: Models) -> None:
    if models == "any":
        return
    (first, one), *others = runs.items()
    for path, run in others:
        revised = models == "revisions" and run.model == one.model and _revision(run) is not None
        if run.fingerprint != one.fingerprint and not revised:
            raise StoreError(
                f"{first} is of {_described(one)} and {path} of {_described(run)}: other weights, "
                f"so not averaged; give one model's stores, or {flag('across-models')}"
            )


def _revision(run: RunInfo) -> str | None:
    return run.checkpoint or run.revision


def _described(run: RunInfo) -> str:
    named = base_settings([_model(run)])[_model(run)]
    return f"{named} in {run.dtype} (fingerprint {run.fingerprint})"


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - NAMED
    return ", ".join(texts[:NAMED]) + (f", and {more} more" if more > 0 else "")

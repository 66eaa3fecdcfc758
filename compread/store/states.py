"""What is in a folder of stores: which runs are finished, which have rows to come, which wait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from compread.errors import StoreError, command
from compread.store.paths import files_below, journal_path, must_read, part_journals
from compread.store.progress import partial_status
from compread.store.reader import open_store, peek_store
from compread.store.run_list import Asked, lists_below, read_list

FINISHED, PARTIAL, DAMAGED, MISSING = "finished", "partial", "damaged", "missing"
WAITING = "waiting"
AT_WORK = 600.0
"""Seconds since a journal last grew for which its process is taken to be at work."""


@dataclass(frozen=True)
class StoreState:
    """One run's state."""

    path: Path
    """Where the finished store is, or will be."""
    state: str
    """``finished``, ``partial``, ``waiting``, ``damaged`` or ``missing``."""
    done: int
    """Rows kept."""
    total: int
    run: dict[str, Any]
    """``RunInfo.to_dict``; empty where it cannot be read."""
    reason: str = ""
    """What is wrong with a damaged one, or why one that waits could not be made."""
    asked: Asked | None = None
    """What the folder's list says of it."""
    touched: float = 0.0
    """When the journal of a partial one last grew, in seconds since 1970."""

    @property
    def work_left(self) -> float:
        """What it takes yet, in the list's unit; 0 where the list does not have it."""
        if self.asked is None or self.state not in (PARTIAL, WAITING):
            return 0.0
        return self.asked.work * (1 - self.done / self.total if self.total else 1.0)


def store_states(
    arguments: Iterable[str | Path],
    verify: bool = False,
    look_at: Callable[[Sequence[Path], bool], Sequence[StoreState]] | None = None,
) -> list[StoreState]:
    """The state of each run in folders and files, by name within a folder.

    A journal beside a finished store is a run that goes on to replace it: it counts as partial. A
    run waits that the folder's list has and that was never finished; one whose store was deleted
    does not.

    Args:
        arguments: the folders and files.
        verify: read all of each finished store against its checksums.
        look_at: ``store_state`` of many targets; one after the other by default.

    Raises:
        StoreError: a folder without a store or journal, or that cannot be read.
    """
    found: dict[Path, Path] = {}
    asked: dict[Path, Asked] = {}
    for argument in arguments:
        if not str(argument):
            raise StoreError("a path is empty: name a .h5 file or a folder; . is this folder")
        path = Path(argument)
        with must_read(path):
            listed = _listed(lists_below(path) if path.is_dir() else [path.parent])
            targets = _targets(path, listed) if path.is_dir() else [path]
            if path.suffix != ".h5" and not (path.exists() or path.is_symlink()):
                raise StoreError(f"there is no folder {path}; {command('extract')} makes it")
            places = [target.resolve() for target in targets]
            asked |= {target.resolve(): one for target, one in listed.items()}
        if not targets:
            raise StoreError(
                f"{path}: no stores (*.h5), finished or not, in this folder or below; "
                f"{command('extract')} writes them"
            )
        for place, target in zip(places, targets, strict=True):
            found.setdefault(place, target)
    states = (look_at or _look_at)(list(found.values()), verify)
    return [_with_list(one, asked.get(place)) for place, one in zip(found, states, strict=True)]


def _listed(folders: Iterable[Path]) -> dict[Path, Asked]:
    """What the lists of some folders have, by the stores' paths."""
    return {folder / name: one for folder in folders for name, one in read_list(folder).items()}


def _with_list(state: StoreState, asked: Asked | None) -> StoreState:
    """The state with what the list says of the run, which waits where nothing of it is there."""
    if asked is None:
        return state
    if state.state == MISSING and not asked.ended:
        return replace(
            state, state=WAITING, total=asked.rows, run={**asked.run}, reason=asked.reason,
            asked=asked,
        )  # fmt: skip
    return replace(state, asked=asked)


def unfinished(folders: Iterable[str | Path]) -> list[StoreState]:
    """The runs of some folders that have a journal, by name within a folder."""
    found: dict[Path, StoreState] = {}
    for folder in map(Path, folders):
        with must_read(folder):
            begun = [t for t in _targets(folder, {}) if journal_path(t).exists()]
            for target in begun:
                found.setdefault(target.resolve(), store_state(target))
    return list(found.values())


def store_state(target: Path, verify: bool = False) -> StoreState:
    """The state of the run that writes one target.

    Of a finished store the attributes are read and the rows counted; its numbers are checked by
    whoever reads them, or here with ``verify``.
    """
    try:
        status = partial_status(target)
        if status is not None:
            touched = _touched([status.journal, *part_journals(target)])
            return StoreState(
                target, PARTIAL, status.done, status.total, status.run, touched=touched
            )
        if not target.exists():
            return StoreState(target, MISSING, 0, 0, {})
        if verify:
            with open_store(target) as store:
                store.verify()
        run, n = peek_store(target)
        return StoreState(target, FINISHED, n, n, run.to_dict())
    except StoreError as error:
        return StoreState(target, DAMAGED, 0, 0, {}, str(error))


def _look_at(targets: Sequence[Path], verify: bool) -> list[StoreState]:
    return [store_state(target, verify) for target in targets]


def _touched(journals: Iterable[Path]) -> float:
    """When the last of some journals grew; one may be finished meanwhile, and gone."""
    times = []
    for journal in journals:
        with contextlib.suppress(FileNotFoundError):
            times.append(journal.stat().st_mtime)
    return max(times, default=0.0)


def _targets(folder: Path, listed: Mapping[Path, Asked]) -> list[Path]:
    """Every target that a finished store or a journal below belongs to, or that waits."""
    ending = journal_path(Path(".h5")).name
    targets = dict.fromkeys(target for target, one in listed.items() if not one.ended)
    for file in files_below(folder):
        if file.name.endswith(".h5"):
            targets[file] = None
        elif file.name.endswith(ending):
            targets[file.with_name(file.name[: -len(ending)] + ".h5")] = None
    return sorted(targets, key=lambda target: (target.parent != folder, target))


@dataclass(frozen=True)
class Outlook:
    """How much is left of what was asked for, by what it has taken so far."""

    seconds: float
    """Of one process for all that is left, loading apart."""
    processes: int
    """That are at work, one a run whose journal grows."""


def outlook(states: Sequence[StoreState], now: float) -> Outlook | None:
    """What is left of the runs that a list has; None where nothing is, or nothing is measured.

    A model's runs are measured by its own, or by all where it has none yet.

    Args:
        states: the runs.
        now: seconds since 1970.
    """
    spent: dict[Any, list[float]] = {}
    for one in states:
        if measured := _measured(one):
            model = one.run.get("model")
            for of in (model, None):
                total = spent.setdefault(of, [0.0, 0.0])
                total[0], total[1] = total[0] + measured[0], total[1] + measured[1]
    left = [one for one in states if one.work_left]
    if not left or None not in spent:
        return None

    def seconds(one: StoreState) -> float:
        work, took = spent.get(one.run.get("model"), spent[None])
        return one.work_left * took / work

    at_work = [one for one in left if one.state == PARTIAL and now - one.touched < AT_WORK]
    return Outlook(sum(map(seconds, left)), len(at_work))


def _measured(one: StoreState) -> tuple[float, float] | None:
    """The work that a run's last process did, and the seconds it took; None: not known."""
    asked = one.asked
    if asked is None or not asked.began or not one.total or not asked.work:
        return None
    work = asked.work * (one.done - asked.kept) / one.total
    seconds = asked.seconds if one.state == FINISHED else one.touched - _stamp(asked.began)
    return (work, seconds) if work > 0 and seconds > 0 else None


def _stamp(text: str) -> float:
    """Seconds since 1970 of a time that the list has; 0 where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0

"""What is in a folder of stores: which runs are finished, which have rows to come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import StoreError
from compread.store.paths import files_below, journal_path, must_read
from compread.store.progress import partial_status
from compread.store.reader import open_store, peek_store

FINISHED, PARTIAL, DAMAGED, MISSING = "finished", "partial", "damaged", "missing"


@dataclass(frozen=True)
class StoreState:
    """One run's state."""

    path: Path
    """Where the finished store is, or will be."""
    state: str
    """``finished``, ``partial``, ``damaged`` or ``missing``."""
    done: int
    """Rows kept."""
    total: int
    run: dict[str, Any]
    """``RunInfo.to_dict``; empty where it cannot be read."""
    reason: str = ""
    """What is wrong with a damaged one."""


def store_states(
    arguments: Iterable[str | Path],
    verify: bool = False,
    look_at: Callable[[Sequence[Path], bool], Sequence[StoreState]] | None = None,
) -> list[StoreState]:
    """The state of each run in folders and files, by name within a folder.

    A journal beside a finished store is a run that goes on to replace it: it counts as partial.

    Args:
        arguments: the folders and files.
        verify: read all of each finished store against its checksums.
        look_at: ``store_state`` of many targets; one after the other by default.

    Raises:
        StoreError: a folder without a store or journal, or that cannot be read.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        if not str(argument):
            raise StoreError("a path is empty: name a .h5 file or a folder; . is this folder")
        path = Path(argument)
        with must_read(path):
            targets = _targets(path) if path.is_dir() else [path]
            places = [target.resolve() for target in targets]
        if not targets:
            raise StoreError(
                f"{path}: neither stores (*.h5) nor unfinished ones in this folder or below"
            )
        for place, target in zip(places, targets, strict=True):
            found.setdefault(place, target)
    targets = list(found.values())
    return list((look_at or _look_at)(targets, verify))


def unfinished(folders: Iterable[str | Path]) -> list[StoreState]:
    """The runs of some folders that have a journal, by name within a folder."""
    found: dict[Path, StoreState] = {}
    for folder in map(Path, folders):
        with must_read(folder):
            begun = [t for t in _targets(folder) if journal_path(t).exists()]
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
            return StoreState(target, PARTIAL, status.done, status.total, status.run)
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


def _targets(folder: Path) -> list[Path]:
    """Every target that a finished store or a journal below the folder belongs to."""
    ending = journal_path(Path(".h5")).name
    targets: dict[Path, None] = {}
    for file in files_below(folder):
        if file.name.endswith(".h5"):
            targets[file] = None
        elif file.name.endswith(ending):
            targets[file.with_name(file.name[: -len(ending)] + ".h5")] = None
    return sorted(targets, key=lambda target: (target.parent != folder, target))

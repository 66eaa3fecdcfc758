"""What can be wrong with the place a store is written to, said in one line each."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from compread.errors import DiskError, TargetError, flag, option
from compread.locks import LockedError
from compread.store.journal import Journal, NotAJournalError
from compread.store.paths import journal_path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILS = (errno.EIO, errno.EROFS)


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn the system's errors into a ``TargetError`` that says what to do.

    Raises:
        DiskError: the disk is full or fails.
        TargetError: this target alone, as far as is known, cannot be written.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _FULL:
            raise DiskError(
                f"{target}: the disk is full ({reason}); the finished rows are kept in "
                f"{journal_path(target).name}: make room, then the same command "
                f"(without {flag('force')}) goes on"
            ) from error
        kind = DiskError if error.errno in _FAILS else TargetError
        raise kind(
            f"{target}: cannot be written ({reason}): choose another {option('o')}"
        ) from error


def check_store_target(target: Path) -> None:
    """Refuse a target that a store can never replace, or whose folder cannot hold one.

    Raises:
        TargetError: it is a folder, a device or the like, or below a file or a locked folder.
    """
    if target.is_dir():
        raise TargetError(f"{target}: is a folder: name a file in it, such as {target / 'run.h5'}")
    if target.exists() and not target.is_file():
        raise TargetError(f"{target}: is not a regular file: choose another {option('o')}")
    nearest = next(folder for folder in target.absolute().parents if folder.exists())
    if not nearest.is_dir():
        raise TargetError(
            f"{target}: cannot be written ({nearest} is a file): choose another {option('o')}"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise TargetError(
            f"{target}: cannot be written (no permission in {nearest}): choose "
            f"another {option('o')}"
        )


def check_free(target: Path) -> None:
    """Refuse a target that a finished store stands at, unless a stopped run goes on there.

    Raises:
        TargetError: it exists.
    """
    if target.exists() and not journal_path(target).exists():
        raise target_exists(target)


def target_exists(target: Path) -> TargetError:
    """The error for a target that is there already."""
    return TargetError(
        f"{target}: exists already: {flag('force')} replaces it when the new one is done"
    )


def journal_unusable(target: Path, reason: str) -> TargetError:
    """The error for a journal that this run cannot go on with."""
    name = journal_path(target)
    return TargetError(
        f"{name}: {reason}: finish it as it was begun, or {flag('force')} starts over"
    )


def lock(target: Path) -> Journal:
    """The target's journal, created if need be and locked against other writers.

    Raises:
        TargetError: another run is writing this target, or no journal can be where it has to be.
        OSError: the journal cannot be opened or locked.
    """
    try:
        return Journal(journal_path(target))
    except LockedError as error:
        busy = f"{target}: another run is writing it ({error})"
        raise TargetError(f"{busy}: wait for it, or choose another {option('o')}") from error
    except NotAJournalError as problem:
        raise in_the_way(journal_path(target), problem) from problem


def in_the_way(journal: Path, problem: NotAJournalError) -> TargetError:
    """The error for somebody else's file where the journal has to be."""
    return TargetError(f"{journal}: {problem}, but in the way: move it away")

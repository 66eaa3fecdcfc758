"""Whether what stands at a target is the finished store of the run that is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from compread.errors import BusyError, StoreError, TargetError
from compread.store.axes import Axes
from compread.store.differences import axes_differences, differences, run_differences
from compread.store.paths import journal_path
from compread.store.reader import Store, open_store
from compread.store.schema import RunInfo


def is_finished(target: Path, run: RunInfo, axes: Axes, loose: Collection[str] = ()) -> bool:
    """Whether the target is the store of this very run, whole to its last checksum.

    Args:
        target: where the store would be written.
        run: the run.
        axes: its components, labels and rows.
        loose: fields of the run that may differ.

    Raises:
        TargetError: it is the store of another run; the message says what differs.
        StoreError: it is no store, or a damaged one.
    """
    if not _stands(target):
        return False
    with _opened(target) as store:
        told = run_differences(store.run, run, loose) or axes_differences(store.axes, axes)
        if told:
            raise another_run(target, told)
        store.verify()
    return True


def check_same_run(target: Path, known: Mapping[str, Any]) -> None:
    """Refuse a target that the store of another run stands at, by what is known of this one.

    Args:
        target: where the store would be written.
        known: some of the fields of ``RunInfo.to_dict``.

    Raises:
        TargetError: it is the store of another run; the message says what differs.
        StoreError: it is no store, or its metadata is damaged.
    """
    if _stands(target):
        with _opened(target) as store:
            if told := differences(store.run.to_dict(), known):
                raise another_run(target, told)


def another_run(target: Path, told: str) -> TargetError:
    """The error for a target that another run's store stands at."""
    return TargetError(
        f"{target}: exists already, {told}: choose another -o, or --force replaces it when the new "
        "one is done"
    )


def _stands(target: Path) -> bool:
    """Whether something is there that no stopped run goes on to replace."""
    return target.exists() and not journal_path(target).exists()


@contextlib.contextmanager
def _opened(target: Path) -> Iterator[Store]:
    try:
        with open_store(target) as store:
            yield store
    except BusyError:
        raise
    except StoreError as error:
        raise StoreError(
            f"{error}; it is left as it is: move it away or give --force, and the same command "
            "makes it anew"
        ) from error

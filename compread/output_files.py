"""Every file that a command writes, stores apart: looked at first, then there whole or not at all.

A store has a journal of its own (``compread.store``).
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from compread.errors import TargetError, flag

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
STORE_ENDINGS = (".h5", ".partial")
MADE_FOLDER = "compread_weights.json"
"""A file that only folders made by compread have: what was multiplied into the model in it."""


def check_target(path: Path, force: bool) -> None:
    """Refuses a target before any work is done for it.

    Raises:
        TargetError: it exists and ``force`` is off, it is a folder or a device, it is named like a
            store, or its folder is missing or cannot be written.
    """
    if str(path) == "-":
        raise TargetError("- would be standard output; give the path of a file, such as ./result")
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        raise TargetError(f"{path} is a folder; give the path of a file, such as weights.json")
    if mode and not stat.S_ISREG(mode):
        raise TargetError(
            f"{path} is a device or a pipe; give the path of a file, such as result.json"
        )
    if mode and not force:
        raise TargetError(f"{path} exists; give another path, or {flag('force')} to replace it")
    if path.suffix in STORE_ENDINGS:
        raise TargetError(f"{path} would be taken for a store; give another name, such as w.json")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise TargetError(f"{path}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{path}: the folder {folder} cannot be written")


def check_made_folder(folder: Path, force: bool) -> None:
    """Refuse a folder to make before any work is done for it.

    Raises:
        TargetError: something is there; ``force`` lets a folder with ``MADE_FOLDER`` be replaced,
            and no other.
    """
    parent = Path(os.path.realpath(folder)).parent
    if not parent.is_dir():
        raise TargetError(f"{folder}: there is no folder {parent}; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise TargetError(f"{folder}: the folder {parent} cannot be written")
    mode = _mode(folder)
    if not mode or (stat.S_ISDIR(mode) and not any(folder.iterdir())):
        return
    ours = stat.S_ISDIR(mode) and (folder / MADE_FOLDER).is_file()
    if not (force and ours):
        hint = f", or {flag('force')} to replace it" if ours else ""
        raise TargetError(f"{folder} exists; give a folder that is not there{hint}")


def write_file(path: Path, content: str | bytes, force: bool = False) -> None:
    """Writes a file whole; where that fails, what was there before is as it was.

    Raises:
        TargetError: as ``check_target``, or the disk is full or fails.
    """
    check_target(path, force)
    try:
        with replacing(path) as out:
            out.write(content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        before = f"; {path.name} is as it was before" if path.exists() else ""
        if error.errno in DISK_FULL:
            raise TargetError(
                f"{path}: the disk is full ({error.strerror}); make room and try again{before}"
            ) from error
        raise TargetError(f"{path} cannot be written: {_reason(error)}{before}") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` in one rename when the block ends well.

    A link stays a link, and its target is replaced. The file has the permissions of any new file.

    Raises:
        OSError: it cannot be written; ``path`` is as it was.
    """
    target = Path(os.path.realpath(path))
    # Not the target's own name: that may be as long as names can be.
    handle, name = tempfile.mkstemp(prefix=".compread-", dir=target.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        permit(partial)
        partial.replace(target)
        sync_folder(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def permit(path: Path) -> None:
    """Give a file or folder the permissions of any new one: ``tempfile`` keeps others out of its.

    Raises:
        OSError: they cannot be set.
    """
    umask = os.umask(0)
    os.umask(umask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def sync_folder(folder: Path) -> None:
    """Make a rename outlast a crash of the machine, where the file system can."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _mode(path: Path) -> int:
    """The type and permissions of what stands at a path; 0 where nothing does."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:  # a ValueError for a NUL in the path
        reason = f"{path} cannot be written: {_reason(error)}"
        raise TargetError(f"{reason}; give another path") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

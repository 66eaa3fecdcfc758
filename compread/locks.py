"""One process at a time on a file, also where the file system knows no locks.

``flock`` is the lock: it ends with its process, however that ends. Some network disks (Lustre
without its option, some NFS) refuse it; there a file ``NAME.owner`` stands beside the locked one,
made by whoever comes first, with its host and process in it. A process of this host that is gone
loses it to the next one; whether one of another host is gone, only a person can tell.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
_PAUSE = 0.2
"""Seconds between two looks at an owner's file."""


class LockedError(BlockingIOError):
    """Another process has the file; the text says which, and what to do if it is gone."""

    def __str__(self) -> str:
        """The text alone, without the error number."""
        return str(self.strerror)


class Lock:
    """The lock of this process on an open file."""

    note: str
    """What a user should know of it: empty, unless an owner's file stands for a lock."""

    def __init__(self, fd: int, path: Path, patience: float = 0.0) -> None:
        """Lock the file open as ``fd``, which is ``path``.

        Args:
            fd: open for writing; closing it is up to the caller.
            path: its path.
            patience: seconds to wait for another process; any number waits for a ``flock`` to its
                end, as that ends with its process.

        Raises:
            LockedError: another process has it.
            OSError: it cannot be locked.
        """
        self._owner = path.with_name(path.name + ".owner")
        self._process: int | None = None
        self.note = ""
        until = time.monotonic() + patience
        if not _flock(fd, path, wait=patience > 0):
            self._take(until)
            self.note = (
                f"the file system of {path.parent} has no locks: meanwhile a file such as "
                f"{self._owner.name} keeps others away"
            )
        elif self._owner.exists():  # of a host on which the same disk knows no locks
            self._take(until)

    def release(self) -> None:
        """Take the owner's file away, where this process made one; the caller closes its file."""
        # A forked child has its parent's lock, not one of its own.
        if self._process == os.getpid():
            self._process = None
            self._owner.unlink(missing_ok=True)

    def _take(self, until: float) -> None:
        """Make the owner's file, waiting for the one that is there.

        Raises:
            LockedError: its process lives, or is one of another host.
        """
        while not self._made():
            text = self._read()
            if text is not None and _is_gone(text):
                self._clear(text)
            elif text is not None and time.monotonic() >= until:
                raise LockedError(errno.EWOULDBLOCK, self._held_by(text))
            else:
                time.sleep(_PAUSE if text is not None else 0.0)
        self._process = os.getpid()

    def _made(self) -> bool:
        try:
            fd = os.open(self._owner, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return False
        try:
            os.write(fd, json.dumps(_this_process()).encode())
        except BaseException:
            self._owner.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return True

    def _read(self) -> str | None:
        try:
            return self._owner.read_text(errors="replace")
        except FileNotFoundError:
            return None

    def _clear(self, text: str) -> None:
        """Take a dead process' file away; one that another process has put there meanwhile stays.

        A rename tells the two apart: of all who try, one gets the file, and looks which it was.
        """
        mine = self._owner.with_name(f"{self._owner.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            self._owner.rename(mine)
            if mine.read_text(errors="replace") != text:
                with contextlib.suppress(FileExistsError):
                    os.link(mine, self._owner)
            mine.unlink()

    def _held_by(self, text: str) -> str:
        try:
            who = json.loads(text)
            named = f"names process {who['pid']} of host {who['host']}"
        except (ValueError, TypeError, LookupError, RecursionError):
            named = "names no process"
        return f"{self._owner.name} {named}; if that one is gone, delete this file"


def _flock(fd: int, path: Path, *, wait: bool) -> bool:
    """Whether the file is locked; False where the file system knows no locks.

    Raises:
        LockedError: another process has it, and ``wait`` is off.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise LockedError(errno.EWOULDBLOCK, f"{path.name} is locked") from error
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _this_process() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def _host() -> str:
    """This host, and where processes are numbered apart, as in a container, the part of it."""
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def _started(pid: int) -> str | None:
    """When a process began, in ticks of the system, for numbers are given again; None: unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _is_gone(text: str) -> bool:
    """Whether an owner's file names a process of this host that is no more."""
    try:
        who = json.loads(text)
        host, pid, started = who["host"], who["pid"], who["started"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
    if host != _host() or type(pid) is not int or not 0 < pid < 1 << 31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return started is not None and _started(pid) not in (None, started)

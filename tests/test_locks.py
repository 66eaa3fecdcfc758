"""Locks on files: one process at a time, with ``flock`` and without."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compread import locks
from compread.locks import Lock, LockedError


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """An open file and its path."""
    path = tmp_path / "x"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    yield fd, path
    os.close(fd)


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def no_locks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses ``flock`` in one of the ways there are."""

    def refuse(*_: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def owner(path: Path) -> Path:
    """The file that says who has another."""
    return path.with_name(path.name + ".owner")


def write_owner(path: Path, **changes: Any) -> None:
    """The owner's file of another process."""
    owner(path).write_text(json.dumps({**locks._this_process(), **changes}))


def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_flock_keeps_others_away(file: tuple[int, Path]) -> None:
    """A second descriptor is refused until the first is closed; nothing else is left or said."""
    fd, path = file
    first = os.open(path, os.O_RDWR)
    assert Lock(first, path).note == ""
    with pytest.raises(LockedError, match=r"^x is locked$"):
        Lock(fd, path)
    os.close(first)
    Lock(fd, path).release()
    assert [p.name for p in path.parent.iterdir()] == ["x"]


def test_without_flock_a_file_stands_for_it(no_locks: None, file: tuple[int, Path]) -> None:
    """It names this process, keeps a second one away, says so once and goes with the lock."""
    lock = Lock(*file)
    assert "has no locks" in lock.note and "x.owner" in lock.note
    assert json.loads(owner(file[1]).read_text())["pid"] == os.getpid()
    with pytest.raises(LockedError, match=f"x.owner names process {os.getpid()} of host"):
        Lock(*file)
    lock.release()
    assert not owner(file[1]).exists()
    Lock(*file).release()


TAKEN_OVER: dict[str, Callable[[], dict[str, Any]]] = {
    "gone": lambda: {"pid": gone()},
    "its number given again": lambda: {"pid": os.getpid(), "started": "1"},
}
KEPT: dict[str, Callable[[], dict[str, Any]]] = {
    "alive": dict,
    "of another host": lambda: {"host": "node7", "pid": gone()},
    "of nobody": lambda: {"pid": "x"},
    "of all": lambda: {"pid": -1},
    "too large": lambda: {"pid": 1 << 40},
}


@pytest.mark.parametrize("who", TAKEN_OVER.values(), ids=TAKEN_OVER)
def test_a_dead_process_loses_it(no_locks: None, file: tuple[int, Path], who: Any) -> None:
    """The file of a process of this host that is no more is taken over."""
    write_owner(file[1], **who())
    Lock(*file)
    assert json.loads(owner(file[1]).read_text()) == locks._this_process()
    assert {p.name for p in file[1].parent.iterdir()} == {"x", "x.owner"}


@pytest.mark.parametrize("who", KEPT.values(), ids=KEPT)
def test_others_keep_it(no_locks: None, file: tuple[int, Path], who: Any) -> None:
    """A process that lives, or of which that cannot be told, keeps it; what to do is said."""
    write_owner(file[1], **who())
    before = owner(file[1]).read_text()
    with pytest.raises(LockedError, match="if that one is gone, delete this file"):
        Lock(*file)
    assert owner(file[1]).read_text() == before


@pytest.mark.parametrize("text", ["", "x", "[]", "7", "[" * 100_000])
def test_an_owner_s_file_of_another_kind(no_locks: None, file: tuple[int, Path], text: str) -> None:
    """A file that names nobody, as while it is being written, keeps others away all the same."""
    owner(file[1]).write_text(text)
    with pytest.raises(LockedError, match="names no process; if that one is gone, delete"):
        Lock(*file)


def test_a_host_without_locks_counts_where_there_are_some(file: tuple[int, Path]) -> None:
    """Where this host can lock, one of the same disk that cannot is heeded as well."""
    write_owner(file[1], host="node7")
    with pytest.raises(LockedError, match="of host node7"):
        Lock(*file)


def test_a_live_file_is_not_taken_for_the_dead_one(no_locks: None, file: tuple[int, Path]) -> None:
    """Who has read a dead process' file, and comes after another one has, puts that one's back."""
    lock = Lock(*file)
    lock._clear("what a dead process had written")
    assert json.loads(owner(file[1]).read_text()) == locks._this_process()
    lock.release()


def test_a_forked_child_leaves_it(no_locks: None, file: tuple[int, Path]) -> None:
    """A child that ends, or closes what it has, does not take its parent's lock away."""
    lock = Lock(*file)
    if (pid := os.fork()) == 0:
        lock.release()
        os._exit(0)
    os.waitpid(pid, 0)
    assert owner(file[1]).exists()
    lock.release()


def test_waiting(no_locks: None, file: tuple[int, Path], monkeypatch: Any) -> None:
    """With patience, a lock comes as soon as the other lets go."""
    first = Lock(*file)
    monkeypatch.setattr(locks.time, "sleep", lambda _: first.release())
    Lock(*file, patience=60.0).release()


def test_other_errors_are_not_hidden(file: tuple[int, Path], monkeypatch: Any) -> None:
    """What is no lack of locks is raised."""

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"):
        Lock(*file)

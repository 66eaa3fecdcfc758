"""Extracts in a forked process that stop at a chosen system call: killed there, or refused by it.

The calls counted are those that compread makes itself, from ``compread.store`` or ``compread.cli``,
not those of the libraries that load a model.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .case import Outcome

CALLS = {
    "pwrite": os, "fsync": os, "ftruncate": os, "open": os, "unlink": os, "replace": os,
    "rename": os, "close": os, "write": os, "fstat": os, "mkdir": os, "link": os, "flock": fcntl,
}  # fmt: skip
ROOMS = ("compread.store", "compread.cli", "compread.output_files", "compread.extract.runner")
SECONDS = 60.0


@dataclass(frozen=True)
class Stop:
    """What happens at the n-th call of a function."""

    call: str
    n: int
    """Counted from 1; 0 is every call."""
    act: str
    """``before``, ``after`` or ``half`` (SIGKILL there), a signal's or an error's name."""

    def __str__(self) -> str:
        which = f"call {self.n}" if self.n else "each call"
        return f"{self.act} at {which} of {self.call}"

    def install(self) -> None:
        """Put it in the way of this process."""
        owner = CALLS[self.call]
        real = getattr(owner, self.call)
        seen = 0

        def stopping(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            if not _is_ours():
                return real(*args, **kwargs)
            seen += 1
            if self.n and seen != self.n:
                return real(*args, **kwargs)
            return self._strike(real, args, kwargs)

        setattr(owner, self.call, stopping)

    def _strike(self, real: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self.act.startswith("E"):
            number = getattr(errno, self.act)
            raise OSError(number, os.strerror(number))
        if self.act.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.act))
            return real(*args, **kwargs)
        try:
            if self.act == "after":
                real(*args, **kwargs)
            elif self.act == "half":
                real(args[0], bytes(args[1])[: len(args[1]) // 2], *args[2:])
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
        return None


def _is_ours() -> bool:
    """Whether the call comes from compread, through pathlib or not."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("pathlib"):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").startswith(ROOMS)


def count_calls(work: Callable[[], object]) -> Counter[str]:
    """How often ``work`` makes each call."""
    counts: Counter[str] = Counter()
    real = {name: getattr(owner, name) for name, owner in CALLS.items()}

    def counting(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += _is_ours()
            return real[name](*args, **kwargs)

        return call

    for name, owner in CALLS.items():
        setattr(owner, name, counting(name))
    try:
        work()
    finally:
        for name, owner in CALLS.items():
            setattr(owner, name, real[name])
    return counts


class Child:
    """A forked process that runs one command line."""

    def __init__(
        self,
        argv: Sequence[str],
        stops: Sequence[Stop] = (),
        environment: dict[str, str] | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.argv = argv
        # Pipes and no files, which the limits of a case would reach.
        self._pipes = [_pipe() for _ in range(2)]
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                for (_, end), number in zip(self._pipes, (1, 2), strict=True):
                    os.dup2(end, number)
                os.environ.update(environment or {})
                status = _run(argv, stops, prepare)
            finally:
                os._exit(status)
        for _, end in self._pipes:
            os.close(end)

    def wait(self, seconds: float = SECONDS) -> Outcome:
        """Its end; ``status`` is minus the signal that killed it, or -99 where it had no end."""
        deadline = time.monotonic() + seconds
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return Outcome(self.argv, -99, *self._said(), seconds)
            time.sleep(0.002)
        _, status = os.waitpid(self.pid, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return Outcome(self.argv, code, *self._said(), 0.0)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def _said(self) -> tuple[str, str]:
        texts = []
        for end, _ in self._pipes:
            with open(end, "rb") as file:  # noqa: PTH123
                texts.append(file.read().decode(errors="surrogateescape"))
        return texts[0], texts[1]


def _pipe() -> tuple[int, int]:
    """A pipe that takes what a command says before anybody reads it."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 1 << 20)
    return ends


def _run(argv: Sequence[str], stops: Sequence[Stop], prepare: Callable[[], None]) -> int:
    import traceback

    from compread.cli import main

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # What a fork took along of the parent's buffers is not this process's to print.
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        prepare()
        for stop in stops:
            stop.install()
        status = main(list(argv))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 70
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            return 120  # as Python itself ends then
    return status


def left_over(folder: Path, *expected: str) -> set[str]:
    """The names in a folder that should not be there."""
    return {path.name for path in folder.iterdir()} - set(expected)

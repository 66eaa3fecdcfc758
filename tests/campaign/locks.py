"""File systems without locks, and several writers at once."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from compread.store import partial_status

from . import tiny
from .case import Attack, Case, Fault, call, judge
from .kills import ended_well
from .stops import Child, Stop

NO_LOCKS = ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL")


KINDS = ("alone", "killed", "two", "two with locks", "reader")


def draw(rng: random.Random, stage: Path) -> Case:
    """No locks at all, no locks and a kill, or two writers with and without."""
    return lock_case(rng.choice(KINDS), rng.choice(NO_LOCKS), rng.randint(1, 20))(stage)


def lock_case(kind: str, error: str, n: int = 9) -> Callable[[Path], Case]:
    """Writers where ``flock`` gives an error; a kill comes at the n-th write."""

    def make(stage: Path) -> Case:
        return Case(f"{kind}, flock gives {error}", lambda work: _run(kind, error, n, stage, work))

    return make


def _run(kind: str, error: str, n: int, stage: Path, work: Path) -> Iterator[Fault]:
    target, no_locks = work / tiny.OUTPUT, [Stop("flock", 0, error)]
    command = tiny.command(stage, target)
    if kind == "reader":
        yield from _reader(stage, target)
    elif kind in ("two", "two with locks"):
        yield from _two(stage, target, no_locks if kind == "two" else [])
    else:
        if kind == "killed":
            Child(command, [*no_locks, Stop("pwrite", n, "before")]).wait()
        outcome = Child(command, no_locks).wait()
        yield from judge(outcome, (0,))
        yield from ended_well(outcome, stage, target)


def _two(stage: Path, target: Path, stops: list[Stop]) -> Iterator[Fault]:
    """Two writers of one target: one makes the store, the other is refused or finds it made."""
    command = tiny.command(stage, target)
    first = Child(command, stops)
    while partial_status(target) is None and not target.exists():
        if os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            break
    first.kill(signal.SIGSTOP)
    second = Child(command, stops).wait()
    first.kill(signal.SIGCONT)
    ended = first.wait()
    yield from judge(second, (0, 1))
    yield from ended_well(ended, stage, target)


def _reader(stage: Path, target: Path) -> Iterator[Fault]:
    """A store that another program holds open for writing is busy, not damaged."""
    import h5py

    target.write_bytes((stage / "whole.h5").read_bytes())
    with h5py.File(target, "r+"):
        outcome = Child(["rank", str(target)]).wait()
    yield from judge(outcome, (0, 4))
    if "damaged" in outcome.err or "--force" in outcome.err:
        yield Fault("wrong", f"an open store is called damaged: {outcome.err}")
    yield from judge(call("rank", target), (0,))


FIXED = tuple(lock_case(kind, error) for kind in KINDS for error in ("ENOSYS", "ENOLCK"))

ATTACK = Attack(
    "locks", "writers without locks", draw, tiny.prepare, FIXED, share=0.5, seconds=200, torch=True
)

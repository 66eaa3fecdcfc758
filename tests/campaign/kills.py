"""Kills: wherever an extract dies, the same command goes on and makes the same store."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from compread.store import journal_path, part_journals, partial_status

from . import tiny
from .case import Attack, Case, Fault, Outcome, call, judge
from .stops import Child, Stop, count_calls, left_over

RANKS_SHARE = 0.06
"""Of the cases: two processes that have to find each other take seconds."""


def prepare(stage: Path) -> None:
    """A model, its rows, the store of an unstopped run, and how often that makes each call."""
    tiny.prepare(stage)
    counts = count_calls(lambda: tiny.extract(stage, stage / "counted.h5"))
    (stage / "calls.json").write_text(json.dumps(counts))


def draw(rng: random.Random, stage: Path) -> Case:
    """Kills at chosen calls, at random moments, of a rank; once or again and again."""
    if rng.random() < RANKS_SHARE:
        return _rank(rng, stage)
    counts: dict[str, int] = json.loads((stage / "calls.json").read_text())
    if rng.random() < 0.25:
        return _moment(rng, stage)
    calls = sorted(name for name, n in counts.items() if n)
    stops = []
    for _ in range(rng.choice([1, 1, 1, 2])):
        name = rng.choice(calls)
        acts = ["before", "after", "SIGTERM", "SIGINT", *(["half"] * 2 if name == "pwrite" else [])]
        stops.append(Stop(name, rng.randint(1, counts[name]), rng.choice(acts)))
    return stopped_case(*stops)(stage)


def stopped_case(*stops: Stop) -> Callable[[Path], Case]:
    """An extract is stopped, as often as there are stops, and then goes on."""

    def make(stage: Path) -> Case:
        def run(work: Path) -> Iterator[Fault]:
            for stop in stops:
                outcome = Child(tiny.command(stage, work / tiny.OUTPUT), [stop]).wait()
                yield from judge_stopped(outcome, stop)
            yield from goes_on(stage, work)

        return Case("; then ".join(map(str, stops)), run)

    return make


def judge_stopped(outcome: Outcome, stop: Stop) -> Iterator[Fault]:
    """How a stopped run may end: by the signal, with its status, or finished before it."""
    if outcome.status == -99:
        yield Fault("hang", "a stopped run has no end")
        return
    wanted = {"SIGTERM": (143, 0), "SIGINT": (130, 0)}.get(stop.act, (-signal.SIGKILL, 0))
    yield from judge(outcome, wanted, result=True)


def goes_on(stage: Path, work: Path) -> Iterator[Fault]:
    """The folder can be looked at, and the same command ends with the same store."""
    target = work / tiny.OUTPUT
    if any(work.iterdir()):
        yield from judge(call("status", work), (0, 4))
    outcome = tiny.extract(stage, target)
    yield from ended_well(outcome, stage, target)
    if outcome.status == 0:
        # And once more: a job that is started again after its end has nothing to do.
        again = tiny.extract(stage, target)
        if again.status != 0:
            yield Fault("status", f"a finished run again: {again.status} {again.err}")


def ended_well(outcome: Outcome, stage: Path, target: Path) -> Iterator[Fault]:
    """A run has made the store of an unstopped one, and nothing else lies there."""
    if outcome.status != 0:
        yield Fault("resume", f"the same command: {outcome.status} {outcome.err[-600:]}")
    elif not tiny.equals_whole(target, stage):
        yield Fault("wrong", "another store than that of an unstopped run")
    elif rest := left_over(target.parent, target.name):
        yield Fault("outside", f"left behind: {sorted(rest)}")


def _moment(rng: random.Random, stage: Path) -> Case:
    """SIGKILL after some rows were kept and some milliseconds."""
    rows, wait = rng.randint(0, tiny.ROWS), rng.uniform(0, 0.02)

    def run(work: Path) -> Iterator[Fault]:
        target = work / tiny.OUTPUT
        child = Child(tiny.command(stage, target))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _ended(child):
            if rows == 0 or rows_kept(target) >= rows:
                break
            time.sleep(0.001)
        time.sleep(wait)
        child.kill()
        yield from judge_stopped(child.wait(), Stop("", 0, "before"))
        yield from goes_on(stage, work)

    return Case(f"SIGKILL once {rows} rows are kept, {wait * 1000:.0f} ms later", run)


def rows_kept(target: Path) -> int:
    """How many rows a run has kept so far."""
    kept = partial_status(target)
    return kept.done if kept else 0


def _ended(child: Child) -> bool:
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _rank(rng: random.Random, stage: Path) -> Case:
    """One of two ranks is killed: the other ends by itself, and the rest goes on."""
    victim, rows = rng.randrange(2), rng.randint(0, tiny.ROWS - 4)
    with_ranks = rng.random() < 0.5

    def run(work: Path) -> Iterator[Fault]:
        target = work / tiny.OUTPUT
        jobs = ranks(stage, target)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not any(map(_ended, jobs)):
            if rows == 0 or rows_kept(target) >= rows:
                break
            time.sleep(0.001)
        jobs[victim].kill()
        ends = [job.wait() for job in jobs]
        survivor = ends[1 - victim]
        yield from judge(survivor, (0, 5), result=True)
        if with_ranks:
            first, second = (job.wait() for job in ranks(stage, target))
            yield from judge(second, (0,), result=True)
        else:
            first = tiny.extract(stage, target)
        yield from ended_well(first, stage, target)
        if part_journals(target) or journal_path(target).exists():
            yield Fault("resume", "journals stay beside the finished store")

    way = "with ranks" if with_ranks else "alone"
    return Case(f"rank {victim} killed once {rows} rows are kept; goes on {way}", run)


def ranks(stage: Path, target: Path) -> list[Child]:
    """Two processes of one job, as ``torchrun`` would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = tiny.command(stage, target)
    return [
        Child(command, environment={**shared, "RANK": str(n), "LOCAL_RANK": str(n)})
        for n in range(2)
    ]


FIXED = (
    stopped_case(Stop("replace", 1, "after")),
    stopped_case(Stop("unlink", 2, "before")),
    stopped_case(Stop("close", 1, "SIGTERM")),
    stopped_case(Stop("pwrite", 1, "half"), Stop("pwrite", 5, "half")),
)

ATTACK = Attack("kills", "kills", draw, prepare, FIXED, share=4, seconds=200, torch=True, batch=100)

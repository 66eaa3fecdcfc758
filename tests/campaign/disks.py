"""Disks that are full, failing or read-only: one line, nothing kept is lost, old files stay."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from . import tiny
from .case import Attack, Case, Fault, call, judge
from .kills import ended_well
from .made import planted
from .stops import Child, Stop, count_calls, left_over

ERRORS = ("ENOSPC", "EIO", "EROFS", "EDQUOT", "EFBIG", "EACCES", "ESTALE")
NOBODY = 65534
WRITES = {
    "report": ("report", "STORE", "-o", "OUT.html"),
    "svg": ("plot", "scatter", "STORE", "-o", "OUT.svg"),
    "png": ("plot", "heatmap", "STORE", "-o", "OUT.png"),
    "csv": ("plot", "scatter", "STORE", "-o", "OUT.csv"),
    "weights": ("reweight", "STORE", "--methods", "comprw:convex", "--save", "OUT.json", "--force"),
}
"""Commands that write a file, but for extract."""
PRINTS = (("rank", "STORE"), ("analyze", "STORE"), ("status", "STORE"), ("show", "STORE"),
          ("rank", "STORE", "--format", "parquet"), ("tasks",), ("--help",))  # fmt: skip


def prepare(stage: Path) -> None:
    """A model and its rows, a store to read, and how often an extract makes each call."""
    tiny.prepare(stage)
    planted(stage / "planted.h5", n_train=8, n_test=20)
    counts = count_calls(lambda: tiny.extract(stage, stage / "counted.h5"))
    (stage / "calls.json").write_text(json.dumps(counts))


def draw(rng: random.Random, stage: Path) -> Case:
    """An error at a call, a file size limit, a read-only folder, a full stdout."""
    return rng.choice([_error, _error, _limit, _read_only, _old_file, _old_file, _full_stdout])(
        rng, stage
    )


def _error(rng: random.Random, stage: Path) -> Case:
    """One call of an extract fails; then the disk is well again."""
    counts: dict[str, int] = json.loads((stage / "calls.json").read_text())
    calls = [
        c for c in ("pwrite", "fsync", "ftruncate", "open", "replace", "unlink") if counts.get(c)
    ]
    name = rng.choice(calls)
    stop = Stop(name, rng.randint(0, counts[name]), rng.choice(ERRORS))

    def run(work: Path) -> Iterator[Fault]:
        target = work / tiny.OUTPUT
        yield from judge(Child(tiny.command(stage, target), [stop]).wait(), (0, 1, 4))
        yield from ended_well(tiny.extract(stage, target), stage, target)

    return Case(f"extract, {stop}", run)


def _limit(rng: random.Random, stage: Path) -> Case:
    """A file size limit, as a quota is; then none."""
    size = rng.randrange(40_000)

    def run(work: Path) -> Iterator[Fault]:
        target = work / tiny.OUTPUT
        child = Child(tiny.command(stage, target), prepare=lambda: limit_files(size))
        yield from judge(child.wait(), (0, 1))
        yield from ended_well(tiny.extract(stage, target), stage, target)

    return Case(f"extract with files of at most {size} bytes", run)


def limit_files(size: int) -> None:
    """No file of this process may grow beyond ``size``."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _read_only(rng: random.Random, stage: Path) -> Case:
    """A folder that nobody may write in, as another user where this one is root."""
    words = rng.choice([("extract",), *WRITES.values()])

    def run(work: Path) -> Iterator[Fault]:
        work.chmod(0o555)
        for folder in (*work.parents[:4], *stage.rglob("*"), stage):
            if folder.is_dir() and folder.stat().st_uid == os.getuid():
                folder.chmod(folder.stat().st_mode | 0o055)
        argv = (
            tiny.command(stage, work / tiny.OUTPUT) if words[0] == "extract" else
            filled(words, stage, work)
        )  # fmt: skip
        yield from judge(Child(argv, prepare=become_nobody).wait(), (1,))
        work.chmod(0o755)
        if rest := left_over(work):
            yield Fault("outside", f"left in a read-only folder: {sorted(rest)}")

    return Case(f"{words[0]} into a read-only folder", run)


def become_nobody() -> None:
    """Give up root's right to write everywhere."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _old_file(rng: random.Random, stage: Path) -> Case:
    """The disk is full while a file is replaced: the old one stays, and nothing else."""
    name = rng.choice(sorted(WRITES))
    size = rng.choice([0, 1, 100, 1000, 4096, rng.randrange(60_000)])
    there = rng.random() < 0.7

    def run(work: Path) -> Iterator[Fault]:
        argv = filled(WRITES[name], stage, work)
        out = Path(next(word for word in argv if word.startswith(str(work / "out"))))
        if there:
            out.write_text("an older result")
        outcome = Child(argv, prepare=lambda: limit_files(size)).wait()
        yield from judge(outcome, (0, 1))
        if outcome.status == 0:
            if not out.exists() or out.read_bytes() == b"an older result":
                yield Fault("status", "status 0, and nothing was written")
        elif there and (not out.exists() or out.read_bytes() != b"an older result"):
            yield Fault("wrong", "the older file is gone or cut")
        elif not there and out.exists():
            yield Fault("wrong", f"a stump of {out.stat().st_size} bytes stands at the target")
        if rest := left_over(work, out.name):
            yield Fault("outside", f"left behind: {sorted(rest)}")

    return Case(f"{name} with files of at most {size} bytes, {'over an old one' * there}", run)


def _full_stdout(rng: random.Random, stage: Path) -> Case:
    """Standard streams that take nothing, or are not there."""
    words = rng.choice(PRINTS)
    way = rng.choice(sorted(STREAMS))

    def run(work: Path) -> Iterator[Fault]:
        del work
        argv = [str(stage / "planted.h5") if word == "STORE" else word for word in words]
        usual = call(*argv).status
        outcome = Child(argv, prepare=STREAMS[way]).wait()
        allowed = (usual,) if way in ("full stderr", "closed stderr", "closed stdin") else (0, 1)
        yield from judge(outcome, allowed, result=True)

    return Case(f"{' '.join(words)}, {way}", run)


def _replaced(number: int, path: str | None) -> Callable[[], None]:
    def replace() -> None:
        if path is None:
            os.close(number)
            return
        fd = os.open(path, os.O_RDWR)
        os.dup2(fd, number)
        os.close(fd)

    return replace


STREAMS = {
    "full stdout": _replaced(1, "/dev/full"), "full stderr": _replaced(2, "/dev/full"),
    "closed stdin": _replaced(0, None), "closed stderr": _replaced(2, None),
}  # fmt: skip


def filled(words: tuple[str, ...], stage: Path, work: Path) -> list[str]:
    """A command with its store and its output."""
    store = shutil.copy(stage / "planted.h5", stage / "read.h5")
    return [word.replace("STORE", str(store)).replace("OUT", str(work / "out")) for word in words]


ATTACK = Attack("disks", "bad disks", draw, prepare, share=2, seconds=200, torch=True, batch=100)

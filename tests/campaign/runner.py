"""Runs cases in processes of their own: watched from outside, limited, and renewed."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from .case import Attack, Fault

GIGABYTE = 1 << 30
_GUARD = 3 * GIGABYTE  # of address space beyond the start: it protects the machine, not the case


@dataclass
class Tally:
    """What came of one attack."""

    attack: Attack
    cases: int = 0
    faults: list[tuple[int, str, Fault]] = field(default_factory=list)
    """Case number, case name, fault."""
    slowest: float = 0.0
    peak: int = 0
    """Largest resident memory of a case, in bytes."""

    def by_kind(self) -> Counter[str]:
        """How many cases had a fault of each kind."""
        return Counter(kind for _, kind in {(n, fault.kind) for n, _, fault in self.faults})


def run_attack(
    attack: Attack, numbers: Iterable[int], seed: int, deadline: float = float("inf")
) -> Tally:
    """Run the cases of these numbers until ``deadline`` (of ``time.monotonic``)."""
    tally = Tally(attack)
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        sandbox = Path(name).resolve()
        stage = sandbox / "stage"
        stage.mkdir()
        _in_child(lambda: attack.prepare(stage))
        worker: Worker | None = None
        for number in numbers:
            if time.monotonic() > deadline:
                break
            if worker is None or worker.served >= attack.batch:
                if worker:
                    worker.end()
                worker = Worker(attack, seed, sandbox, stage)
            answer = worker.ask(number)
            tally.cases += 1
            tally.slowest = max(tally.slowest, answer.seconds)
            tally.peak = max(tally.peak, answer.peak)
            tally.faults += [(number, answer.name, fault) for fault in answer.faults]
            if answer.lost:
                worker.end()
                worker = None
        if worker:
            worker.end()
    return tally


@dataclass(frozen=True)
class Answer:
    """What a worker says of one case."""

    name: str
    faults: list[Fault]
    seconds: float
    peak: int = 0
    lost: bool = False
    """Whether the worker is gone."""


class Worker:
    """A forked process that runs one case after the other."""

    def __init__(self, attack: Attack, seed: int, sandbox: Path, stage: Path) -> None:
        self.attack = attack
        self.served = 0
        self._pipe, theirs = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            self._pipe.close()
            os.setpgid(0, 0)
            try:
                _serve(attack, seed, sandbox, stage, theirs)
            finally:
                os._exit(0)
        theirs.close()

    def ask(self, number: int) -> Answer:
        """Run a case; a worker that hangs is ended, with all it has started."""
        self.served += 1
        began = time.monotonic()
        name = f"case {number}"
        self._pipe.send(number)
        try:
            if not self._pipe.poll(self.attack.seconds):
                return self._lost(name, "hang", f"no end in {self.attack.seconds:.0f} s", began)
            said = self._pipe.recv()
            if isinstance(said, str):  # the name, before it is run
                name = said
                if not self._pipe.poll(self.attack.seconds):
                    return self._lost(name, "hang", f"no end in {self.attack.seconds:.0f} s", began)
                said = self._pipe.recv()
            name, faults, peak = said
        except (EOFError, ConnectionError):
            return self._lost(name, "died", "the process ended by itself", began)
        return Answer(name, faults, time.monotonic() - began, peak)

    def _lost(self, name: str, kind: str, text: str, began: float) -> Answer:
        return Answer(name, [Fault(kind, text)], time.monotonic() - began, lost=True)

    def end(self) -> None:
        """End the process and whatever it has started."""
        self._pipe.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _serve(attack: Attack, seed: int, sandbox: Path, stage: Path, pipe: Connection) -> None:
    home, folder = sandbox / "home", sandbox / "deep" / "down" / "here"
    for made in (home, folder, sandbox / "elsewhere"):
        made.mkdir(parents=True, exist_ok=True)
    os.environ |= {"HOME": str(home), "COMPREAD_CACHE": str(home), "HF_HOME": str(home)}
    os.chdir(sandbox / "elsewhere")
    size = _memory("VmSize") + _GUARD
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            number = pipe.recv()
        except EOFError:
            return
        work = folder / "work"
        if work.exists():
            _remove(work)  # of a case that was ended from outside
        work.mkdir()
        outside = _names(sandbox, work)
        start = _reset_peak()
        faults: list[Fault] = []
        name = f"case {number}"
        try:
            case = attack.case(number, seed, stage)
            pipe.send(name := case.name)
            faults += case.run(work)
        except BaseException:
            faults.append(Fault("trace", f"nobody caught: {traceback.format_exc()[-1200:]}"))
        peak = _memory("VmHWM")
        if peak > GIGABYTE or peak - start > attack.growth:
            faults.append(Fault("memory", f"{peak >> 20} MB, {peak - start >> 20} MB of it grown"))
        if found := _names(sandbox, work) - outside:
            faults.append(Fault("outside", f"written outside: {sorted(found)}"))
        _remove(work)
        pipe.send((name, faults, peak))


def _names(sandbox: Path, work: Path) -> set[str]:
    """What is in the sandbox, but for the case's own folder, the stage and the cache."""
    folders = [sandbox, sandbox / "elsewhere", *work.relative_to(sandbox).parents]
    return {str(entry) for folder in folders for entry in (sandbox / folder).iterdir()}


def _remove(work: Path) -> None:
    """Delete a case's folder, whatever its permissions are."""
    shutil.rmtree(work, ignore_errors=True)
    if work.exists():
        for folder, _, _ in os.walk(work):
            Path(folder).chmod(0o700)
        shutil.rmtree(work)


def _memory(field: str) -> int:
    """A size of this process from ``/proc/self/status``, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    return 0


def _reset_peak() -> int:
    """Let the peak begin at what is resident now, and give that."""
    # A sandbox may forbid it; the peak is then that of all cases so far.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _in_child(work: Callable[[], None]) -> None:
    """Do ``work`` in a forked process, so that this one never computes and may fork."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit("the campaign could not be prepared")


def endless(first: int = 0) -> Iterator[int]:
    """All numbers from one on."""
    while True:
        yield first
        first += 1

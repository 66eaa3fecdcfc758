"""What a case is, how it calls the command line, and what counts as a fault."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

FAULTS = {
    "wrong": "numbers that differ from the truth, without a word",
    "trace": "a traceback, or no line of error where one is due",
    "hang": "no end within the case's time",
    "memory": "more than 1 GB, or than the attack allows",
    "status": "an exit status that is not one of the documented ones for the case",
    "resume": "a stopped run that does not go on to the store of an unstopped one",
    "outside": "a file written outside of what the command line names",
    "control": "raw control characters on the terminal",
    "noise": "a library's warning on the terminal",
    "died": "the process ended by itself",
}
PARQUET = "PAR1"
OF_A_FILE = (0, 1, 4)
"""The exit statuses that a file which the user names may end in."""


class Fault(NamedTuple):
    """One thing that went wrong in a case."""

    kind: str
    """A key of ``FAULTS``."""
    text: str


@dataclass(frozen=True)
class Case:
    """One attempt: ``run`` gets an empty folder and tells what went wrong."""

    name: str
    run: Callable[[Path], Iterable[Fault]]


@dataclass(frozen=True)
class Attack:
    """A kind of attack.

    A number below ``len(fixed)`` is a fixed case (a fault once found), any other is drawn.
    """

    name: str
    unit: str
    """What is counted, such as ``damaged files``."""
    draw: Callable[[random.Random, Path], Case]
    """A case drawn at random, from what ``prepare`` left in its folder."""
    prepare: Callable[[Path], None] = lambda stage: None
    fixed: Sequence[Callable[[Path], Case]] = ()
    share: float = 1.0
    """Of the campaign's time, relative to the others."""
    seconds: float = 60.0
    """Time limit of a case."""
    growth: int = 1 << 30
    """Bytes that a case may add to the process."""
    torch: bool = False
    """Whether cases run a model, so that torch is imported once for all."""
    batch: int = 200
    """Cases that one process runs."""

    def case(self, number: int, seed: int, stage: Path) -> Case:
        """The case of a number."""
        if number < len(self.fixed):
            return self.fixed[number](stage)
        return self.draw(random.Random(f"{self.name} {seed} {number}"), stage)


@dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    argv: Sequence[str]
    status: int
    out: str
    err: str
    cpu: float
    """Seconds of processor time, which a busy machine does not lengthen."""


def call(*argv: str | Path, stdin: bytes = b"") -> Outcome:
    """Run a command line in this process, its three streams being files."""
    from compread.cli import main

    words = [str(word) for word in argv]
    began = time.process_time()
    with _streams(stdin) as (out, err):
        try:
            status = main(words)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
            status = 1
    spent = time.process_time() - began
    return Outcome(words, status, out.pop(), err.pop(), spent)


@contextlib.contextmanager
def _streams(stdin: bytes) -> Iterator[tuple[list[str], list[str]]]:
    """Other standard streams for a while; the lists hold what was written when it is over."""
    texts: tuple[list[str], list[str]] = ([], [])
    saved = [os.dup(n) for n in range(3)]
    objects = sys.stdin, sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin)
        files[0].seek(0)
        for n, file in enumerate(files):
            os.dup2(file.fileno(), n)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        try:
            yield texts
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            sys.stdin, sys.stdout, sys.stderr = objects
            for n, number in enumerate(saved):
                os.dup2(number, n)
                os.close(number)
            for file, text in zip(files[1:], texts, strict=True):
                file.seek(0)
                text.append(file.read().decode(errors="surrogateescape"))


def judge(
    outcome: Outcome, allowed: Collection[int] = OF_A_FILE, *, result: bool = False
) -> Iterator[Fault]:
    """What is wrong with an outcome whatever it should have printed.

    Args:
        outcome: how a command line ended.
        allowed: the exit statuses that are right.
        result: whether the status tells of the result, or of another process, so that no line of
            error is due.
    """
    said = f"{' '.join(outcome.argv[:2])} -> {outcome.status}: {outcome.err[-600:].strip()}"
    if "Traceback (most recent call last)" in outcome.err + outcome.out:
        yield Fault("trace", said)
    elif outcome.status not in allowed:
        yield Fault("status", f"{said} (wanted {', '.join(map(str, allowed))})")
    elif (
        outcome.status in (1, 2, 3, 4)
        and not result
        and not re.search("^error: .", outcome.err, re.MULTILINE)
    ):
        yield Fault("trace", f"no line of error: {said}")
    printed = "" if outcome.out.startswith(PARQUET) else outcome.out
    if found := control_characters(outcome.err + printed):
        yield Fault("control", f"{', '.join(sorted(found))}: {said!r}")
    if warning := re.search(r"^.*\b\w+Warning: .*$", outcome.err, re.MULTILINE):
        yield Fault("noise", warning[0])
    if "out of memory" in outcome.err:
        yield Fault("memory", said)


def control_characters(text: str) -> set[str]:
    """The characters that steer a terminal or turn its text round, by code point.

    Lone surrogates stand for bytes that are no UTF-8, which are written as they are.
    """
    kinds = ("Cc", "Cf")
    return {
        f"U+{ord(c):04X}"
        for c in set(text) - set("\n\t\r")
        if unicodedata.category(c) in kinds and c not in "\u200c\u200d\u00ad"
    }


def read_json(outcome: Outcome) -> Any:
    """What a command printed with ``--format json``."""
    import json

    return json.loads(outcome.out)

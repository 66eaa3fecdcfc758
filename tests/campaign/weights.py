"""Damaged weights files: applied as before, or refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from compread.errors import StoreError
from compread.reweight.weights_file import Weights

from .case import Attack, Case, Fault, call, judge
from .corruption import corrupt
from .damage import said_of_intact
from .made import planted

METHODS = "full,calib+,comprw:convex,blend"
COMMANDS = (("reweight", "STORE", "--apply"), ("rank", "STORE", "--weights"))
FAST = 10
"""Of so many cases one runs a command; the others read everything through the library."""


def prepare(stage: Path) -> None:
    """A store, and weights that were fitted on it."""
    store = planted(stage / "planted.h5")
    for name, methods in (("all.json", METHODS), ("one.json", "comprw:convex")):
        outcome = call("reweight", store, "--methods", methods, "--save", stage / name)
        assert outcome.status == 0, outcome.err


def draw(rng: random.Random, stage: Path) -> Case:
    """One file, one change of its bytes, one way to read it."""
    files = sorted(stage.glob("*.json"))
    source = rng.choice(files)
    change, data = corrupt(source.read_bytes(), rng, rng.choice(files).read_bytes())
    store = str(stage / "planted.h5")
    command = tuple(store if word == "STORE" else word for word in rng.choice(COMMANDS))
    by_command = rng.randrange(FAST) == 0

    def run(work: Path) -> Iterator[Fault]:
        path = work / source.name
        if by_command:
            intact = said_of_intact(command, source, path)
            path.write_bytes(data)
            outcome = call(*command, path, "--format", "json")
            yield from judge(outcome)
            if outcome.status == 0 and outcome.out != intact:
                yield Fault("wrong", f"other output: {outcome.err} {outcome.out[:300]}")
        else:
            path.write_bytes(data)
            yield from read_by_library(path, source)

    return Case(f"{source.name}, {change}; {command[0] if by_command else 'read'}", run)


def read_by_library(path: Path, source: Path) -> Iterator[Fault]:
    """Read every fit: the same, or one line of error."""
    try:
        if repr(Weights.read(path)) != repr(Weights.read(source)):
            yield Fault("wrong", "other weights without an error")
    except StoreError as error:
        if "\n" in str(error) or str(path) not in str(error):
            yield Fault("trace", f"not one line that names the file: {error}")


ATTACK = Attack("weights", "damaged weights files", draw, prepare, seconds=40, growth=200 << 20)

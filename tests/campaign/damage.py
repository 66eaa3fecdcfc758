"""Damaged stores: a reader refuses them, or gives what it gave before."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import store_sample

from compread.errors import StoreError

from .case import Attack, Case, Fault, call, judge
from .corruption import corrupt
from .made import ARCHIVES, digest, planted

COMMANDS = (
    ("show",), ("rank",), ("rank", "--split", "train"), ("analyze",),
    ("analyze", "--table", "layers"),
    ("reweight", "--methods", "full,calib+,comprw:convex,blend"), ("status",),
)  # fmt: skip
FAST = 8
"""Of so many cases one runs a command; the others read everything through the library."""


def prepare(stage: Path) -> None:
    """Intact stores of several shapes and versions, and what each command says of them."""
    store_sample.write(stage / "sample.h5")
    planted(stage / "planted.h5")
    for archive in ARCHIVES:
        (stage / archive.name).write_bytes(archive.read_bytes())
    digests = {path.name: digest(path) for path in stage.glob("*.h5")}
    (stage / "digests.json").write_text(json.dumps(digests))


def draw(rng: random.Random, stage: Path) -> Case:
    """One store, one change of its bytes, one way to read it."""
    stores = sorted(stage.glob("*.h5"))
    source = rng.choice(stores)
    change, data = corrupt(source.read_bytes(), rng, rng.choice(stores).read_bytes())
    command = rng.choice(COMMANDS) if rng.randrange(FAST) == 0 else ()

    def run(work: Path) -> Iterator[Fault]:
        path = work / source.name
        if command:
            intact = said_of_intact(command, source, path)
            path.write_bytes(data)
            yield from read_by_command(command, path, intact)
        else:
            path.write_bytes(data)
            yield from read_by_library(path, json.loads((stage / "digests.json").read_text()))

    return Case(f"{source.name}, {change}; {' '.join(command) or 'read'}", run)


@functools.lru_cache
def said_of_intact(command: tuple[str, ...], source: Path, path: Path) -> str:
    """What a command says of a copy of ``source`` at ``path``, once for every process."""
    path.write_bytes(source.read_bytes())
    return call(*command, path, "--format", "json").out


def read_by_library(path: Path, digests: dict[str, str]) -> Iterator[Fault]:
    """Read every value: the same, or one line of error."""
    try:
        if digest(path) != digests[path.name]:
            yield Fault("wrong", "other values without an error")
    except StoreError as error:
        if "\n" in str(error) or not str(error).startswith(str(path)):
            yield Fault("trace", f"not one line that names the store: {error}")


def read_by_command(command: tuple[str, ...], path: Path, intact: str) -> Iterator[Fault]:
    """Run a command: what it said of the intact store, or status 4."""
    outcome = call(*command, path, "--format", "json")
    status_command = command == ("status",)
    yield from judge(outcome, (0, 4))
    # What status is for is to tell of a damaged store, and it reads no numbers.
    if outcome.status == 0 and outcome.out != intact and not status_command:
        yield Fault("wrong", f"other output: {outcome.out[:300]}")


ATTACK = Attack(
    "damage", "damaged stores", draw, prepare, share=4, seconds=40, growth=200 << 20, batch=500
)

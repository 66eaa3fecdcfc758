"""Damaged journals: the run goes on to the store of an unstopped one, or says why it cannot."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import store_sample

from compread.errors import CompreadError, StoreError
from compread.store import journal_path, partial_status

from .case import Attack, Case, Fault, call, judge
from .corruption import corrupt


def prepare(stage: Path) -> None:
    """An unstopped store, and journals that stopped after each batch."""
    store_sample.write(stage / "whole.h5")
    for n in range(1, len(store_sample.BATCHES) + 1):
        store_sample.stop_after(stage / f"{n}.h5", n)


def draw(rng: random.Random, stage: Path) -> Case:
    """One journal, one change of its bytes; looked at, then gone on with."""
    journals = sorted(stage.glob("*.partial"))
    source = rng.choice(journals)
    change, data = corrupt(source.read_bytes(), rng, rng.choice(journals).read_bytes())
    command = rng.randrange(8) == 0

    def run(work: Path) -> Iterator[Fault]:
        target = work / "x.h5"
        journal_path(target).write_bytes(data)
        if command:
            yield from beside_a_good_one(work, stage)
        try:
            partial_status(target)
        except StoreError as error:
            yield from one_line(error, target)
        yield from go_on(target, stage)

    return Case(f"{source.name}, {change}", run)


def beside_a_good_one(work: Path, stage: Path) -> Iterator[Fault]:
    """``status`` of a folder tells of the other runs, whatever the journal holds."""
    (work / "good.h5").write_bytes((stage / "whole.h5").read_bytes())
    outcome = call("status", work, "--format", "csv")
    yield from judge(outcome, (0, 4))
    if "good.h5" not in outcome.out or "finished" not in outcome.out:
        yield Fault("wrong", f"a finished run is hidden: {outcome.out} {outcome.err}")


def go_on(target: Path, stage: Path) -> Iterator[Fault]:
    """Resume, by force where it is refused: the same store in the end."""
    try:
        store_sample.write(target)
    except CompreadError as error:
        yield from one_line(error, target)
        try:
            store_sample.write(target, force=True)
        except CompreadError as again:
            if "move it away" not in str(again):
                yield Fault("resume", f"not even with --force: {again}")
            return
    if store_sample.contents(target) != store_sample.contents(stage / "whole.h5"):
        yield Fault("wrong", "another store than that of an unstopped run")
    if journal_path(target).exists():
        yield Fault("resume", "the journal stays beside the finished store")


def one_line(error: CompreadError, target: Path) -> Iterator[Fault]:
    """An error is one line that names the file."""
    if "\n" in str(error) or str(target) not in str(error):
        yield Fault("trace", f"not one line that names the file: {error}")


ATTACK = Attack(
    "journals", "damaged journals", draw, prepare, share=1.5, seconds=40, growth=200 << 20
)

"""``python -m tests.campaign``: try cases of each kind, print a table, end with 1 on any fault."""

from __future__ import annotations

import os

# Before torch is imported: a forked process cannot use its parent's threads.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TERM": "dumb"}

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .case import FAULTS, Attack
from .runner import Tally, endless, run_attack

ALL = ("damage", "journals", "weights", "crafted", "yaml_files", "load",
       "prompts", "models", "kills", "disks", "locks")  # fmt: skip
SHOWN = 8
"""Faults of one kind and attack that are told in full."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign and print what it found."""
    options = _options(argv)
    attacks = [_attack(name) for name in options.only.split(",")]
    # Those that run a model last: torch makes each process larger and slower to fork.
    attacks.sort(key=lambda attack: attack.torch)
    whole = sum(attack.share for attack in attacks)
    tallies = []
    for attack in attacks:
        if attack.torch:
            _import_torch()
        deadline = time.monotonic() + 60 * options.minutes * attack.share / whole
        if options.case is not None:
            numbers = iter([options.case])
        else:
            numbers = iter(range(options.cases)) if options.cases else endless()
        tally = run_attack(attack, numbers, options.seed, deadline)
        tallies.append(tally)
        print(f"{attack.name}: {tally.cases} {attack.unit}", file=sys.stderr, flush=True)
    _print(tallies, options.seed)
    return 1 if any(tally.faults for tally in tallies) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, in all")
    parser.add_argument("--cases", type=int, help="at most so many of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(ALL), help="these kinds, separated by commas")
    parser.add_argument("--case", type=int, help="this one case, as a fault names it")
    options = parser.parse_args(argv)
    if unknown := set(options.only.split(",")) - set(ALL):
        parser.error(f"unknown kind {min(unknown)!r}: one of {', '.join(ALL)}")
    return options


def _attack(name: str) -> Attack:
    attack: Attack = importlib.import_module(f".{name}", __package__).ATTACK
    return attack


def _import_torch() -> None:
    """Import what a run of a model does, so that each process starts with it."""
    import datasets  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401

    import compread.extract  # noqa: F401


def _print(tallies: Sequence[Tally], seed: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=150 if not sys.stdout.isatty() else None, highlight=False)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("attack")
    for heading in ("cases", *FAULTS, "slowest", "peak"):
        table.add_column(heading, justify="right")
    for tally in tallies:
        kinds = tally.by_kind()
        counts = [str(kinds[kind]) for kind in FAULTS]
        ends = [f"{tally.slowest:.1f} s", f"{tally.peak >> 20} MB"]
        table.add_row(tally.attack.unit, str(tally.cases), *counts, *ends)
    whole = sum((tally.by_kind() for tally in tallies), start=type(tallies[0].by_kind())())
    cases = sum(tally.cases for tally in tallies)
    table.add_section()
    table.add_row("all", str(cases), *(str(whole[kind]) for kind in FAULTS), "", "")
    console.print(table)
    for tally in tallies:
        for kind, many in tally.by_kind().items():
            found = [one for one in tally.faults if one[2].kind == kind]
            for number, name, fault in found[:SHOWN]:
                again = f"--only {tally.attack.name} --seed {seed} --case {number}"
                print(f"{kind}: {name!r}\n  {again}\n  {fault.text!r:.1500}")
            if many > SHOWN:
                numbers = ", ".join(str(number) for number, _, _ in found[SHOWN:])
                print(f"{kind}: {many - SHOWN} more: cases {numbers:.300}")


if __name__ == "__main__":
    if Path.cwd() not in map(Path, sys.path):
        sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())

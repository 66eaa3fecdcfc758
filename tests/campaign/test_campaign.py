"""A handful of cases of each kind of attack finds no fault, and a fault would be found."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .case import FAULTS, Attack, Case, Fault, call, control_characters, judge
from .mutants import reaching
from .mutations import Mutant, count_places, mutant_at
from .runner import run_attack

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("kinds", "cases"),
    [("damage,journals,weights,crafted,load", 8), ("prompts,models,kills,disks,locks", 2)],
)
def test_a_handful_of_each_kind(kinds: str, cases: int) -> None:
    """The first cases of each kind, those that once found a fault among them, find none."""
    words = ["--only", kinds, "--cases", str(cases), "--minutes", "5"]
    command = [sys.executable, "-m", "tests.campaign", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {cases * len(kinds.split(','))} 0" in " ".join(done.stdout.split())


def sleeps(work: Path) -> None:
    """Never end."""
    time.sleep(60)


def dies(work: Path) -> None:
    """End the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def grows(work: Path) -> None:
    """Use memory."""
    b"x" * (64 << 20)


def escapes(work: Path) -> None:
    """Write beside the case's own folder."""
    (work / ".." / "evil").touch()


def raises(work: Path) -> None:
    """Raise what nobody catches."""
    raise ValueError(work)


@pytest.mark.parametrize(
    ("does", "kind"),
    [(sleeps, "hang"), (dies, "died"), (grows, "memory"), (escapes, "outside"), (raises, "trace")],
)
def test_what_a_case_does_to_its_process_is_a_fault(
    does: Callable[[Path], None], kind: str
) -> None:
    """The runner sees a hang, a death, memory, an escape and an exception, and goes on after it."""

    def run(work: Path) -> Iterator[Fault]:
        does(work)
        return iter(())

    good = Case("good", lambda work: [])
    fixed = (lambda stage: Case("bad", run), lambda stage: good)
    attack = Attack(
        "made", "made", lambda rng, stage: good, fixed=fixed, seconds=3, growth=32 << 20
    )
    tally = run_attack(attack, range(4), seed=0)
    assert tally.cases == 4
    assert [(number, name, fault.kind) for number, name, fault in tally.faults] == [
        (0, "bad", kind)
    ]


@pytest.mark.parametrize(
    ("argv", "allowed", "kinds"),
    [
        (["show", "/nowhere.h5"], (0, 4), set()),
        (["show", "/nowhere.h5"], (0, 1), {"status"}),
        (["tasks"], (0,), set()),
    ],
)
def test_how_a_command_ended_is_judged(
    argv: list[str], allowed: tuple[int, ...], kinds: set[str]
) -> None:
    """A documented status with one line of error is right, and any other is a fault."""
    assert {fault.kind for fault in judge(call(*argv), allowed)} == kinds <= set(FAULTS)


def test_control_characters() -> None:
    """Escapes and marks that turn text round are seen; letters of any script are not."""
    assert control_characters("a\x1b[2J\u202e\x9b") == {"U+001B", "U+202E", "U+009B"}
    assert control_characters("é 好 🙂\n\t") == set()


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x < 1", ["x <= 1", "x < 2"]),
        ("a + b", ["a - b"]),
        ("a and not b", ["a or not b", "a and (not not b)"]),
        ("if a:\n    f(b)", ["if not a:\n    f(b)", "if a:\n    ..."]),
        ("raise E", ["..."]),
        ("f('text', key=True)", ["...", "f('text', key=False)"]),
        ("def f(a: int = 0) -> 'b':\n    'doc'", ['def f(a: int=1) -> \'b\':\n    """doc"""']),
    ],
)
def test_mutants(tmp_path: Path, source: str, changed: list[str]) -> None:
    """Each place of a source text is changed in every way, and nothing else is."""
    file = tmp_path / "x.py"
    file.write_text(source)
    mutants = [mutant_at(file, *place).source for place in count_places(file)]
    assert sorted(map(ast.dump, map(ast.parse, mutants))) == sorted(
        map(ast.dump, map(ast.parse, changed))
    )


def test_each_mutant_is_judged_by_tests_that_reach_it(tmp_path: Path) -> None:
    """Those that call its function; of a module's top, or of calls out of sight, its file's."""
    calls = {
        "calls": {"store/a.py:5": ["tests/cli/test_x.py::slow"],
                  "store/a.py:9": ["tests/cli/test_x.py::quick", "tests/store/test_a.py::own"],
                  "store/b.py:5": ["tests/store/test_b.py::other"]},
        "seconds": {"tests/cli/test_x.py::slow": 2.0, "tests/cli/test_x.py::quick": 0.1},
    }  # fmt: skip
    every = ["tests/store/test_a.py::own", "tests/cli/test_x.py::quick"]
    every.append("tests/cli/test_x.py::slow")
    for function, tests in ((5, every[2:]), (9, every[:2]), (0, every), (30, every)):
        mutant = Mutant(tmp_path / "compread" / "store" / "a.py", 1, function, "", "")
        assert reaching(mutant, tmp_path, calls) == tests  # type: ignore[arg-type]

"""Folders that are large, deep or oddly named, and what else may lie in them."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from .case import OF_A_FILE, Attack, Case, Fault, call, judge
from .made import planted

COMMANDS = (
    ("status",), ("show",), ("rank",), ("analyze",), ("reweight", "--methods", "full,bc"),
    ("report", "-o", "OUT.html"), ("plot", "scatter", "-o", "OUT.svg"),
    ("plot", "heatmap", "-o", "-"),
)  # fmt: skip
NAMES = (
    "x" * 250 + ".h5", "é好🙂.h5", "two\nlines.h5", "\x1b[31mred.h5", "a b'c\"d.h5", "$x_$.h5",
    "-o.h5", ".h5", "\u202egnp.h5", "x.h5.h5", "*.h5", "[a].h5", os.fsdecode(b"\xff\xfe.h5"),
    "%s{0}.h5", "[bold].h5", "<b>&.h5",
)  # fmt: skip


def prepare(stage: Path) -> None:
    """Two stores that differ in their seed."""
    for seed in range(2):
        planted(stage / f"{seed}.h5", seed, n_train=8, n_test=20)


Make = Callable[[random.Random, Path, Path], Path]
"""Lays out a folder, given the stage and the work folder, and says what to name."""


def draw(rng: random.Random, stage: Path) -> Case:
    """One folder and one command on it."""
    return folder_case(*rng.choice(FOLDERS), rng.choice(COMMANDS), rng.random())(stage)


def folder_case(
    name: str, make_folder: Make, words: tuple[str, ...], seed: float = 0.0
) -> Callable[[Path], Case]:
    """A folder is laid out and a command is run on it."""

    def make(stage: Path) -> Case:
        def run(work: Path) -> Iterator[Fault]:
            target = make_folder(random.Random(seed), stage, work)
            command = [word.replace("OUT", str(work / "out")) for word in words]
            kept = {path.name for path in work.iterdir()}
            # A name that begins with a hyphen is the shell user's to mark.
            outcome = call(*command, "--", target)
            # A picture of more stores than it has panels for is a question of usage.
            yield from judge(outcome, (*OF_A_FILE, 2))
            if made := {path.name for path in work.iterdir()} - kept - {"out.html", "out.svg"}:
                yield Fault("outside", f"also written: {sorted(made)}")

        return Case(f"{name}; {' '.join(words)} ({seed:.6f})", run)

    return make


def _many(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "many"
    folder.mkdir()
    for n in range(rng.choice([40, 150])):
        os.link(stage / f"{n % 2}.h5", folder / f"{n}.h5")
    return folder


def _named(rng: random.Random, stage: Path, work: Path) -> Path:
    path = work / rng.choice(NAMES)
    shutil.copy(stage / "0.h5", path)
    return path


def _named_in_folder(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "named"
    folder.mkdir()
    for name in rng.sample(NAMES, 4):
        shutil.copy(stage / f"{rng.randrange(2)}.h5", folder / name)
    return folder


def _deep(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "top"
    deepest = folder.joinpath(*["d" * 20] * rng.choice([5, 60, 120]))
    deepest.mkdir(parents=True)
    shutil.copy(stage / "0.h5", deepest / "x.h5")
    return folder if rng.random() < 0.5 else deepest


def _links(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "links"
    folder.mkdir()
    shutil.copy(stage / "0.h5", folder / "a.h5")
    (folder / "loop").symlink_to(folder)
    (folder / "self.h5").symlink_to(folder / "self.h5")
    (folder / "gone.h5").symlink_to(work / "nowhere")
    return folder if rng.random() < 0.7 else folder / "self.h5"


def _pipes(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "pipes"
    folder.mkdir()
    shutil.copy(stage / "0.h5", folder / "a.h5")
    os.mkfifo(folder / "x.h5")
    os.mkfifo(folder / "y.h5.partial")
    return folder if rng.random() < 0.5 else folder / rng.choice(["x.h5", "y.h5"])


def _foreign(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "foreign"
    folder.mkdir()
    shutil.copy(stage / "0.h5", folder / "a.h5")
    (folder / "empty.h5").touch()
    (folder / "text.h5").write_text("not HDF5")
    (folder / "folder.h5").mkdir()
    (folder / "b.h5.partial").write_bytes(rng.randbytes(rng.choice([0, 1, 10, 5000])))
    return folder


def _unreadable(rng: random.Random, stage: Path, work: Path) -> Path:
    folder = work / "locked"
    folder.mkdir()
    path = Path(shutil.copy(stage / "0.h5", folder / "a.h5"))
    locked = rng.choice([folder, path])
    locked.chmod(stat.S_IMODE(0))
    return folder


def _device(rng: random.Random, stage: Path, work: Path) -> Path:
    return Path(rng.choice(["/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", "/dev/stdin"]))


def _nothing(rng: random.Random, stage: Path, work: Path) -> Path:
    (work / "nothing").mkdir()
    return rng.choice([work / "nothing", work / "missing", work / "missing.h5", Path()])


FOLDERS: tuple[tuple[str, Make], ...] = (
    ("many stores", _many), ("an odd name", _named), ("odd names", _named_in_folder),
    ("a deep folder", _deep), ("links", _links), ("pipes", _pipes), ("foreign files", _foreign),
    ("no permission", _unreadable), ("a device", _device), ("nothing", _nothing),
)  # fmt: skip

FIXED = tuple(
    folder_case(name, make, words)
    for name, make in FOLDERS
    if name in ("pipes", "odd names", "no permission")
    for words in (("status",), ("rank",), ("plot", "scatter", "-o", "OUT.svg"))
)

ATTACK = Attack("load", "folders", draw, prepare, FIXED, seconds=60, growth=300 << 20, batch=60)

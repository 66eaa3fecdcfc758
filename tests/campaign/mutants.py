"""``python -m tests.campaign.mutants``: would a test notice if this line were wrong?

Samples small mutants of the package (``mutations``), runs against each the tests that call its
function, quickest first, and names those that no test notices. The tests run in processes forked
from one that has imported the heavy libraries, in a copy of the tree.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .mutations import Mutant, count_places, mutant_at

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
"""Of tests for one mutant, as they took without it; what goes beyond is not run."""
PATIENCE = 5.0
"""How many times as long they may take before the mutant counts as noticed (it hangs)."""
KILLED, HANGS, SURVIVED, UNCALLED = "killed", "hangs", "survived", "no test calls it"
HEAVY = ("numpy", "h5py", "scipy.stats", "pandas", "pyarrow.parquet", "hypothesis", "datasets",
         "torch", "transformers.models.llama.modeling_llama", "sklearn", "matplotlib.pyplot",
         "typer", "rich.table", "yaml", "jinja2")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Sample, run, print; the exit status is 0 whatever survives."""
    options = _options(argv)
    # Read as the libraries are imported.
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    _import_heavy()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        tree = Path(name).resolve() / "tree"
        _copy(tree)
        calls = options.map or tree.parent / "calls.json"
        if not calls.exists():
            print("running the tests once, to see which tests call what", file=sys.stderr)
            rooms = [f"tests/{room}" for room in options.rooms if (tree / "tests" / room).is_dir()]
            plugin = ["-p", "tests.campaign.called", "--ignore=tests/campaign"]
            _pytest(tree, [*plugin, *rooms], 7200, {"CALLED": str(calls.resolve())})
            if not calls.exists():
                raise SystemExit((tree.parent / "pytest.txt").read_text()[-3000:])
        document = json.loads(calls.read_text())
        results = []
        end = time.monotonic() + 60 * options.minutes
        for mutant in sample(tree / "compread", options.rooms, options.count, options.seed):
            if time.monotonic() > end:
                break
            verdict = _judge(mutant, tree, document)
            results.append((mutant, verdict))
            where = f"{mutant.file.relative_to(tree)}:{mutant.line}"
            print(f"{verdict:16} {where}  {mutant.what}", flush=True)
    _print(results)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=264)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument(
        "--rooms",
        default="",
        help="only these and the tests of these, such as store,analysis",
    )
    parser.add_argument("--map", type=Path, help="which tests call what: made there, or taken")
    options = parser.parse_args(argv)
    options.rooms = tuple(options.rooms.split(",")) if options.rooms else ()
    return options


def sample(package: Path, rooms: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """So many mutants, all places alike, in random order."""
    files = sorted(package.rglob("*.py"))
    if rooms:
        files = [f for f in files if f.relative_to(package).parts[0].removesuffix(".py") in rooms]
    places = [(file, *place) for file in files for place in count_places(file)]
    chosen = random.Random(seed).sample(places, min(count, len(places)))
    return [mutant_at(*one) for one in chosen]


def reaching(mutant: Mutant, tree: Path, calls: dict[str, dict[str, list[str]]]) -> list[str]:
    """The tests to run against a mutant: those of its room first, then the quickest.

    The top of a module works for all of its functions, and so does a function whose calls are
    seen in no test: it is called on import, in a thread that was there or in another process.
    """
    name = mutant.file.relative_to(tree / "compread")
    seconds: dict[str, float] = calls["seconds"]  # type: ignore[assignment]
    found = set(calls["calls"].get(f"{name}:{mutant.function}", []))
    if not mutant.function or not found:
        found = {t for key, tests in calls["calls"].items() if key.startswith(f"{name}:")
                 for t in tests}  # fmt: skip
    mirror = f"tests/{name.parts[0]}/"
    ranked = sorted(found, key=lambda t: (not t.startswith(mirror), seconds.get(t, 1.0)))
    kept, spent = [], 0.0
    for test in ranked:
        spent += seconds.get(test, 1.0)
        if kept and spent > SECONDS:
            break
        kept.append(test)
    return kept


def _judge(mutant: Mutant, tree: Path, calls: dict[str, dict[str, list[str]]]) -> str:
    tests = reaching(mutant, tree, calls)
    if not tests:
        return UNCALLED
    whole = mutant.file.read_text()
    usual = sum(calls["seconds"].get(test, 1.0) for test in tests)  # type: ignore[arg-type]
    mutant.file.write_text(mutant.source)
    try:
        status = _pytest(tree, ["-x", *tests], 30 + PATIENCE * usual)
    finally:
        mutant.file.write_text(whole)
    if status is None:
        return HANGS
    return SURVIVED if status in (0, 5) else KILLED


def _pytest(
    tree: Path, arguments: list[str], seconds: float, environment: dict[str, str] | None = None
) -> int | None:
    """Pytest's exit status in a forked process; None where it had no end in time."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        status = 3
        try:
            status = _pytest_here(tree, arguments, environment or {})
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    deadline = time.monotonic() + seconds
    ended = None
    while ended is None and time.monotonic() < deadline:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        time.sleep(0.02)
    # With whatever the tests have started and left behind.
    os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if ended is None:
        return None
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1


def _pytest_here(tree: Path, arguments: list[str], environment: dict[str, str]) -> int:
    import pytest

    os.chdir(tree)
    temporary = tree.parent / "temporary"
    # Plugins that are imported already cannot be rewritten, which would be a warning.
    os.environ |= {"PYTHONPATH": str(tree), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    # What the tests share is taken from the copy as well.
    here = (ROOT, ROOT / "tests")
    sys.path[:] = [str(tree), *(path for path in sys.path if Path(path).resolve() not in here)]
    quiet = os.open(tree.parent / "pytest.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(quiet, number)
    return int(pytest.main(["-q", "-p", "no:cacheprovider", f"--basetemp={temporary}", *arguments]))


def _copy(tree: Path) -> None:
    """The package, its tests and what these read beside them."""
    tree.mkdir()
    for name in ("compread", "tests", ".ci", ".github"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)


def _import_heavy() -> None:
    """Import what the tests import, but nothing of the package."""
    import importlib

    for name in HEAVY:
        importlib.import_module(name)


def _print(results: Sequence[tuple[Mutant, str]]) -> None:
    counts = Counter(verdict for _, verdict in results)
    noticed = counts[KILLED] + counts[HANGS]
    print(f"\n{noticed} of {len(results)} mutants noticed ({noticed / max(1, len(results)):.0%}): "
          + ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common()))  # fmt: skip
    by_file = Counter(m.file.parent.name for m, verdict in results if verdict == SURVIVED)
    print("survivors by room: " + ", ".join(f"{room} {n}" for room, n in by_file.most_common()))


if __name__ == "__main__":
    sys.exit(main())

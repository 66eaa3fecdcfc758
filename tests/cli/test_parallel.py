"""Many stores read by several processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pytest

from compread.analysis.runs import RunStats, read_runs
from compread.analysis.study import study
from compread.cli import parallel as workers
from compread.errors import StoreError
from compread.store import store_states


@pytest.fixture(autouse=True)
def _two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SCORED_EACH", 1)
    monkeypatch.setattr(workers, "PEEKED_EACH", 1)
    monkeypatch.setattr(workers, "_cores", lambda: 2)


def told(runs: list[RunStats]) -> str:
    """All lists of a result."""
    return json.dumps(study(runs, names=("runs", "layers", "pairs")))


def test_two_processes_tell_what_one_does(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs read by workers give the same lists, in the order of the stores, with one axis."""
    paths = sorted(stores.iterdir(), reverse=True)
    alone = told(read_runs(paths, resample=True))
    monkeypatch.setattr("compread.analysis.runs.read_runs", None)  # of this process
    runs = workers.read_all(paths, "test", "logsumexp", True)
    assert told(runs) == alone
    assert len({id(run.components) for run in runs}) == 1


def test_the_first_store_that_cannot_be_read_is_named(stores: Path, tmp_path: Path) -> None:
    """Of two damaged stores the one that was given first is told of."""
    paths = [Path(shutil.copy(path, tmp_path)) for path in sorted(stores.iterdir())]
    for path in paths[1:]:
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(StoreError, match=f"^{paths[1]}: the store is damaged"):
        workers.read_all(paths, "test", "logsumexp", False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenExecutor(), "BrokenExecutor"),
        (OSError(), "OSError"),
        (NotImplementedError("no semaphores\nhere"), "no semaphores here"),
    ],
)
@pytest.mark.parametrize("before", [0, 2])
def test_a_machine_without_processes(
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    reason: str,
    before: int,
) -> None:
    """Where workers cannot start, or are killed, the command reads the rest itself and says so."""
    paths = sorted(stores.iterdir())

    def fails(work: Any, paths: list[Path], _: int) -> Iterator[RunStats]:
        yield from work(paths[:before])
        raise error

    monkeypatch.setattr(workers, "_spread", fails)
    assert told(workers.read_all(paths, "test", "logsumexp", True)) == told(
        read_runs(paths, resample=True)
    )
    wanted = f"the stores are read by one process, as others cannot be had ({reason})"
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("verify", [False, True])
def test_states_are_those_that_one_process_finds(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: bool
) -> None:
    """Finished, damaged and missing targets in their order, with the reasons."""
    paths = [Path(shutil.copy(path, tmp_path)) for path in sorted(stores.iterdir())]
    paths[1].write_bytes(paths[1].read_bytes()[:3000])
    paths.append(tmp_path / "none.h5")
    alone = store_states(paths, verify)
    monkeypatch.setattr("compread.store.states.store_state", None)  # of this process
    assert store_states(paths, verify, workers.look_at_all) == alone
    assert [one.state for one in alone] == ["finished", "damaged", "finished", "missing"]


def test_few_stores_are_read_by_the_command_alone(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is started for what it would take longer to start one."""
    monkeypatch.setattr(workers, "SCORED_EACH", 2)
    monkeypatch.setattr(workers, "_spread", None)
    assert len(workers.read_all(sorted(stores.iterdir()), "test", "logsumexp", False)) == 3


COMMAND = """
import signal, sys, time
from compread.cli import parallel

def work(names):
    print("at work", flush=True)
    time.sleep(float(sys.argv[1]) * ("b" in names))
    return names

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs it behind
    parallel._cores = lambda: 2
    try:
        list(parallel._each(work, ["a", "b"], 1))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "seconds", "said"), [(signal.SIGKILL, 600, ""), (signal.SIGINT, 2, "interrupted\n")]
)
def test_workers_end_with_the_command(
    tmp_path: Path, number: int, seconds: float, said: str
) -> None:
    """Killed alone it leaves none behind; Ctrl-C, which all hear, is answered by it alone."""
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, script, str(seconds)], stdout=pipe, stderr=pipe, text=True,
        start_new_session=True,
    ) as command:  # fmt: skip
        try:
            assert command.stdout is not None
            assert [command.stdout.readline() for _ in "ab"] == ["at work\n"] * 2
            time.sleep(0.3)  # One is idle then, the other at work.
            if number == signal.SIGKILL:
                command.kill()
            else:
                os.killpg(command.pid, number)
            # The workers hold the pipes too: these end when the last of them has.
            out, err = command.communicate(timeout=60)
            assert out == said and "Traceback" not in err
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)

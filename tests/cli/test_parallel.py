"""Many stores read by several processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import pytest

from compread.analysis.runs import RunStats, read_runs
from compread.analysis.study import study
from compread.cli import parallel as workers
from compread.errors import StoreError


@pytest.fixture(autouse=True)
def _two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "STORES_EACH", 1)
    monkeypatch.setattr(workers, "PIECE", 1)
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


@pytest.mark.parametrize("error", [BrokenExecutor, OSError, NotImplementedError])
def test_a_machine_without_processes(
    stores: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Where workers cannot start, or are killed, the command reads the stores itself."""

    def fails(*_: Any) -> Iterator[RunStats]:
        raise error
        yield

    monkeypatch.setattr(workers, "_read", fails)
    paths = sorted(stores.iterdir())
    assert told(workers.read_all(paths, "test", "logsumexp", True)) == told(
        read_runs(paths, resample=True)
    )


def test_few_stores_are_read_by_the_command_alone(
    stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is started for what it would take longer to start one."""
    monkeypatch.setattr(workers, "STORES_EACH", 2)
    monkeypatch.setattr(workers, "_read", None)
    assert len(workers.read_all(sorted(stores.iterdir()), "test", "logsumexp", False)) == 3

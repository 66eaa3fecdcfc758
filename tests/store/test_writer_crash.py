"""Writers that really die: SIGKILL, a held lock, a file size limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_sample import BATCHES, N, contents, open_writer, write

import compread
from compread.errors import TargetError

ROOTS = (Path(compread.__file__).parents[1], Path(__file__).parents[1])
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
SCRIPT = [sys.executable, str(Path(__file__).with_name("crash_writer.py"))]


def run_script(*arguments: str | Path) -> str:
    """What the script prints; it must end well, which a crash inside HDF5 would not."""
    command = [*SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout.strip()


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Killed with SIGKILL at 20 random moments, a run ends with the bytes of an unkilled one."""
    kept = run_script("kill", tmp_path, "20").split()
    assert len(kept) == 20
    assert any(word.isdigit() and 0 < int(word) < N for word in kept), kept
    whole = contents(write(tmp_path / "whole.h5"))
    for i, word in enumerate(kept):
        path = tmp_path / f"{i}.h5"
        if word != "finished":
            write(path)
        assert contents(path) == whole
    assert {p.suffix for p in tmp_path.iterdir()} == {".h5"}


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """The lock dies with its process, even when a forked child of it lives on."""
    target = tmp_path / "x.h5"
    command = [*SCRIPT, "hold", str(target)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True, env=ENVIRONMENT) as first:
        assert first.stdout is not None
        child = int(first.stdout.readline())
        try:
            with pytest.raises(TargetError, match="another run is writing it"):
                open_writer(target, force=True)
            first.kill()
            first.wait()
            os.kill(child, 0)
            write(target)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("size", [0, 10, 2_000, 4_600, 5_000, 6_000, 8_000, 10_000])
def test_a_file_size_limit_is_a_clear_error(tmp_path: Path, size: int) -> None:
    """Wherever a limit strikes, in the journal or in HDF5, it is one line and nothing is lost."""
    target = tmp_path / "x.h5"
    said = run_script("limit", target, str(size))
    assert said == "done" or (said.startswith("DiskError") and "the disk is full" in said), said
    assert {p.name for p in tmp_path.iterdir()} <= {"x.h5", "x.h5.partial"}
    if said != "done":
        write(target)
    assert contents(target) == contents(write(tmp_path / "whole.h5", BATCHES))

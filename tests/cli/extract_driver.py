"""Extracts that come to grief, run as a process of its own by test_extract_stopped.py.

``kill FOLDER N ARGUMENT...``  N kills with SIGKILL at random moments, spread over targets 0.h5,
                               1.h5 ..., each begun again until it is finished
``slow ARGUMENT...``           one command line whose batches take their time
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

# Imported before any fork, so that a child starts at once; nothing is computed in the parent.
import transformers.models.llama.modeling_llama  # noqa: F401

from compread.cli import main
from compread.extract import Engine
from compread.store import partial_status

KILLS_OF_ONE_TARGET = 4


def start(arguments: list[str]) -> int:
    """The pid of a child that runs a command line."""
    pid = os.fork()
    if pid == 0:
        os._exit(main(arguments))
    return pid


def lives_until(share: float, path: Path, pid: int) -> bool:
    """Wait until a child has kept this share of the rows left; whether it was not done before."""
    before = partial_status(path)
    start = before.done if before else 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        kept = partial_status(path)
        if share <= 0 or (
            kept and kept.total and kept.done >= start + share * (kept.total - start)
        ):
            return True
        time.sleep(0.001)
    return False


def kill(folder: Path, n: int, arguments: list[str]) -> None:
    """Print, for each kill, how many rows were kept; then the number of targets."""
    moments = random.Random(0)
    target = killed = 0
    while killed < n:
        path = folder / f"{target}.h5"
        for _ in range(min(KILLS_OF_ONE_TARGET, n - killed)):
            pid = start([*arguments, "-o", str(path)])
            # By rows and not by the clock, which a busy machine would make all one moment.
            if lives_until(moments.uniform(-0.2, 0.7), path, pid):
                time.sleep(moments.uniform(0, 0.01))
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            killed += 1
            kept = partial_status(path)
            # At once: a fork would take along what is still buffered, and print it too.
            print(kept.done if kept else "finished" if path.exists() else 0, flush=True)
            if path.exists():
                break
        if not path.exists() or partial_status(path):
            _, status = os.waitpid(start([*arguments, "-o", str(path)]), 0)
            assert status == 0, status
        target += 1
    print("targets", target)


def slow(arguments: list[str]) -> int:
    """Run a command line with a pause after each batch."""
    run = Engine.run

    def run_slowly(self: Engine, *args: Any, **kwargs: Any) -> Any:
        batch = run(self, *args, **kwargs)
        time.sleep(0.05)
        return batch

    Engine.run = run_slowly  # type: ignore[method-assign]
    return main(arguments)


if __name__ == "__main__":
    if sys.argv[1] == "slow":
        # A shell starts its background jobs, tests among them, deaf to Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(slow(sys.argv[2:]))
    kill(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])

"""Writers that come to grief, run as a process of its own by test_writer_crash.py.

``kill FOLDER N``      N runs, each in a forked child killed with SIGKILL at a random moment
``hold TARGET``        open a writer, fork a child that lives on, print its pid, wait
``limit TARGET BYTES`` write under a file size limit; print the error's type and text
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from store_sample import BATCHES, END, append, open_writer

from compread.errors import CompreadError
from compread.store import partial_status


def slow_run(path: Path) -> None:
    """The sample run, slow enough to be hit in every phase."""
    with open_writer(path) as writer:
        for row in np.concatenate(BATCHES):
            append(writer, [row])
            time.sleep(0.003)
        writer.finish(END)


def fork(work: Callable[[], None]) -> int:
    """The pid of a child that does ``work`` and ends without any clean-up."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def kill(folder: Path, n: int) -> None:
    """Print, for each of ``n`` killed runs, how many rows were kept."""
    began = time.perf_counter()
    os.waitpid(fork(lambda: slow_run(folder / "timing.h5")), 0)
    duration = time.perf_counter() - began
    moments = random.Random(0)
    for i in range(n):
        path = folder / f"{i}.h5"
        pid = fork(lambda path=path: slow_run(path))  # type: ignore[misc]
        time.sleep(duration * moments.uniform(0.02, 1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        status = partial_status(path)
        print(status.done if status else "finished" if path.exists() else "nothing")


def hold(path: Path) -> None:
    """Keep a writer open until killed, with a child that outlives the kill."""

    def live_on() -> None:
        # The child says so itself: by then it has let go of what a fork hands on.
        print(os.getpid(), flush=True)
        time.sleep(60)

    with open_writer(path):
        fork(live_on)
        time.sleep(60)


def limit(path: Path, size: int) -> None:
    """Write until the limit is hit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        slow_run(path)
        print("done")
    except CompreadError as error:
        print(type(error).__name__, error)


if __name__ == "__main__":
    command, target, *rest = sys.argv[1:]
    {"kill": kill, "hold": hold, "limit": limit}[command](Path(target), *map(int, rest))

"""Seconds and peak memory of rank, analyze and status over stores of random numbers.

    python tests/benchmarks/large_stores.py FOLDER [--stores 15] [--rows 2000] [--layers 32]
        [--heads 32] [--labels 4] [--command rank --command analyze --command status]

Writes the stores into FOLDER where they are not there yet, then runs each command in a process of
its own and prints its time and its peak memory. Random numbers do not compress, so reading is as
slow as it gets. A thousand small stores, as of a grid of tasks, templates and seeds:

    python tests/benchmarks/large_stores.py FOLDER --stores 1000 --rows 100 --layers 30 --heads 9
        --labels 2
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

from compread.components import LayerShape, component_axis
from compread.store import Labels, RunInfo, SplitRows, StoreWriter

STEP = 500
"""Rows made at a time."""
COMMANDS = ("rank", "analyze", "status")
SEEDS, TEMPLATES = 5, 5
"""Runs of one prompt template, and templates of one task."""


def main() -> None:
    """Parse, write, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, value in (("stores", 15), ("rows", 2000), ("layers", 32), ("heads", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--labels", type=int, default=4)
    parser.add_argument("--train-rows", type=int, default=20)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    paths = [options.folder / f"noise-t-k4-s{seed}.h5" for seed in range(options.stores)]
    for seed, path in enumerate(paths):
        if not path.exists():
            write(path, seed, options)
    size = sum(path.stat().st_size for path in paths) / 2**20
    print(f"{len(paths)} stores of {options.rows} rows, {size:.0f} MiB")
    for command in options.command or COMMANDS:
        seconds, peak = run(command, [str(path) for path in paths])
        print(f"{command}: {seconds:.2f} s, peak {peak:.0f} MiB")


def write(path: Path, seed: int, options: argparse.Namespace) -> None:
    """A store of normal numbers whose components lean towards one label, as real ones do."""
    rng = np.random.default_rng(seed)
    axis = component_axis([LayerShape(options.heads)] * options.layers)
    k, n = options.labels, options.train_rows + options.rows
    of_task = np.random.default_rng(seed // (SEEDS * TEMPLATES))
    gold = of_task.permutation(np.arange(n) % k)
    ids = [str(row) for row in range(n)]
    cut = options.train_rows
    splits = {
        "train": SplitRows(gold[:cut], ids[:cut], ids[:cut]),
        "test": SplitRows(gold[cut:], ids[cut:], ids[cut:]),
    }
    labels = Labels(tuple(f" label{y}" for y in range(k)), tuple(range(k)))
    lean = rng.normal(size=(len(axis), k))
    with StoreWriter.open(path, info(seed), axis, labels, splits) as writer:
        for start in range(0, n, STEP):
            rows = range(start, min(start + STEP, n))
            noise = rng.standard_normal((len(rows), len(axis), k), dtype=np.float32)
            parts = noise + lean
            writer.append(rows, parts, parts.sum(1), np.zeros(len(rows)), np.full(len(rows), 0.9))
        writer.finish(info(seed))


def info(seed: int) -> RunInfo:
    """A run of no model."""
    return RunInfo(
        model="noise", model_type="none", revision=None, fingerprint="0", dtype="float32",
        task=f"noise{seed // (SEEDS * TEMPLATES)}", template=f"t{seed // SEEDS % TEMPLATES}",
        template_text=None, demonstrations=(), seed=seed % SEEDS, shots=4,
        prompt_set=str(seed), shared_prefix=False, prefix_tokens=0, soft_cap=None, tolerance=1e-4,
        batch_tokens=1,
    )  # fmt: skip


def run(command: str, paths: list[str]) -> tuple[float, float]:
    """Seconds and peak MiB of one command in a new process."""
    start = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "compread", command, *paths, "--format", "json"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()

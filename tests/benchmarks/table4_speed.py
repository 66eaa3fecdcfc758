"""How long Table 4 of the paper takes at the size of Llama-2-7B, from stores to tables.

    python tests/benchmarks/table4_speed.py [FOLDER]

Makes stores of random parts in FOLDER (a temporary one by default) where they are not there yet:
eight tasks with the paper's numbers of labels, 15 runs each, 1,058 components, 20 train and 2,000
test rows. A task has three different stores, each under five names, which reading and fitting
cannot tell. Then times `compread reweight` on them in a process of its own, with both budgets, and
says whether that process imported torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from compread.components import LayerShape, component_axis
from compread.store import SplitRows, StoreWriter
from compread.store.schema import Labels, RunInfo

LABELS = {"sst2": 2, "boolq": 2, "qqp": 2, "wic": 2, "rte": 2, "mnli": 3, "arc_easy": 4, "ag": 4}
AXIS = component_axis([LayerShape(32)] * 32)
TRAIN, TEST, DIFFERENT, NAMES = 20, 2000, 3, 5
METHODS = "full,calib+,comprw"


def make_store(path: Path, task: str, seed: int) -> None:
    """One store whose heads say little, a few of them what is right and a few always one label."""
    rng, k, n = np.random.default_rng(seed), LABELS[task], TRAIN + TEST
    gold = rng.integers(0, k, n)
    loudness = rng.lognormal(-3.5, 1.0, len(AXIS)).astype(np.float32)
    parts = rng.normal(size=(n, len(AXIS), k)).astype(np.float32)
    parts += 2 * rng.normal(size=(len(AXIS), k)).astype(np.float32)
    knowing = rng.random(len(AXIS)) < 0.1
    parts[:, knowing] += np.eye(k, dtype=np.float32)[gold][:, None]
    parts *= loudness[:, None]
    run = RunInfo(
        model="random", model_type="llama", revision=None, fingerprint="0", dtype="float32",
        task=task, template=f"t{seed}", template_text="", demonstrations=(), seed=seed, shots=4,
        prompt_set=task + str(seed), shared_prefix=True, prefix_tokens=0, soft_cap=None,
        tolerance=1e-4, batch_tokens=1024,
    )  # fmt: skip
    ids = [str(i) for i in range(n)]
    splits = {
        "train": SplitRows(gold[:TRAIN], ids[:TRAIN], ids[:TRAIN]),
        "test": SplitRows(gold[TRAIN:], ids[TRAIN:], ids[TRAIN:]),
    }
    labels = Labels(tuple(f" {i}" for i in range(k)), tuple(range(k)))
    with StoreWriter.open(path, run, AXIS, labels, splits) as writer:
        for start in range(0, n, 250):
            rows = range(start, min(n, start + 250))
            piece = parts[rows.start : rows.stop]
            size = np.zeros(len(piece)), np.ones(len(piece))
            writer.append(rows, piece, piece.sum(1), *size)
        writer.finish(run)


def make_stores(folder: Path) -> None:
    """All stores that are not there yet."""
    for task in LABELS:
        for seed in range(DIFFERENT):
            first = folder / f"{task}-t{seed}-k4-s0.h5"
            if not first.exists():
                make_store(first, task, seed + 10 * list(LABELS).index(task))
            for name in range(1, NAMES):
                other = folder / f"{task}-t{seed}-k4-s{name}.h5"
                if not other.exists():
                    os.link(first, other)


def main(folder: Path) -> None:
    """Make the stores, run the command, print the time."""
    make_stores(folder)
    size = sum(path.stat().st_size for path in folder.glob("*.h5")) / 1e9
    command = ["reweight", str(folder), "--n-train", "8,20", "--methods", METHODS]
    program = (
        "import sys; from compread.cli import main; status = main(sys.argv[1:]); "
        "print('torch imported:', 'torch' in sys.modules, file=sys.stderr); sys.exit(status)"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *command], check=True)
    seconds = time.perf_counter() - start
    print(
        f"{len(LABELS)} tasks x {DIFFERENT * NAMES} runs x 2 budgets, C {len(AXIS)}, {TEST} test "
        f"rows, {size:.1f} GB of stores, {os.cpu_count()} cores: {seconds:.1f} s"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))

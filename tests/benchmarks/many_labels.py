"""Seconds and peak memory of every reweighting method on a store of many labels.

    python tests/benchmarks/many_labels.py FOLDER [--labels 150] [--rows 300] [--layers 32]
        [--heads 32] [--methods M[,M...]] [--n-train N[,N...]]

Writes the store into FOLDER where it is not there yet: as many train rows as test rows, and
components of which a few know the right label. Then runs ``compread reweight`` in a process of its
own with the default methods together, and with each method of --methods alone, ``all`` for every
one there is.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

from compread.components import LayerShape, component_axis
from compread.options import DEFAULT_METHODS
from compread.reweight.registry import METHODS
from compread.store import Labels, RunInfo, SplitRows, StoreWriter

STEP = 50
"""Rows made at a time."""
LOUD, LEAN, KNOWN = 0.1, 0.1, 0.5
"""Logits: a component's spread over the rows, its lean to labels, what one that knows adds."""


def main() -> None:
    """Parse, write, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, value in (("labels", 150), ("rows", 300), ("layers", 32), ("heads", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--methods", default="")
    parser.add_argument("--n-train")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    shape = f"k{options.labels}-n{options.rows}-l{options.layers}-h{options.heads}"
    path = options.folder / f"{shape}.h5"
    if not path.exists():
        write(path, options)
    print(f"{options.labels} labels, {options.rows} train and {options.rows} test rows, ", end="")
    print(f"{path.stat().st_size / 2**20:.0f} MiB")
    named = METHODS if options.methods == "all" else options.methods.split(",")
    for methods in (",".join(DEFAULT_METHODS), *filter(None, named)):
        budgets = ["--n-train", options.n_train] if options.n_train else []
        seconds, peak = run(path, ["--methods", methods, *budgets])
        print(f"{methods:28} {seconds:7.2f} s   peak {peak:5.0f} MiB", flush=True)


def write(path: Path, options: argparse.Namespace) -> None:
    """A store of normal numbers with a lean for each component; one in fifty knows the label."""
    rng = np.random.default_rng(0)
    axis = component_axis([LayerShape(options.heads)] * options.layers)
    k, cut = options.labels, options.rows
    gold = rng.permutation(np.arange(2 * cut) % k)
    ids = [str(row) for row in range(2 * cut)]
    splits = {
        "train": SplitRows(gold[:cut], ids[:cut], ids[:cut]),
        "test": SplitRows(gold[cut:], ids[cut:], ids[cut:]),
    }
    labels = Labels(tuple(f" label{y}" for y in range(k)), tuple(range(k)))
    lean = LEAN * rng.normal(size=(len(axis), k))
    knows = KNOWN * (np.arange(len(axis)) % 50 == 7)
    unembedding = rng.normal(size=(k, 4 * k))
    info = run_info((unembedding @ unembedding.T).tolist())
    with StoreWriter.open(path, info, axis, labels, splits) as writer:
        for start in range(0, 2 * cut, STEP):
            rows = range(start, min(start + STEP, 2 * cut))
            parts = LOUD * rng.standard_normal((len(rows), len(axis), k), dtype=np.float32) + lean
            parts += knows[:, None] * np.eye(k)[gold[rows.start : rows.stop]][:, None]
            writer.append(rows, parts, parts.sum(1), np.zeros(len(rows)), np.full(len(rows), 0.9))
        writer.finish(info)


def run_info(label_gram: list[list[float]]) -> RunInfo:
    """A run of no model."""
    return RunInfo(
        model="noise", model_type="none", revision=None, fingerprint="0", dtype="float32",
        task="noise", template="t", template_text=None, demonstrations=(), seed=0, shots=4,
        prompt_set="0", shared_prefix=False, prefix_tokens=0, soft_cap=None, tolerance=1e-4,
        batch_tokens=1, label_gram=label_gram,
    )  # fmt: skip


def run(path: Path, options: list[str]) -> tuple[float, float]:
    """Seconds and peak MiB of ``compread reweight`` in a new process."""
    start = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "compread", "reweight", str(path), *options, "--format", "json"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        print(f"{' '.join(options)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()

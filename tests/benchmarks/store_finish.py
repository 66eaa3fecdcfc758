"""CPU seconds that finishing a store takes, beside HDF5's own filters, in one run.

    python tests/benchmarks/store_finish.py [--rows 2000] [--components 1058] [--labels 2]

Each way writes the same rows from their journal once a round; the least of the rounds is printed,
with its share of what HDF5's own filters take and the size of the file. Without ``isal`` its row
is left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from large_stores import STEP, info

from compread.components import LayerShape, component_axis
from compread.store import Labels, SplitRows, StoreWriter, layout, open_store, packing

ROUNDS = 5


@contextmanager
def hdf5_filters() -> Iterator[None]:
    """Chunks through HDF5's own filters: what ``write_direct_chunk`` spares."""
    before = layout._write_numbers

    def write(file: Any, axes: Any, read_rows: Any, sink: Any) -> None:
        dtype, first = axes.row_dtype(), 0
        for split in layout._written(axes):
            n = len(axes.splits[split])
            for name, kind in layout.NUMBERS.items():
                layout._create(file[split], name, (n, *dtype[name].shape), np.dtype(kind))
            for span in layout.spans(n, layout.chunk_rows(n, dtype["parts"].itemsize)):
                records = read_rows(first + span.start, first + span.stop)
                for name in layout.NUMBERS:
                    file[split][name][span] = records[name]
            first += n

    layout._write_numbers = write
    try:
        yield
    finally:
        layout._write_numbers = before


@contextmanager
def packed_by(deflate: Any) -> Iterator[None]:
    """Chunks packed in threads, deflated by this function."""
    before, packing.deflate = packing.deflate, deflate
    try:
        yield
    finally:
        packing.deflate = before


def ways() -> dict[str, Any]:
    """Each way to write, by name."""
    found = {"HDF5's filters": hdf5_filters, "threads, zlib": lambda: packed_by(zlib.compress)}
    try:
        from isal.isal_zlib import compress
    except ImportError:
        return found
    return found | {"threads, isal": lambda: packed_by(compress)}


def finish(path: Path, rows: int, components: int, labels: int) -> tuple[float, float, int]:
    """Seconds of CPU and of the clock that ``finish`` takes, and the store's bytes."""
    gold = np.arange(rows) % labels
    names = tuple(map(str, gold.cumsum() + np.arange(rows)))
    none = SplitRows(np.zeros(0, np.int64), (), ())
    axis = component_axis([LayerShape(components - 3)])
    words = Labels(tuple(f" label{i}" for i in range(labels)), tuple(range(labels)))
    draw = np.random.default_rng(0)
    run = info(0)
    splits = {"train": none, "test": SplitRows(gold, names, names)}
    with StoreWriter.open(path, run, axis, words, splits) as writer:
        for start in range(0, rows, STEP):
            batch = range(start, min(start + STEP, rows))
            parts = draw.normal(size=(len(batch), len(axis), labels)).astype(np.float32)
            none_wrong = np.zeros(len(batch))
            writer.append(batch, parts, parts.sum(1), none_wrong, none_wrong)
        cpu, wall = time.process_time(), time.perf_counter()
        writer.finish(run)
        took = time.process_time() - cpu, time.perf_counter() - wall
    with open_store(path) as store:
        last = np.float32(store.array("test", "parts")[-1])
        assert np.array_equal(last, parts[-1]), "the store holds other numbers"
    return *took, path.stat().st_size


def main() -> None:
    """Write by each way in turn and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("rows", 2000), ("components", 1058), ("labels", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    least: dict[str, tuple[float, float, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            for number, (name, way) in enumerate(ways().items()):
                path = Path(folder, f"{turn}-{number}.h5")
                with way():
                    took = finish(path, options.rows, options.components, options.labels)
                path.unlink()
                least[name] = min(least.get(name, took), took)
    of = least["HDF5's filters"][0]
    raw = options.rows * options.components * options.labels * 4
    print(f"{options.rows} x {options.components} x {options.labels}, least of {ROUNDS} rounds")
    for name, (cpu, wall, size) in least.items():
        share = f"({cpu / of:.2f} x)"
        print(f"{name:15} {cpu:.3f} s of CPU {share}  {wall:.3f} s  {size / raw:.3f} of raw")


if __name__ == "__main__":
    main()

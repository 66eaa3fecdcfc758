"""A small run of random numbers, used by every test of the store and by their subprocesses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from compread.components import LayerShape, component_axis
from compread.store import Labels, RunInfo, SplitRows, Store, StoreWriter

COMPONENTS = component_axis([LayerShape(2), LayerShape(0, mixer=True)])
LABELS = Labels((" bad", " gut ", " 好"), (11, 7, 40000))
C, K, N_TRAIN, N_TEST = len(COMPONENTS), 3, 7, 13
N = N_TRAIN + N_TEST

_rng = np.random.default_rng(0)
GOLD = _rng.integers(0, K, N)
IDS = [f"row-é{i}" if i % 3 else f"r{i}" for i in range(N)]
HASHES = [f"{i * 7919:016x}" for i in range(N)]
ROWS = {
    "train": SplitRows(GOLD[:N_TRAIN], IDS[:N_TRAIN], HASHES[:N_TRAIN]),
    "test": SplitRows(GOLD[N_TRAIN:], IDS[N_TRAIN:], HASHES[N_TRAIN:]),
}
NUMBERS: dict[str, Any] = {
    "parts": _rng.normal(size=(N, C, K)).astype(np.float32),
    "full": _rng.normal(size=(N, K)).astype(np.float32),
    "sum_error": _rng.random(N).astype(np.float32),
    "label_mass": _rng.random(N).astype(np.float32),
}
BATCHES = np.array_split(_rng.permutation(N), 6)

RUN = RunInfo(
    model="tiny",
    model_type="llama",
    revision=None,
    fingerprint="f" * 16,
    dtype="float32",
    task="sst2",
    template="t1",
    template_text="{{text}}\nLabel:",
    demonstrations=("a", "b"),
    seed=0,
    shots=2,
    prompt_set="0123",
    shared_prefix=True,
    prefix_tokens=12,
    soft_cap=None,
    tolerance=1e-4,
    batch_tokens=4096,
    sample_prompt="Schön, 好\x00 \ud800",
)
END = replace(RUN, worst_sum_error=1e-6, date="2025-01-01T00:00:00Z", versions={"torch": "2"})


def open_writer(path: Path, run: RunInfo = RUN, **changes: Any) -> StoreWriter:
    """A writer of the sample, resumed if there is something to resume."""
    axes = {"components": COMPONENTS, "labels": LABELS, "splits": ROWS}
    return StoreWriter.open(path, run, **{**axes, **changes})


def append(writer: StoreWriter, rows: Any) -> None:
    """Append those of ``rows`` that are not done."""
    rows = np.asarray([row for row in rows if not writer.done[row]], dtype=np.int64)
    writer.append(rows, **{name: values[rows] for name, values in NUMBERS.items()})


def write(path: Path, batches: Any = BATCHES, **changes: Any) -> Path:
    """The sample run from start, or from where it stopped, to its end."""
    with open_writer(path, **changes) as writer:
        for rows in batches:
            append(writer, rows)
        return writer.finish(END)


def stop_after(path: Path, n: int, **changes: Any) -> None:
    """The sample run, stopped after ``n`` batches."""
    with open_writer(path, **changes) as writer:
        for rows in BATCHES[:n]:
            append(writer, rows)


def contents(path: Path) -> dict[str, Any]:
    """Every dataset's name, type and bytes, and every root attribute, through h5py alone."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype, item.shape, item.chunks, item[...].tobytes())

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        found.update({f"@{key}": np.asarray(value).tobytes() for key, value in file.attrs.items()})
    return found


def assert_equals_sample(store: Store) -> None:
    """Every value of the store is exactly the sample's."""
    assert store.components == COMPONENTS
    assert store.labels == LABELS
    assert store.run == END
    for name, rows in (("train", slice(0, N_TRAIN)), ("test", slice(N_TRAIN, N))):
        split = store.split(name)
        assert split.gold.tolist() == GOLD[rows].tolist()
        assert split.id == tuple(IDS[rows])
        assert split.prompt_hash == tuple(HASHES[rows])
        for key, values in NUMBERS.items():
            got = getattr(split, key)
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, values[rows])

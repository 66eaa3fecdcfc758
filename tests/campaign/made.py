"""Stores that attacks begin with, and what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import store_sample
from conftest import AXIS, make_run, planted_parts

from compread.store import Labels, SplitRows, StoreWriter, open_store
from compread.store.schema import ALL_SPLITS

ARCHIVES = sorted((Path(store_sample.__file__).parent / "store" / "data").glob("store-v*.h5"))


def planted(path: Path, seed: int = 0, n_train: int = 20, n_test: int = 60) -> Path:
    """A store of two labels in which some components are good and some are bad."""
    rng, n = np.random.default_rng(seed), n_train + n_test
    gold = rng.permuted(np.arange(n) % 2)
    parts = planted_parts(rng, gold, 2)
    ids = [f"row-{i}" for i in range(n)]
    spans = {"train": slice(0, n_train), "test": slice(n_train, n)}
    splits = {name: SplitRows(gold[span], ids[span], ids[span]) for name, span in spans.items()}
    info = make_run(seed=seed)
    labels = Labels((" negative", " positive"), (100, 101))
    with StoreWriter.open(path, info, AXIS, labels, splits) as writer:
        writer.append(range(n), parts, parts.sum(1), np.full(n, 1e-6), np.full(n, 0.8))
        return writer.finish(info)


def digest(path: Path) -> str:
    """A hash over every value that the reader gives out.

    Raises:
        StoreError: as the reader does.
    """
    found = hashlib.sha256()
    with open_store(path) as store:
        found.update(repr((store.run, store.components, store.labels)).encode())
        for name in ALL_SPLITS:
            split = store.split(name)
            found.update(repr((split.id, split.prompt_hash, split.gold.tolist())).encode())
            for values in (split.parts, split.full, split.sum_error, split.label_mass):
                found.update(repr(values.shape).encode() + values.tobytes())
    return found.hexdigest()

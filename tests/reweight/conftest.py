"""Stores of random parts, in memory, with a few components that know the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compread.components import LayerShape, component_axis
from compread.store.schema import Labels, RunInfo, Split

AXIS = component_axis([LayerShape(3), LayerShape(0, mixer=True), LayerShape(3)])


@dataclass
class MemoryStore:
    """What the reweighting room asks of a store."""

    path: Path
    components: tuple
    labels: Labels
    run: RunInfo
    splits: dict
    pooling: None = None

    @property
    def axes(self) -> SimpleNamespace:
        """The labels as stored, and what is known of the rows."""
        return SimpleNamespace(labels=self.labels, splits=self.splits, has_own_answers=False)

    def gold(self, name: str) -> np.ndarray:
        """[N] the right labels of a split."""
        return self.splits[name].gold

    def split(self, name: str) -> Split:
        """A split by name."""
        return self.splits[name]

    def rows(self, name: str) -> int:
        """N of a split."""
        return len(self.splits[name])

    def answers(self, name: str) -> tuple:
        """None of a row's own."""
        return ()

    def label_gram(self, name: str) -> np.ndarray:
        """Of random unembeddings of several lengths, each row's own as under a pooling."""
        n, k = self.splits[name].full.shape
        rows = np.random.default_rng(k).normal(size=(n, k, 5)) * np.arange(1, k + 1)[:, None]
        return rows @ rows.swapaxes(1, 2)


def make_split(rng: np.random.Generator, n: int, labels: int, name: str) -> Split:
    """Parts 2 and 8 know the right label, part 5 always says the first."""
    gold = rng.integers(0, labels, n)
    parts = rng.normal(size=(n, len(AXIS), labels)).astype(np.float32)
    parts[:, [2, 8]] += np.eye(labels, dtype=np.float32)[gold][:, None]
    parts[:, 5, 0] += 6
    return Split(
        parts=parts,
        full=parts.sum(1),
        gold=gold,
        id=tuple(f"{name}-{i}" for i in range(n)),
        sum_error=np.zeros(n, np.float32),
        label_mass=np.full(n, 0.9, np.float32),
        prompt_hash=tuple(f"{i:x}" for i in range(n)),
    )


def make_run(**changes) -> RunInfo:
    """A run of a tiny model."""
    values = dict(
        model="tiny", model_type="llama", revision=None, fingerprint="f00d", dtype="float32",
        task="sst2", template="t1", template_text="{text}", demonstrations=("a", "b"), seed=0,
        shots=4, prompt_set="beef", shared_prefix=True, prefix_tokens=7, soft_cap=None,
        tolerance=1e-4, batch_tokens=1024,
    )  # fmt: skip
    return RunInfo(**{**values, **changes})


def make_calibration(rng: np.random.Generator, labels: int) -> Split:
    """Three rows without content and four of random words, without right labels."""
    ids = (*(f"content-free-{i}" for i in range(3)), *(f"domain-{i}" for i in range(4)))
    split = make_split(rng, len(ids), labels, "calibration")
    return replace(split, gold=np.zeros_like(split.gold), id=ids)


@pytest.fixture(scope="session")
def make_store():
    """A function that makes a store: ``make_store(seed=1, n_train=8, task="qqp")``."""

    def make(seed=0, n_train=20, n_test=60, labels=2, path=None, **run) -> MemoryStore:
        rng = np.random.default_rng(seed)
        words = tuple(f" label{k}" for k in range(labels))
        return MemoryStore(
            path=Path(path or f"s{seed}.h5"),
            components=AXIS,
            labels=Labels(words, tuple(range(100, 100 + labels))),
            run=make_run(seed=seed, **run),
            splits={
                "train": make_split(rng, n_train, labels, "train"),
                "test": make_split(rng, n_test, labels, "test"),
                "calibration": make_calibration(rng, labels),
            },
        )

    return make

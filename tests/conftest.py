"""Planted runs: components whose accuracy, bias and margin a test can work out by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from compread.components import LayerShape, component_axis
from compread.store import Labels, RunInfo, Split, SplitRows, StoreWriter

# Processes that tests start buffer as they do for users, or faults of a late flush go unseen.
os.environ.pop("PYTHONUNBUFFERED", None)

# A busy machine is no fault of what is tested.
settings.register_profile("compread", deadline=None)
settings.load_profile("compread")

AXIS = component_axis([LayerShape(2), LayerShape(2), LayerShape(0, mixer=True)])
PROMPT = "Review: ok\nSentiment: positive\n\n" * 4 + "Review: dull\nSentiment:"


def planted_parts(rng: np.random.Generator, gold: np.ndarray, k: int) -> np.ndarray:
    """Parts [N, C, K] of noise, but for five components that do one thing each.

    L0H0 is right on 9 rows of 10 and L0H1 never, L1H0 always says the first label and L1MLP the
    last, and L1H1 is all ties.
    """
    n = len(gold)
    parts = rng.normal(size=(n, len(AXIS), k)).astype(np.float32)
    names = [c.name for c in AXIS]
    right = np.eye(k, dtype=np.float32)[gold]
    parts[:, names.index("L0H0")] = right
    parts[::10, names.index("L0H0")] = np.roll(right[::10], 1, axis=1)
    parts[:, names.index("L0H1")] = -right
    parts[:, names.index("L1H0")] = np.eye(k)[0] * 3
    parts[:, names.index("L1MLP")] = np.eye(k)[-1] * 2
    parts[:, names.index("L1H1")] = 0.5
    return parts


def make_run(**changes: Any) -> RunInfo:
    """A run of a tiny model."""
    values: dict[str, Any] = dict(
        model="tiny", model_type="llama", revision=None, fingerprint="f00d", dtype="float32",
        task="sst2", template="t1", template_text="{{text}}\nSentiment:",
        demonstrations=("a", "b"), seed=0, shots=4, prompt_set="beef", shared_prefix=True,
        prefix_tokens=7, soft_cap=None, tolerance=1e-4, batch_tokens=1024,
        worst_sum_error=2e-7, versions={"torch": "2.13.0"}, date="2025-01-01T00:00:00+00:00",
        command="compread extract -o s.h5", sample_prompt=PROMPT,
    )  # fmt: skip
    run = RunInfo(**{**values, **changes})
    # Runs of other prompts have another hash, or they would be copies of one run.
    prompts = run.task, run.template, run.demonstrations, run.seed, run.shots
    return run if "prompt_set" in changes else replace(run, prompt_set=f"beef {prompts}")


@pytest.fixture(scope="session")
def make_split() -> Callable[..., Split]:
    """A function that makes a split from parts [N, C, K], gold [N] and full [N, K]."""

    def make(parts: Any, gold: Any, full: Any = None) -> Split:
        parts = np.asarray(parts, np.float32)
        n = len(parts)
        return Split(
            parts=parts,
            full=parts.sum(1) if full is None else np.asarray(full, np.float32),
            gold=np.asarray(gold, np.int64),
            id=tuple(map(str, range(n))),
            sum_error=np.zeros(n, np.float32),
            label_mass=np.full(n, 0.8, np.float32),
            prompt_hash=tuple("0" for _ in range(n)),
        )

    return make


@pytest.fixture(scope="session")
def write_store() -> Callable[..., Path]:
    """A function that writes a planted store and gives back its path."""

    def write(
        path: Path,
        seed: int = 0,
        n_train: int = 10,
        n_test: int = 100,
        words: tuple[str, ...] = (" negative", " positive"),
        axis: Any = AXIS,
        classes: tuple[str, ...] = (),
        **run: Any,
    ) -> Path:
        rng, k, n = np.random.default_rng(seed), len(words), n_train + n_test
        gold = rng.permuted(np.arange(n) % k)
        info = make_run(seed=seed, **run)
        if "prompt_set" not in run:
            info = replace(info, prompt_set=f"{info.prompt_set} {words} {n}")
        parts = planted_parts(rng, gold, k) if axis is AXIS else rng.normal(size=(n, len(axis), k))
        full = np.eye(k)[gold] + rng.normal(size=(n, k))
        ids = [f"row-{i}" for i in range(n)]
        cut = n_train
        splits = {
            "train": SplitRows(gold[:cut], ids[:cut], ids[:cut]),
            "test": SplitRows(gold[cut:], ids[cut:], ids[cut:]),
        }
        labels = Labels(words, tuple(range(100, 100 + k)), classes)
        with StoreWriter.open(path, info, axis, labels, splits) as writer:
            writer.append(range(n), parts, full, np.full(n, 1e-6), np.full(n, 0.8))
            return writer.finish(info)

    return write


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory, write_store: Any) -> Path:
    """A folder of three planted stores of one task."""
    folder = tmp_path_factory.mktemp("planted")
    for seed in range(3):
        write_store(folder / f"sst2-t1-k4-s{seed}.h5", seed=seed)
    return folder


@pytest.fixture
def doubled(tmp_path: Path) -> Any:
    """A function that writes noise of which each test row stands so many times, with its hash."""

    def write(name: str, times: int, n: int = 60, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        gold = rng.permutation(np.arange(n) % 2)
        parts = rng.normal(size=(n, len(AXIS), 2)).astype(np.float32)
        order = np.tile(np.arange(n), times)
        info = make_run()
        hashes = [f"h{i}" for i in order]
        rows = {"test": SplitRows(gold[order], [f"{i}" for i in range(len(order))], hashes)}
        path = tmp_path / name
        with StoreWriter.open(path, info, AXIS, Labels((" a", " b"), (1, 2)), rows) as writer:
            count = len(order)
            x = parts[order]
            writer.append(range(count), x, x.sum(1), np.zeros(count), np.ones(count))
            return writer.finish(info)

    return write

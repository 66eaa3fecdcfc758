"""On a real model, the numbers are those of the paper's own code.

Every eighth row is run; all of them where COMPREAD_TEST_GGUF names the model's file (minutes).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compread.demo.fetch import cache_folder
from compread.extract import ExtractOptions, Extractor
from compread.model import ModelRequest, load_model
from compread.prompts import PromptSet, read_prompt_file
from compread.store import Store, open_store

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SPLITS = {"train": "dev", "test": "test"}
STEP = 1 if "COMPREAD_TEST_GGUF" in os.environ else 8


def model_file() -> Path:
    """The real model, or a skip that says where it is looked for."""
    if named := os.environ.get("COMPREAD_TEST_GGUF"):
        return Path(named)
    found = sorted(cache_folder().rglob(GGUF))
    if not found:
        pytest.skip(f"{GGUF} is not here: run `compread demo` once, or set COMPREAD_TEST_GGUF")
    return found[0]


@pytest.fixture(scope="module")
def golden() -> Any:
    """What the paper's released code computed, on the rows that are run here (N the last but one).

    ``words`` has no rows.
    """
    if not (GOLDEN / "sst2-0.npz").is_file():
        pytest.skip("the golden numbers of the paper's code are not beside this checkout")
    arrays = np.load(GOLDEN / "sst2-0.npz")
    return {n: a if n == "words" else a[..., ::STEP, :] for n, a in arrays.items()}


def some_rows(prompts: PromptSet) -> PromptSet:
    """Every ``STEP``-th row of each split."""
    kept = [
        prompt
        for split in SPLITS
        for prompt in [p for p in prompts.prompts if p.split == split][::STEP]
    ]
    return replace(prompts, prompts=tuple(kept))


@pytest.fixture(scope="module")
def store(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of the golden prompts, made here from the real model in float32."""
    file = model_file()
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        pytest.skip(f"a .gguf file is read with {' and '.join(missing)}, which are not installed")
    loaded = load_model(ModelRequest(str(file), dtype="float32", device="cpu"))
    prompts = some_rows(read_prompt_file(GOLDEN / "sst2-0.jsonl"))
    target = tmp_path_factory.mktemp("golden") / "sst2-0.h5"
    done = Extractor(loaded).extract(prompts, target, ExtractOptions())
    assert done.warnings == () and done.worst_error < 1e-4
    with open_store(target) as opened:
        yield opened


def test_labels_and_rows_are_those_of_the_golden_run(golden: Any, store: Store) -> None:
    """The words stand in the same columns and the rows in the same order."""
    assert list(store.labels.word) == list(golden["words"])
    lines = (GOLDEN / "sst2-0.jsonl").read_text(encoding="utf-8").splitlines()
    for split in SPLITS:
        rows = [row for row in map(json.loads, lines) if row["split"] == split][::STEP]
        gold = [store.labels.word.index(row["label"]) for row in rows]
        assert store.split(split).gold.tolist() == gold


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", ["head", "mlp"])
def test_every_head_and_mlp_is_within_1e_3(
    golden: Any, store: Store, kind: str, split: str
) -> None:
    """Each component's contribution to each label on each row."""
    parts = store.split(split).parts
    for column, component in enumerate(store.components):
        if component.kind == kind:
            of_layer = golden[f"{kind}s_{SPLITS[split]}"][component.layer]
            expected = of_layer[component.head] if kind == "head" else of_layer
            assert np.abs(parts[:, column] - expected).max() < 1e-3, component.name


@pytest.mark.parametrize("split", SPLITS)
def test_full_logits_are_within_1e_3(golden: Any, store: Store, split: str) -> None:
    """The model's own label logits."""
    assert np.abs(store.split(split).full - golden[f"full_{SPLITS[split]}"]).max() < 1e-3


@pytest.mark.parametrize("split", SPLITS)
def test_the_parts_add_up_on_the_real_model(store: Store, split: str) -> None:
    """Σ parts is the model's own logit within 1e-4 of the logit's size."""
    rows = store.split(split)
    off = np.abs(rows.parts.sum(1, dtype=np.float64) - rows.full)
    assert (off / np.abs(rows.full).max(1, keepdims=True)).max() < 1e-4

"""Stores of families of every kind go through the commands that read stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from families import lacking
from tiny_folder import byte_tokenizer, review_rows, write_rows
from transformers import AutoConfig

from compread.check import twin_sizes
from compread.check.twin import build_twin
from compread.cli import main

KINDS = {
    "gpt2": "full heads, learned positions",
    "bloom": "blocks that return the stream",
    "llama": "grouped heads",
    "falcon": "parallel",
    "gpt_neox": "parallel, biases",
    "openai-gpt": "norms on the stream",
    "qwen3": "norms of queries and keys",
    "olmo2": "post-norms",
    "gemma2": "post-norms, soft-cap",
    "gemma3_text": "windows",
    "gemma4_text": "keys shared between layers",
    "gpt_oss": "sinks, experts",
    "granite": "multipliers",
    "mixtral": "experts",
    "deepseek_v3": "latent attention, experts",
    "qwen3_next": "linear attention beside attention",
    "jamba": "state-space beside attention",
    "falcon_h1": "state-space and attention in one layer",
    "recurrent_gemma": "recurrences beside attention",
    "mamba": "state-space alone",
    "rwkv": "recurrences alone",
    "doge": "learned scales of the stream",
    "diffllama": "heads in pairs",
    "gemma3n_text": "several streams, one active",
    "deepseek_v4": "several streams, all mixed",
}
QUICK = ("llama", "gemma2", "qwen3_next", "mamba", "gemma3n_text", "deepseek_v4")
"""In the ordinary suite."""
MIXERS = {"qwen3_next", "jamba", "falcon_h1", "recurrent_gemma", "mamba", "rwkv"}


@pytest.fixture
def folder(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A twin of a family that knows bytes, saved as people save models."""
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    for name in ("vocab_size", "vocab_size_per_layer_input"):
        monkeypatch.setitem(twin_sizes.TWIN_SIZE, name, 320)
    model = build_twin(AutoConfig.for_model(kind), torch.float32)
    model.save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert main([*arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore")  # each family has its own
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in KINDS]
)
def test_from_a_folder_to_weights(
    kind: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Extract, rank, analyze and reweight, with the components that the family has."""
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(14, n_train=6))
    store = str(tmp_path / "run.h5")
    assert main(["extract", "--model", str(folder), "--prompts", str(prompts), "-o", store]) == 0
    ranked = printed(capsys, "rank", store)
    kinds = {row["kind"] for row in ranked}
    assert ("mixer" in kinds) == (kind in MIXERS)
    assert ("head" in kinds) == (kind not in ("mamba", "rwkv"))
    assert all(0 <= row["accuracy"] <= 1 for row in ranked)
    analyzed = printed(capsys, "analyze", store)
    assert analyzed
    rows = printed(capsys, "reweight", store, "--n-train", "6")
    assert "comprw" in json.dumps(rows) and "full" in json.dumps(rows)

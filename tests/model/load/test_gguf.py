"""A ``.gguf`` file is read as it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_folder import byte_tokenizer
from tokenizers.processors import TemplateProcessing

from compread.model import (
    LoadedModel,
    ModelRequest,
    load_model,
    load_tokenizer,
    load_without_weights,
)
from compread.model.load.gguf import begin_as_stated

gguf = pytest.importorskip("gguf")
D, F, KEYS = 24, 20, 12
SHAPES = {
    "attn_norm": (D,), "attn_q": (D, D), "attn_k": (KEYS, D), "attn_v": (KEYS, D),
    "attn_output": (D, D), "ffn_norm": (D,), "ffn_gate": (F, D), "ffn_up": (F, D),
    "ffn_down": (D, F),
}  # fmt: skip


def write_gguf(path: Path, add_bos: bool | None = None) -> dict[str, np.ndarray]:
    """Write a tiny Llama with the byte tokenizer, and return its tensors."""
    bpe = json.loads(byte_tokenizer().backend_tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    file = gguf.GGUFWriter(path, "llama")
    file.add_context_length(64)
    file.add_embedding_length(D)
    file.add_block_count(1)
    file.add_feed_forward_length(F)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_freq_base(10000.0)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("default")
    file.add_token_list(tokens)
    file.add_token_types([3 if token in ("<s>", "</s>") else 1 for token in tokens])
    file.add_token_merges([" ".join(pair) for pair in bpe["merges"]])
    file.add_bos_token_id(0)
    file.add_eos_token_id(1)
    if add_bos is not None:
        file.add_add_bos_token(add_bos)
    shapes = {f"blk.0.{name}.weight": shape for name, shape in SHAPES.items()}
    shapes |= {"token_embd.weight": (len(tokens), D), "output_norm.weight": (D,)}
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    for name, tensor in tensors.items():
        file.add_tensor(name, tensor)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return tensors


def load(path: Path) -> LoadedModel:
    """The model of a file, in float32 on the CPU."""
    return load_model(ModelRequest(str(path), dtype="float32", device="cpu"))


@pytest.mark.parametrize("add_bos", [True, False])
def test_a_text_begins_as_the_file_says(tmp_path: Path, add_bos: bool) -> None:
    """The beginning-of-text token is in front where the file says so, and nowhere else."""
    write_gguf(tmp_path / "tiny.gguf", add_bos)
    tokenizer = load(tmp_path / "tiny.gguf").tokenizer
    bare = tokenizer("Review: film", add_special_tokens=False)["input_ids"]
    assert tokenizer.bos_token_id == 0 not in bare
    assert tokenizer("Review: film")["input_ids"] == [0] * add_bos + bare
    assert tokenizer.decode(bare) == "Review: film"


@pytest.mark.parametrize(
    ("says", "front"), [(True, [[0], [0]]), (False, [[], []]), (None, [[0], []])]
)
def test_any_tokenizer_is_made_to_begin_so(
    tmp_path: Path, says: bool | None, front: list[list[int]]
) -> None:
    """With the token in front or without, a tokenizer ends up as the file says, if it does."""
    write_gguf(tmp_path / "tiny.gguf", says)
    with_token, without = byte_tokenizer(), byte_tokenizer()
    without.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    for tokenizer, expected in zip((with_token, without), front, strict=True):
        bare = tokenizer("film", add_special_tokens=False)["input_ids"]
        begin_as_stated(tokenizer, tmp_path / "tiny.gguf")
        assert tokenizer("film")["input_ids"] == expected + bare


def test_the_weights_are_the_files(tmp_path: Path) -> None:
    """The tensors arrive as they were written; the unembedding is the embedding where none is."""
    tensors = write_gguf(tmp_path / "tiny.gguf")
    loaded = load(tmp_path / "tiny.gguf")
    weights = loaded.model.state_dict()
    for ours, theirs in {
        "model.embed_tokens": "token_embd",
        "lm_head": "token_embd",
        "model.norm": "output_norm",
        "model.layers.0.self_attn.o_proj": "blk.0.attn_output",
        "model.layers.0.mlp.down_proj": "blk.0.ffn_down",
    }.items():
        expected = torch.from_numpy(tensors[f"{theirs}.weight"])
        assert torch.equal(weights[f"{ours}.weight"], expected)
    assert (loaded.model_type, loaded.context_length) == ("llama", 64)


@pytest.mark.parametrize("make", [load_model, load_tokenizer, load_without_weights])
def test_a_file_is_parsed_once(
    make: Callable[[ModelRequest], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser runs once for all that is loaded, again for the next, and is left as it was."""
    parsed: list[str] = []

    class Counting(gguf.GGUFReader):
        def __init__(self, path: str, *mode: str) -> None:
            parsed.append(path)
            super().__init__(path, *mode)

    monkeypatch.setattr(gguf, "GGUFReader", Counting)
    write_gguf(tmp_path / "tiny.gguf")
    for times in (1, 2):
        make(ModelRequest(str(tmp_path / "tiny.gguf"), dtype="float32", device="cpu"))
        assert parsed == [str(tmp_path / "tiny.gguf")] * times
    assert gguf.GGUFReader is Counting

"""Numbers that are not finite are told of with their place and their reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from loud import loud_model
from tiny_folder import TINY, byte_tokenizer, review_rows, save_tiny, write_rows

from compread.cli import main
from compread.errors import ModelError
from compread.extract import preview
from compread.model import ModelRequest, find_anatomy, load_model
from compread.model.finite import first_not_finite
from compread.store import open_store, partial_status

NAN, INF = float("nan"), float("inf")


def layer(model: Any, n: int = 1) -> Any:
    """A layer of the tiny model."""
    return model.model.layers[n]


def spoil(weight: Callable[[Any], torch.Tensor], value: float) -> Callable[[Any], None]:
    """Damage: the first entry of a weight is another number."""

    def damage(model: Any) -> None:
        with torch.no_grad():
            weight(model).view(-1)[0] = value

    return damage


def overflow(model: Any) -> None:
    """The second layer's MLP writes more than float16 holds; each of its weights does fit."""
    for one in (layer(model).mlp.up_proj, layer(model).mlp.gate_proj):
        one.weight.data.mul_(30.0)
    layer(model).mlp.down_proj.weight.data.fill_(3e4)


def both_layers(model: Any) -> None:
    """A weight of each layer is damaged."""
    spoil(lambda m: layer(m, 0).mlp.up_proj.weight, NAN)(model)
    spoil(lambda m: layer(m, 1).mlp.up_proj.weight, NAN)(model)


HALF, FULL = torch.float16, torch.float32
CASES: dict[str, tuple[Callable[[Any], None], torch.dtype, str]] = {
    "NaN": (
        spoil(lambda m: layer(m).self_attn.o_proj.weight, NAN), FULL,
        r"its weight model.layers.1.self_attn.o_proj.weight holds NaN or infinity.* fetch",
    ),
    "two": (
        both_layers, FULL,
        r"model.layers.0.mlp.up_proj.weight and 1 more holds NaN",
    ),
    "infinite": (
        spoil(lambda m: m.model.norm.weight, INF), FULL, r"its weight model.norm.weight holds NaN",
    ),
    "unembedding": (
        spoil(lambda m: m.lm_head.weight, NAN), FULL, r"its weight lm_head.weight holds NaN",
    ),
    "too large": (
        spoil(lambda m: layer(m).mlp.up_proj.weight, 1e6), HALF,
        r"layers.1.mlp.up_proj.weight does not fit into float16; .*try --dtype bfloat16 or float32",
    ),
    "overflow": (
        overflow, HALF,
        r"stop being finite at model.layers.1.mlp.down_proj \(Linear\); every weight is finite, "
        r"float16 holds numbers up to 65504: try --dtype bfloat16 or float32",
    ),
    "overflow in float32": (
        lambda m: layer(m).mlp.down_proj.weight.data.fill_(3e38), FULL,
        r"finite at model.layers.1.mlp.down_proj .*do not belong to this config, or are damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "dtype", "words"), CASES.values(), ids=CASES)
def test_the_place_and_the_reason(
    damage: Callable[[Any], None], dtype: torch.dtype, words: str
) -> None:
    """Not the architecture is blamed but a weight, or the type at the module that overflows."""
    model = loud_model(TINY, torch.float32)
    damage(model)
    with pytest.raises(ModelError, match=words):
        find_anatomy(model.to(dtype))


def test_a_sound_model_has_no_such_place() -> None:
    """Nothing is found where all is finite."""
    assert first_not_finite(loud_model(TINY, torch.float32), [1, 2, 3]) is None


def one_bad_row(folder: Path, change: Callable[[Any], None]) -> Path:
    """A model that only a prompt with a ``~`` makes not finite."""
    model = loud_model(TINY, torch.float32)
    change(model)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def tilde() -> int:
    """Its token."""
    return int(byte_tokenizer()("~", add_special_tokens=False)["input_ids"][0])


def large(model: Any) -> None:
    """The embedding of ``~`` fits into float16, and what is added to it does not."""
    model.model.embed_tokens.weight.data[tilde()] = 6.5e4
    layer(model, 0).self_attn.o_proj.bias.data.fill_(600.0)


def broken(model: Any) -> None:
    """The embedding of ``~`` is NaN."""
    model.model.embed_tokens.weight.data[tilde()] = NAN


@pytest.mark.parametrize(
    ("change", "dtype", "words"),
    [
        (large, "float16", "stop being finite at model.layers.0.*--dtype bfloat16"),
        (broken, "float32", "its weight model.embed_tokens.weight holds NaN"),
    ],
    ids=["overflow", "NaN"],
)
def test_a_row_that_overflows_in_the_middle_of_a_run(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Any], None],
    dtype: str,
    words: str,
) -> None:
    """It is named, and every other row of its batch is kept."""
    folder = one_bad_row(tmp_path / "model", change)
    rows = review_rows(24)
    rows[11]["prompt"] = rows[11]["prompt"].replace("good 11", "go~d 11")
    prompts, store = write_rows(tmp_path / "p.jsonl", rows), tmp_path / "x.h5"
    command = ["extract", "--model", str(folder), "--prompts", str(prompts), "-o", str(store)]
    command += ["--dtype", dtype, "-q", "--device", "cpu"]
    capsys.readouterr()
    assert main([*command, "--batch-tokens", "8192"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: row 'r11': ") and said.count("\n") == 1
    assert "the finished rows are kept" in said
    assert re.search(words, said)
    assert not store.exists()
    left = partial_status(store)
    assert left is not None and left.done == 23
    # Without that row the run is another one, and whole.
    write_rows(prompts, [row for row in rows if row["id"] != "r11"])
    assert main([*command, "--force"]) == 0
    with open_store(store) as kept:
        assert kept.rows("test") == 23


def test_predict_and_preview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new row that overflows is named as well; so is a prompt that is only shown."""
    folder = one_bad_row(tmp_path / "model", broken)
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(12, n_train=8))
    store, weights = tmp_path / "x.h5", tmp_path / "w.json"
    extract = ["extract", "--model", str(folder), "--prompts", str(prompts), "-o", str(store)]
    assert main([*extract, "-q"]) == 0
    assert main(["reweight", str(store), "--methods", "comprw", "--save", str(weights)]) == 0
    rows = tmp_path / "rows.jsonl"
    texts = ["Review: good\nSentiment:", "Review: a very g~od one\nSentiment:", "Review:"]
    rows.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    capsys.readouterr()
    predict = ["predict", "--model", str(folder), "--weights", str(weights)]
    assert main([*predict, "--input", str(rows)]) == 1
    assert "row '1': its weight model.embed_tokens.weight holds NaN" in capsys.readouterr().err
    loaded = load_model(ModelRequest(str(folder)))
    with pytest.raises(ModelError, match="a prompt of 2 tokens: its weight"):
        preview(loaded, [0, tilde()], [3, 4])


def test_half_precision_says_so_in_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Extract ends with one line before a row is run."""
    folder = save_tiny(tmp_path / "model")
    model = load_model(ModelRequest(str(folder))).model
    overflow(model)
    model.save_pretrained(folder)
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(4))
    command = ["extract", "--model", str(folder), "--prompts", str(prompts), "--dtype", "float16"]
    assert main([*command, "-o", str(tmp_path / "x.h5"), "-q"]) == 1
    said = capsys.readouterr().err
    assert "model.layers.1.mlp.down_proj" in said and said.count("\n") == 1

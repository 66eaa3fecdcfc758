"""Models with vocabularies of their own go through the whole chain, whatever their tokens are."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_folder import save_tiny, write_rows
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from compread.cli import main
from compread.errors import ModelError
from compread.model import ModelRequest, load_tokenizer
from compread.store import open_store

MOVES = ("e4", "e5", "d4", "d5", "Nf3", "Nc6", "c4", "Bb5", "O-O", "a6")
END = "positive", "negative"


def word_level(folder: Path) -> None:
    """Whole words, split at blanks: moves of a game and who wins it."""
    known = ["[UNK]", *MOVES, "white", "black", ">"]
    core = Tokenizer(models.WordLevel({w: n for n, w in enumerate(known)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]").save_pretrained(folder)


def letters(folder: Path) -> None:
    """Letters of a genome, with no special token at all and none for what is unknown."""
    core = Tokenizer(models.WordLevel({letter: n for n, letter in enumerate("ACGT>+-")}))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=core).save_pretrained(folder)


def tekken(folder: Path) -> None:
    """The file of Mistral's own tokenizer: bytes, two words, and control tokens."""
    pytest.importorskip("mistral_common", reason="mistral_common is not installed")
    pieces = [bytes([n]) for n in range(256)]
    pieces += [f" {word}"[:end].encode() for word in END for end in range(2, len(word) + 2)]
    vocabulary = [
        {"rank": n, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
        for n, piece in enumerate(pieces)
    ]
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "<pad>"]
    names += ["[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]"]
    names += ["[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"]
    special = [{"rank": n, "token_str": t, "is_control": True} for n, t in enumerate(names)]
    size = len(vocabulary) + len(special)
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|[^\s\p{L}\p{N}]+|\s+",
        "num_vocab_tokens": len(vocabulary), "default_vocab_size": size,
        "default_num_special_tokens": len(special), "version": "v3",
    }  # fmt: skip
    document = {"config": config, "vocab": vocabulary, "special_tokens": special}
    (folder / "tekken.json").write_text(json.dumps(document))


Kind = tuple[Callable[[Path], None], Callable[[int], str], tuple[str, str], int]
KINDS: dict[str, Kind] = {
    "words": (
        word_level, lambda n: f"{MOVES[n % 10]} {' '.join(MOVES[: n % 3])} {MOVES[-n % 7]} > ",
        ("white", "black"), 11,
    ),
    "letters": (letters, lambda n: "ACGT"[n % 4] * (1 + n % 3) + "GATTACA>", ("+", "-"), 5),
    "tekken": (tekken, lambda n: f"Review: so {n}\nSentiment:", (" positive", " negative"), 280),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("save", "text", "labels", "first"), KINDS.values(), ids=KINDS)
def test_the_whole_chain(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    save: Callable[[Path], None],
    text: Callable[[int], str],
    labels: tuple[str, str],
    first: int,
) -> None:
    """From extract to predict, with the tokens that the vocabulary has for the labels."""
    folder, store, weights = tmp_path / "model", tmp_path / "a.h5", tmp_path / "w.json"
    save_tiny(folder, tokenizer=False)
    save(folder)
    rows = [
        {"prompt": text(n), "label": labels[n % 2], "options": labels, "id": f"r{n}",
         "split": "train" if n < 12 else "test"}
        for n in range(24)
    ]  # fmt: skip
    prompts = write_rows(tmp_path / "p.jsonl", rows)
    extract = ["extract", "--model", str(folder), "--prompts", str(prompts), "-o", str(store)]
    assert main([*extract, "--show-prompts", "1"]) == 0
    said = capsys.readouterr().err
    assert "likeliest: " in said and "'None'" not in said
    with open_store(store) as kept:
        assert kept.labels.token_id[0] == first
        assert kept.rows("test") == 12
    for command in (["analyze", store], ["rank", store, "--top", "3"]):
        assert main([*map(str, command)]) == 0
    assert main(["reweight", str(store), "--methods", "comprw", "--save", str(weights)]) == 0
    new = write_rows(tmp_path / "new.jsonl", [{"prompt": row["prompt"]} for row in rows[12:]])
    capsys.readouterr()
    predict = ["predict", "--model", str(folder), "--weights", str(weights), "--input", str(new)]
    assert main(predict) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 12 and {a["label"] for a in answers} <= set(labels)


def test_rows_beyond_the_vocabulary_are_said_to_be_unused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny model's unembedding has 320 rows, and its vocabulary fourteen words."""
    folder = save_tiny(tmp_path / "model", tokenizer=False)
    word_level(folder)
    rows = [{"prompt": f"{MOVES[0]} > ", "label": "white", "options": ["white", "black"]}]
    prompts = write_rows(tmp_path / "p.jsonl", rows)
    command = ["extract", "--model", str(folder), "--prompts", str(prompts), "--show-prompts", "1"]
    assert main([*command, "-o", str(tmp_path / "a.h5")]) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if "likeliest" in line)
    assert line.count("unused row ") == line.count(" of the unembedding ") == 2
    assert "None" not in line


def test_prompts_in_another_language_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says how much is unknown, and nothing about missing files."""
    folder = save_tiny(tmp_path / "model", tokenizer=False)
    word_level(folder)
    rows = [{"prompt": "A review:", "label": "white", "options": ["white", "black"]}]
    prompts = write_rows(tmp_path / "p.jsonl", rows)
    command = ["extract", "--model", str(folder), "--prompts", str(prompts)]
    assert main([*command, "-o", str(tmp_path / "a.h5"), "-q"]) == 1
    assert "all unknown to the tokenizer: each of its 2 tokens is '[UNK]', as are 100.0%" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (("sentencepiece", "google.protobuf"), "pip install sentencepiece protobuf"),
        (("sentencepiece", "google.protobuf", "tiktoken"), "pip install sentencepiece protobuf"),
    ],
    ids=["two", "three"],
)
def test_sentence_piece_s_own_file_without_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], words: str
) -> None:
    """The packages that the file needs are named, not one that would not read it."""
    folder = save_tiny(tmp_path / "model", tokenizer=False)
    (folder / "tokenizer.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02")
    real = importlib.util.find_spec

    def find_spec(name: str, *rest: Any) -> Any:
        return None if name in missing else real(name, *rest)

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    monkeypatch.setattr("compread.model.load.failures.find_spec", find_spec)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError, match=words) as error:
        load_tokenizer(ModelRequest(str(folder)))
    assert "tiktoken" not in str(error.value) and "\n" not in str(error.value)

"""PromptS: each row's own demonstrations, by the similarity of sentence embeddings."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import write_data

from compread.errors import PromptError, UsageError
from compread.prompts import Nearest, Prompt, load_embedder, load_task, prompt_sets


def by_letters(texts: Sequence[str]) -> Any:
    """Counts of letters and digits: an embedding that a test can work out."""
    return np.array([[text.count(c) for c in "0123456789aeinorst"] for text in texts], float)


def test_order_is_by_cosine_the_most_similar_last() -> None:
    """Length does not count, and of equals the earlier is the more similar."""
    table = {"q": (1, 0), "far": (0, 1), "near": (9, 1), "same": (0.1, 0), "too": (5, 0)}
    nearest = Nearest("table", lambda texts: np.array([table[t] for t in texts], float))
    assert nearest.order("q", ["far", "too", "near", "same"], 3) == [2, 3, 1]
    assert nearest.order("q", ["far"], 3) == [0]


@pytest.mark.parametrize(("apart", "first"), [(4e-7, 0), (4e-6, 1)])
def test_last_digits_choose_nothing(apart: float, first: int) -> None:
    """A difference beyond the sixth digit, which machines round apart, changes no order."""
    across = {"q": 0.0, "near": 1e-3, "nearer": 1e-3}
    along = {"near": 0.5, "nearer": 0.5 + apart, "q": 1.0}

    def embed(texts: Sequence[str]) -> Any:
        rest = [(1 - along[t] ** 2 - across[t] ** 2) ** 0.5 if t != "q" else 0.0 for t in texts]
        return np.array([[along[t], across[t], r] for t, r in zip(texts, rest, strict=True)])

    assert Nearest("table", embed).order("q", ["near", "nearer"], 1) == [first]


def test_an_embedder_that_brings_code_is_refused(tmp_path: Path) -> None:
    """A folder whose modules are not the library's own is named, and nothing of it is imported."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": "own_module.Own"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(PromptError, match=r"brings code of its own \('own_module.Own'\)"):
        load_embedder(str(tmp_path), offline=True)


def test_each_text_is_embedded_once() -> None:
    """A text that was seen is not embedded again."""
    seen: list[str] = []

    def embed(texts: Sequence[str]) -> Any:
        seen.extend(texts)
        return by_letters([f"a{text}" for text in texts])

    nearest = Nearest("counting", embed)
    nearest.learn(["a", "b", "a"])
    nearest.order("b", ["a", "c"], 1)
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((2, 3)), "zero or not finite"),
        (np.full((2, 3), np.nan), "zero or not finite"),
        (np.ones(3), r"shape \(3,\) for 2 texts"),
        (np.ones((1, 3)), r"shape \(1, 3\) for 2 texts"),
    ],
)
def test_vectors_without_a_direction(vectors: Any, message: str) -> None:
    """An embedder that gives something else is named."""
    with pytest.raises(PromptError, match=f"'odd' gave .*{message}"):
        Nearest("odd", lambda texts: vectors).order("q", ["a"], 1)


def test_demonstrations_are_the_row_s_own(tmp_path: Path) -> None:
    """Each row shows the 4 of the 24 labelled examples that are nearest, never itself."""
    data = write_data(tmp_path, "sst2", n_train=200, n_test=20)
    task = load_task("sst2")
    nearest = Nearest("letters", by_letters)
    (made,) = prompt_sets(task, ["said"], (1,), data_dir=data, nearest=nearest)
    (fixed,) = prompt_sets(task, ["said"], (1,), data_dir=data)
    assert made.file_name == "sst2-said-k4-s1-nearest.h5"
    assert (made.protocol["prompt_selection"], made.protocol["embedder"]) == ("nearest", "letters")
    # The labelled examples are those of the fixed run: its demonstrations, then its train rows.
    train = {p.id: p for p in fixed.prompts if p.split == "train"}
    assert made.demonstrations == (*fixed.demonstrations, *train) and len(made.demonstrations) == 24
    assert fixed.prompts[0].pieces
    known = [text for text, _ in fixed.prompts[0].pieces.demonstrations]
    known += [own(p) for p in train.values()]
    vectors = by_letters(known)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    orders = set()
    for prompt in made.prompts:
        query = by_letters([own(prompt)])[0]
        similar = vectors @ (query / np.linalg.norm(query))
        others = [n for n, text in enumerate(known) if text != own(prompt)]
        best = sorted(others, key=lambda n: (-round(float(similar[n]), 5), n))[:4]
        assert prompt.pieces
        shown = [text for text, _ in prompt.pieces.demonstrations]
        assert sorted(round(float(similar[known.index(t)]), 4) for t in shown) == sorted(
            round(float(similar[n]), 4) for n in best
        )
        assert own(prompt) not in shown and len(shown) == 4
        orders.add(tuple(shown))
    assert len(orders) > 10


def own(prompt: Prompt) -> str:
    """A row's own input."""
    assert prompt.pieces
    return prompt.pieces.input


def test_nearest_has_no_set_classes(tmp_path: Path) -> None:
    """Classes of the demonstrations and nearest ones exclude each other."""
    data = write_data(tmp_path, "sst2", n_train=100, n_test=20)
    with pytest.raises(UsageError, match="nearest demonstrations have no set classes"):
        prompt_sets(
            load_task("sst2"),
            data_dir=data,
            demo_labels=[0, 1],
            nearest=Nearest("letters", by_letters),
        )


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sentence-transformers the message says how to install it."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(PromptError, match=r"pip install 'compread\[embed\]'"):
        load_embedder("some/model")


def tiny_embedder(folder: Path) -> Path:
    """A sentence-transformers folder: a random BERT of 8 dimensions and a mean over tokens."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(0)
    letters = [chr(n) for n in range(33, 127)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    kind = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{kind}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{kind}.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@pytest.mark.filterwarnings("ignore")
def test_a_sentence_transformers_folder(tmp_path: Path) -> None:
    """A folder is loaded without a network, and orders texts by the cosine of its own vectors."""
    library = pytest.importorskip(
        "sentence_transformers", reason="sentence-transformers is not installed (compread[embed])"
    )
    folder = tiny_embedder(tmp_path / "tiny")
    nearest = load_embedder(str(folder), offline=True)
    texts = ["a dull film", "a witty play", "an odd book", "zz 99 !"]
    vectors = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = vectors[1:] @ vectors[0]
    assert nearest.order(texts[0], texts[1:], 3) == [int(n) for n in np.argsort(similar)]
    with pytest.raises(PromptError, match=r"cannot load the embedder .*nowhere.* give a sentence"):
        load_embedder(str(tmp_path / "nowhere"), offline=True)

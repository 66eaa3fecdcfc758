"""Loading takes a folder, and says in one line what is wrong with one that cannot be used."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from loud import loud_model
from safetensors.torch import load_file, save_file
from tiny_folder import CONTEXT, TINY, byte_tokenizer, save_tiny
from transformers.utils import import_utils

from compread.errors import CompreadError, ModelError, UsageError
from compread.model import ModelRequest, load_config, load_model
from compread.model.load import loading
from compread.model.load.failures import as_model_error
from compread.model.load.fingerprint import fingerprint
from compread.model.load.request import choose_device


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that loads."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize(
    ("dtype", "runs_in"),
    [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16"), ("float16", "float16")],
)
def test_a_folder_loads_in_the_type_asked_for(folder: Path, dtype: str, runs_in: str) -> None:
    """The model is in evaluation mode, asks for no gradients, and knows its context."""
    loaded = load_model(ModelRequest(str(folder), dtype=dtype))
    assert (loaded.dtype, loaded.model_type, loaded.revision) == (runs_in, "llama", None)
    assert loaded.context_length == CONTEXT
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())


def test_the_weights_are_those_that_were_saved(folder: Path) -> None:
    """Every weight of the loaded model equals the saved one's."""
    loaded, saved = load_model(ModelRequest(str(folder))).model, loud_model(TINY, torch.float32)
    weights = dict(loaded.cpu().named_parameters())
    assert len(weights) > 10
    assert all(torch.equal(weights[name], weight) for name, weight in saved.named_parameters())


# --- what can be wrong with a local model ------------------------------------------------------


def remove(name: str) -> Callable[[Path], None]:
    """Damage: a file is not there."""
    return lambda folder: (folder / name).unlink()


def spoil(name: str, text: str) -> Callable[[Path], None]:
    """Damage: a file holds something else."""
    return lambda folder: (folder / name).write_text(text) and None


def no_tokenizer(folder: Path) -> None:
    """Damage: no file of a tokenizer."""
    remove("tokenizer.json")(folder)
    remove("tokenizer_config.json")(folder)


def gpt2_without_tokenizer(folder: Path) -> None:
    """Damage: a family whose tokenizer transformers makes up, empty, where there is none."""
    shutil.rmtree(folder)
    loud_model("gpt2", torch.float32).save_pretrained(folder)


def lose_a_weight(folder: Path) -> None:
    """Damage: one tensor is not in the weights file."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, file, metadata={"format": "pt"})


def other_shapes(folder: Path) -> None:
    """Damage: the config is that of a wider model."""
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "intermediate_size": 36}))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (remove("config.json"), "is a folder without a config.json"),
    "broken config": (spoil("config.json", "{"), r"config.json' is not a valid JSON file"),
    "unknown type": (spoil("config.json", '{"model_type": "nope"}'), "model type `nope`"),
    "no tokenizer": (no_tokenizer, "has no tokenizer; expected tokenizer.json"),
    "no tokenizer, gpt2": (gpt2_without_tokenizer, "has no tokenizer; expected tokenizer.json"),
    "broken tokenizer": (spoil("tokenizer.json", "{"), "cannot load the tokenizer of"),
    "no weights": (
        remove("model.safetensors"),
        "a config.json, but no weights; expected model.safetensors",
    ),
    "broken weights": (
        spoil("model.safetensors", "xx"),
        r"model.safetensors of .* is damaged or was cut short",
    ),
    "other shapes": (other_shapes, r"weights of other shapes than its config.json says"),
    "a weight too few": (lose_a_weight, r"lacks 1 of the weights .*layers.1.mlp.down_proj"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_one_clear_line(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    """The message names the folder and what is wrong with it."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    damage(copy)
    with pytest.raises(ModelError, match=words) as error:
        load_model(ModelRequest(str(copy)))
    assert str(copy) in str(error.value) and "\n" not in str(error.value)


def test_pickled_weights_and_an_old_torch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With transformers they are read by torch 2.6 or newer only; both ways out are said."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    remove("model.safetensors")(copy)
    monkeypatch.setattr(import_utils, "is_torch_greater_or_equal", lambda *args, **more: False)
    with pytest.raises(ModelError, match=r"pip install -U torch, or save them as safetensors"):
        load_model(ModelRequest(str(copy)))


def test_a_tokenizer_of_a_newer_transformers(folder: Path) -> None:
    """What 4.57 says of one that 5 has saved ends in a next step."""
    said = "Tokenizer class TokenizersBackend does not exist or is not currently imported."
    words = "TokenizersBackend does not exist .* Try pip install -U transformers"
    with pytest.raises(ModelError, match=words), as_model_error(str(folder), "tokenizer"):
        raise ValueError(said)


LONGER = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}


@pytest.mark.parametrize("rope", [{"rope_type": "default", "rope_theta": 5e5}, LONGER])
def test_a_rotation_that_is_not_read_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rope: dict[str, object]
) -> None:
    """A version before 5 would take the type's own, and give other numbers without a word."""
    copy = with_rotation(folder, tmp_path / "copy", rope)
    monkeypatch.setattr(loading, "version", lambda package: "4.57.1")
    words = r"in `rope_parameters` of its config.json, which transformers 4.57.1 does not read"
    with pytest.raises(ModelError, match=words):
        load_model(ModelRequest(str(copy)))
    with pytest.raises(ModelError, match=words):
        load_config(str(copy))


def test_a_rotation_that_is_the_type_s_own_is_taken(folder: Path, tmp_path: Path) -> None:
    """Whichever version of transformers has written it, and whichever reads it."""
    copy = with_rotation(folder, tmp_path / "copy", {"rope_type": "default", "rope_theta": 10000.0})
    found, wanted = (load_model(ModelRequest(str(f))).model.cpu() for f in (copy, folder))
    tokens = torch.arange(3, 33)[None]
    assert torch.equal(found(input_ids=tokens).logits, wanted(input_ids=tokens).logits)


def with_rotation(folder: Path, copy: Path, rope: dict[str, object]) -> Path:
    """A copy of a model whose config has a rotation as transformers 5 writes it."""
    shutil.copytree(folder, copy)
    values = json.loads((copy / "config.json").read_text())
    for older in ("rope_theta", "rope_scaling"):
        values.pop(older, None)
    (copy / "config.json").write_text(json.dumps({**values, "rope_parameters": rope}))
    return copy


@pytest.mark.parametrize("written", ["99.1.0.dev0", "4.1.0", "later", 5, None])
def test_a_model_that_a_later_transformers_saved(
    folder: Path, tmp_path: Path, written: object
) -> None:
    """Where the installed one cannot read it, the message has both versions and what to try."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    values = json.loads((copy / "config.json").read_text())
    values |= {"num_attention_heads": "many", "transformers_version": written}
    (copy / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match="cannot load the config") as error:
        load_config(str(copy))
    step = "transformers 99.1.0.dev0 has saved it and .* pip install -U transformers$"
    assert bool(re.search(step, str(error.value))) == (written == "99.1.0.dev0")
    assert ("pip" in str(error.value)) == (written == "99.1.0.dev0")


def test_another_architecture_is_not_filled_with_random_weights(
    folder: Path, tmp_path: Path
) -> None:
    """A config that the weights do not belong to is refused."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 320}
    (copy / "config.json").write_text(json.dumps({"model_type": "gpt_neox", **sizes}))
    with pytest.raises(ModelError, match=r"lacks \d+ of the weights"):
        load_model(ModelRequest(str(copy)))


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"name": "/no/such/folder"}, ModelError, "no such model: /no/such/folder"),
        ({"name": "./nowhere"}, ModelError, r"no such model: ./nowhere; expected a folder"),
        ({"name": "a/b/c"}, ModelError, "no such model: a/b/c"),
        ({"name": "nowhere.gguf"}, ModelError, "no such file: nowhere.gguf"),
        ({"name": "two words"}, ModelError, "neither a folder nor a hub id"),
        ({"name": "gpt2", "dtype": "int8"}, UsageError, "no data type `int8`: expected auto"),
        ({"name": "gpt2", "device": "gpu"}, UsageError, "no device `gpu`: expected auto, cuda"),
        ({"name": "gpt2", "device": "cuda:77"}, UsageError, "device `cuda:77` is not here"),
        ({"name": "gpt2", "device": "cpu:1"}, UsageError, "device `cpu:1` is not here"),
    ],
    ids=lambda value: list(value.values())[-1] if isinstance(value, dict) else "",
)
def test_a_request_that_cannot_be_met(
    asked: dict[str, str], error: type[CompreadError], words: str
) -> None:
    """Names, types and devices that do not exist are refused before anything is fetched."""
    with pytest.raises(error, match=words):
        load_model(ModelRequest(**asked))


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    """A text file of that name is refused in one line."""
    pytest.importorskip("gguf")
    file = tmp_path / "model.gguf"
    file.write_text("hello")
    with pytest.raises(ModelError, match=r"model\.gguf") as error:
        load_model(ModelRequest(str(file)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("rank", "cards", "device"), [(0, 2, 0), (1, 2, 1), (3, 2, 1), (1, 1, 0)])
def test_ranks_take_the_cards_in_turn(
    rank: int, cards: int, device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rank of a machine has a card of its own while there are enough; else they share."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    assert choose_device("auto") == torch.device(f"cuda:{device}")


def test_choose_device() -> None:
    """``auto`` takes what there is, and the CPU is always there."""
    assert choose_device("cpu") == torch.device("cpu")
    best = "cuda" if torch.cuda.is_available() else None
    best = best or ("mps" if torch.backends.mps.is_available() else "cpu")
    assert choose_device("auto").type == best


def test_equal_weights_have_equal_fingerprints() -> None:
    """The fingerprint is a function of type, names, shapes and values."""
    assert fingerprint(loud_model("gpt2")) == fingerprint(loud_model("gpt2"))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.model.norm.weight.mul_(1.001),
        lambda model: model.lm_head.weight[0, 0].add_(1e-3),
        lambda model: model.model.layers[1].self_attn.o_proj.bias[-1].add_(1),
        lambda model: model.to(torch.float16),
        lambda model: setattr(model.config, "model_type", "other"),
    ],
    ids=["norm", "one entry", "bias", "dtype", "type"],
)
def test_a_change_gives_another_fingerprint(change: Callable[[object], object]) -> None:
    """One sampled entry, the data type or the model type is enough."""
    model = loud_model("llama grouped", torch.float32)
    before = fingerprint(model)
    change(model)
    assert fingerprint(model) != before


def test_the_tiny_tokenizer_is_as_the_tests_need_it() -> None:
    """Labels are one token, other words many, and text comes back as it was."""
    tokenizer = byte_tokenizer()
    encode = lambda text: tokenizer(text)["input_ids"]  # noqa: E731
    base = encode("Review: so-so é\n")
    assert len(encode("Review: so-so é\n positive")) == len(base) + 1
    assert len(encode("Review: so-so é\n awful")) > len(base) + 1
    assert tokenizer.decode(base) == "<s>Review: so-so é\n"

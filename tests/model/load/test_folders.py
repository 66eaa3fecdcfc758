"""A path that no model can be loaded from is refused in words that say what it is."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from loud import loud_model
from tiny_folder import TINY, byte_tokenizer, save_tiny

from compread.errors import ModelError
from compread.model import ModelRequest, load_adapter_config, load_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that loads."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def only(*files: str) -> Callable[[Path], Path]:
    """A folder with these files of nothing, and no others."""

    def make(folder: Path) -> Path:
        shutil.rmtree(folder)
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(b"\0" * 9)
        folder.mkdir(exist_ok=True)
        return folder

    return make


def instead_of_weights(file: str) -> Callable[[Path], Path]:
    """The model, with a file of another kind in the place of its weights."""
    return lambda folder: (folder / "model.safetensors").rename(folder / file).parent


def pointer(file: str) -> Callable[[Path], Path]:
    """The model, with a git-lfs pointer in the place of a file."""

    def make(folder: Path) -> Path:
        (folder / file).write_text(POINTER)
        return folder

    return make


def cut_short(folder: Path) -> Path:
    """The model, whose weights end in the middle."""
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-50])
    return folder


def adapter(folder: Path, *, beside: bool = False) -> Path:
    """An adapter's folder."""
    if not beside:
        only()(folder)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    return folder


def tokens_in_sentence_piece(folder: Path) -> Path:
    """The model, whose vocabulary is a pointer in SentencePiece's own file."""
    (folder / "tokenizer.json").unlink()
    return pointer("tokenizer.model")(folder)


def a_file(name: str, content: bytes = b"\0" * 9) -> Callable[[Path], Path]:
    """A file beside the model."""

    def make(folder: Path) -> Path:
        (folder.parent / name).write_bytes(content)
        return folder.parent / name

    return make


def packed(folder: Path) -> Path:
    """The folder in an archive."""
    with tarfile.open(folder.parent / "model.tar.gz", "w:gz") as archive:
        archive.add(folder)
    return folder.parent / "model.tar.gz"


def saved_as(kind: str, **sizes: int) -> Callable[[Path], Path]:
    """A tiny model of another class in the place of the model, the tokenizer beside it."""

    def make(folder: Path) -> Path:
        (folder / "model.safetensors").unlink()
        made = getattr(transformers, kind)
        narrow = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = made.config_class(**{**narrow, "intermediate_size": 8, **sizes})
        made(config).save_pretrained(folder)
        return folder

    return make


LAKE = r"is a git-lfs pointer, not the file itself: run `git lfs pull`"
T5 = {"d_model": 8, "d_ff": 8, "d_kv": 4, "num_layers": 1, "num_heads": 2, "vocab_size": 320}
CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (only(), "is an empty folder"),
    "adapter": (adapter, r"is an adapter, not a model: .* to --model, and --adapter"),
    "adapter inside": (lambda f: adapter(f, beside=True), r"an adapter .* beside a model"),
    "config pointer": (pointer("config.json"), rf"config.json of \S+ {LAKE}"),
    "weights pointer": (pointer("model.safetensors"), rf"model.safetensors of \S+ {LAKE}"),
    "tokenizer pointer": (pointer("tokenizer.json"), rf"tokenizer.json of \S+ {LAKE}"),
    "spm pointer": (tokens_in_sentence_piece, rf"tokenizer.model of \S+ {LAKE}"),
    "gguf pointer": (a_file("m.gguf", POINTER.encode()), rf"m.gguf {LAKE}"),
    "no gguf": (a_file("m.gguf", b"hello"), "is no GGUF file, whatever its name"),
    "gguf renamed": (a_file("m.bin", b"GGUF0000"), "GGUF file under another name"),
    "tar": (packed, "is an archive: unpack it and give the folder"),
    "zip": (a_file("model.zip"), "is an archive: unpack it and give the folder"),
    "weights file": (lambda f: f / "model.safetensors", "is a single file of weights: give the f"),
    "text file": (a_file("notes.md"), "is a file; expected a folder with config.json"),
    "cut short": (cut_short, r"model.safetensors of \S+ is damaged or was cut short: fetch it"),
    "onnx": (only("onnx/model.onnx"), r"holds weights for ONNX, onnx.model.onnx"),
    "onnx and config": (instead_of_weights("model.onnx"), "no weights; it holds weights for ONNX"),
    "gguf inside": (only("m-q4.gguf"), r"holds a .gguf file, m-q4.gguf: give the path"),
    "optimizer": (instead_of_weights("optimizer.pt"), "no weights; it holds an optimizer's states"),
    "deepspeed": (only("global_step9/x"), "DeepSpeed's states, global_step9: run the zero_to"),
    "fsdp": (only("__0_0.distcp"), "a distributed checkpoint, __0_0.distcp: merge it first"),
    "tensorflow": (instead_of_weights("tf_model.h5"), "TensorFlow's weights, tf_model.h5"),
    "original": (only("consolidated.00.pth", "params.json"), "in their maker's own layout"),
    "no config": (only("model.safetensors"), "holds weights, model.safetensors, without the rest"),
    "checkpoints": (
        only("checkpoint-20/config.json", "checkpoint-100/config.json"),
        r"checkpoint-100 in it has one: give \S+checkpoint-100 or one of 1 more",
    ),
    "hub cache": (only("snapshots/0a1b/config.json"), r"give \S+snapshots/0a1b$"),
    "nothing known": (only("notes.md"), "without a config.json; expected one saved with save_pr"),
    "encoder": (saved_as("BertForMaskedLM"), "is a `bert` model, an encoder, which sees later"),
    "encoder-decoder": (saved_as("T5ForConditionalGeneration", **T5), "an encoder-decoder"),
    "vision": (saved_as("ViTForImageClassification"), "is a `vit` model, a vision model"),
    "classifier": (
        saved_as("LlamaForSequenceClassification", pad_token_id=0, num_key_value_heads=2),
        r"a classifier of whole texts \(LlamaForSequenceClassification\)",
    ),
    "no head": (
        saved_as("LlamaModel", num_key_value_heads=2, vocab_size=320),
        "is saved as LlamaModel, without a language model's head",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "words"), CASES.values(), ids=CASES)
def test_what_is_no_model_is_said(
    tiny: Path, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    """One line names the path, what it is and the next step."""
    shutil.copytree(tiny, tmp_path / "copy")
    place = make(tmp_path / "copy")
    with pytest.raises(ModelError, match=words) as error:
        load_model(ModelRequest(str(place)))
    assert str(place) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "file", ["consolidated.safetensors", "pytorch_model.bin", "tokenizer.model", "notes.bin"]
)
def test_a_pointer_that_nothing_reads_is_no_fault(tiny: Path, tmp_path: Path, file: str) -> None:
    """Files of other formats may have been left out of the fetching."""
    shutil.copytree(tiny, tmp_path / "copy")
    pointer(file)(tmp_path / "copy")
    load_model(ModelRequest(str(tmp_path / "copy")))


@pytest.mark.parametrize("file", ["pipe.gguf", "pipe/config.json", "pipe/model.safetensors"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, file: str) -> None:
    """Neither as the model nor in its folder."""
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / file)
    with pytest.raises(
        ModelError, match=r"(pipe.gguf|config.json|model.safetensors) is a pipe or a device"
    ):
        load_model(ModelRequest(str(tmp_path / Path(file).parts[0])))


def test_an_adapter_s_pointer(tmp_path: Path) -> None:
    """The files of --adapter are looked at as well."""
    pytest.importorskip("peft")
    (tmp_path / "adapter_config.json").write_text(POINTER)
    with pytest.raises(ModelError, match=rf"adapter_config.json of \S+ {LAKE}"):
        load_adapter_config(str(tmp_path))


def test_a_decoder_saved_without_a_head_of_its_own(tmp_path: Path) -> None:
    """Tied to the embedding, the head is there whatever the class it was saved as."""
    folder = tmp_path / "tied"
    model = loud_model(TINY, torch.float32)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(folder)
    model.model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    loaded = load_model(ModelRequest(str(folder))).model
    assert loaded.get_output_embeddings().weight.shape[0] == TINY.options["vocab_size"]


@pytest.mark.parametrize("named", [9, "LlamaForCausalLM", [], [9], {"a": 1}, True], ids=repr)
def test_a_config_that_names_no_class(tiny: Path, tmp_path: Path, named: object) -> None:
    """What stands for ``architectures`` decides nothing where it is no list of names."""
    shutil.copytree(tiny, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    changed = json.dumps({**config, "architectures": named})
    (tmp_path / "copy" / "config.json").write_text(changed)
    assert load_model(ModelRequest(str(tmp_path / "copy"))).model_type == "llama"

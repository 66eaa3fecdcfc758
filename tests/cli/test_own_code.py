"""Code that comes with a model runs only where --trust-remote-code says so."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from loud import loud_model
from tiny_folder import TINY, byte_tokenizer, review_rows, save_tiny, write_rows
from transformers import AutoConfig
from transformers.generation import GenerationMixin

from compread.cli import main
from compread.errors import ModelError, PromptError
from compread.model import ModelRequest, load_model
from compread.prompts import load_embedder
from compread.store import open_store

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
Path({mark!r}).touch()
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""
AUTO = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}


def change_json(file: Path, **entries: Any) -> None:
    """Set entries of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that a model's own code makes when it runs."""
    return tmp_path / "ran"


@pytest.fixture
def own(tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model whose config, class and tokenizer are code of its folder."""
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    folder = save_tiny(tmp_path / "own")
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    change_json(folder / "config.json", model_type="own", auto_map=AUTO)
    return folder


def tokenizer_s_code(folder: Path) -> None:
    """The tokenizer's class alone is code of the folder."""
    change_json(folder / "config.json", model_type="llama", auto_map={})
    names = {"AutoTokenizer": ["own.OwnTokenizer", "own.OwnTokenizer"]}
    change_json(folder / "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map=names)


def generation_s_code(folder: Path) -> None:
    """A way of generating is code of the folder, which nothing here needs."""
    change_json(folder / "config.json", model_type="llama", auto_map={})
    (folder / "custom_generate").mkdir()
    (folder / "own.py").rename(folder / "custom_generate" / "generate.py")


def commands(folder: Path, prompts: Path, tmp_path: Path) -> dict[str, list[str]]:
    """Command lines that read a model, but for ``predict``."""
    extract = ["extract", "--model", str(folder), "--prompts", str(prompts)]
    return {
        "extract": [*extract, "-q", "-o", str(tmp_path / "x.h5")],
        "dry run": [*extract, "--dry-run", "-o", str(tmp_path / "x.h5")],
        "check": ["check", str(folder)],
    }


class Answers(io.StringIO):
    """A user who says yes to whatever is asked, and how much of that was read."""

    def __init__(self) -> None:
        super().__init__("y\n" * 8)


@pytest.mark.parametrize("command", ["extract", "dry run", "check"])
@pytest.mark.parametrize("where", [lambda folder: None, tokenizer_s_code], ids=["model", "tokens"])
def test_nothing_runs_and_nothing_is_asked(
    own: Path,
    mark: Path,
    tmp_path: Path,
    command: str,
    where: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Standard input stays whole, no file is made, and one line names the option."""
    where(own)
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(4))
    monkeypatch.setattr("sys.stdin", answers := Answers())
    status = main(commands(own, prompts, tmp_path)[command])
    said = capsys.readouterr()
    assert not mark.exists() and answers.tell() == 0
    if where is tokenizer_s_code and command == "check":
        return  # which needs no tokenizer
    assert (status, said.out) == (1, "")
    assert "brings code of its own" in said.err and "--trust-remote-code" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("trusted", [False, True])
def test_generating_code_is_not_needed(own: Path, mark: Path, trusted: bool) -> None:
    """A model whose folder has such code loads without it, whatever is trusted."""
    generation_s_code(own)
    before = GenerationMixin.load_custom_generate
    load_model(ModelRequest(str(own), trust_remote_code=trusted))
    assert not mark.exists() and GenerationMixin.load_custom_generate is before


def test_trusted_code_runs_and_is_recorded(
    own: Path,
    mark: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the option the model is run; the store says so; predict wants the option again."""
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(12, n_train=8))
    store, weights = tmp_path / "x.h5", tmp_path / "w.json"
    assert main([*commands(own, prompts, tmp_path)["extract"], "--trust-remote-code"]) == 0
    assert mark.exists()
    with open_store(store) as kept:
        assert kept.run.trust_remote_code and kept.run.model_type == "own"
    capsys.readouterr()
    assert main(["show", str(store)]) == 0
    assert "--trust-remote-code" in capsys.readouterr().out
    assert main(["check", str(own), "--trust-remote-code"]) == 0
    assert main(["reweight", str(store), "--methods", "comprw", "--save", str(weights)]) == 0
    mark.unlink()
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "Review: good\nSentiment:"}) + "\n")
    monkeypatch.setattr("sys.stdin", answers := Answers())
    predict = ["predict", "--model", str(own), "--weights", str(weights), "--input", str(rows)]
    capsys.readouterr()
    assert main(predict) == 1
    assert "--trust-remote-code" in capsys.readouterr().err
    assert answers.tell() == 0
    assert main([*predict, "--trust-remote-code"]) == 0


def test_a_plain_model_s_store_says_nothing_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the option was not given, show has no line."""
    folder = save_tiny(tmp_path / "plain")
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(4))
    assert main(commands(folder, prompts, tmp_path)["extract"]) == 0
    assert main(["show", str(tmp_path / "x.h5")]) == 0
    assert "trust" not in capsys.readouterr().out


class Touch:
    """Pickled, it makes a file when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_pickled_weights_run_nothing(tmp_path: Path, mark: Path) -> None:
    """A weights file that pickles a call is refused, and the call is not made."""
    folder = tmp_path / "pickled"
    loud_model(TINY, torch.float32).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Touch(mark)}, folder / "pytorch_model.bin")
    old_torch = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6)
    words = "pip install -U torch, or save them as" if old_torch else "could run any code"
    with pytest.raises(ModelError, match=words) as error:
        load_model(ModelRequest(str(folder), trust_remote_code=True))
    assert not mark.exists() and "\n" not in str(error.value)
    pickle.loads(pickle.dumps(Touch(mark)))
    assert mark.exists()  # what reads it as any pickle makes the call


def test_an_embedder_s_code(tmp_path: Path) -> None:
    """A folder that names a module of its own is refused before the library sees it."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": "own.Own"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(PromptError, match=r"brings code of its own \('own.Own'\)"):
        load_embedder(str(tmp_path))


def test_a_kernel_that_the_config_names(tmp_path: Path) -> None:
    """Kernels of the hub are code: a config cannot choose one."""
    folder = save_tiny(tmp_path / "tiny")
    change_json(folder / "config.json", attn_implementation="some/kernel")
    if AutoConfig.from_pretrained(folder)._attn_implementation is None:
        pytest.skip("this transformers takes no kernel from a config")
    with pytest.raises(ModelError, match=r"attention kernel 'some/kernel'.*--trust-remote-code"):
        load_model(ModelRequest(str(folder)))

"""Hostile model folders: configs, tokenizers and weights that are damaged, missing or bait."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tiny_folder import review_rows, write_rows

from . import tiny
from .case import Attack, Case, Fault, call, judge
from .corruption import corrupt
from .values import ODD, change_json

ALLOWED = (0, 1, 2, 3)
BAIT = "open({path!r}, 'w').write('ran')\n"
CHAT = (
    "{{ 'x' * 1000000000 }}", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}", "{{ raise_exception('\x1b[2Jno') }}", "{{ messages[7] }}", "{{ nosuch() }}",
    "{% if %}", "", "{{ cycler.__init__.__globals__ }}", "{{ messages }}\x1b[2J",
)  # fmt: skip


YES = b"y\n" * 9
Change = tuple[str, Callable[[Path, Path], None]]
"""What is done, and what does it to a folder; a file at the second path means that code ran."""


def draw(rng: random.Random, stage: Path) -> Case:
    """One folder with one thing wrong, run or checked."""
    return model_case(rng.choice(CHANGES)(rng), check=rng.randrange(4) == 0)(stage)


def model_case(change: Change, check: bool = False) -> Callable[[Path], Case]:
    """A folder is changed, then run or checked, with nothing but yes on stdin."""
    name, apply = change
    chat = ["--apply-chat-template"] if name.startswith("chat") else []

    def make(stage: Path) -> Case:
        def run(work: Path) -> Iterator[Fault]:
            folder, target, bait = work / "model", work / "out.h5", work / "RAN"
            shutil.copytree(stage / "model", folder)
            apply(folder, bait)
            if check:
                # What it says of a family that it refuses is its result.
                yield from judge(call("check", folder, stdin=YES), ALLOWED, result=True)
            else:
                rows = write_rows(work / "rows.jsonl", review_rows(4, n_train=1))
                words = ["extract", "--model", folder, "--prompts", rows, "-o", target, "--offline"]
                outcome = call(*words, *chat, stdin=YES)
                yield from judge(outcome, ALLOWED)
                if (outcome.status == 0) != target.exists():
                    yield Fault("status", f"{outcome.status}, store there: {target.exists()}")
            if bait.exists():
                yield Fault("outside", "code from the folder ran")

        return Case(f"{name}; {'check' if check else 'extract'}", run)

    return make


def _json_file(file: str) -> Callable[[random.Random], Change]:
    """A change of one JSON file, of one value in it."""

    def draw_change(rng: random.Random) -> Change:
        name, change = change_json(rng)

        def apply(folder: Path, bait: Path) -> None:
            text = change((folder / file).read_text())
            (folder / file).write_bytes(text.encode("utf-8", "surrogatepass"))

        return f"{file}: {name}", apply

    return draw_change


def _config(rng: random.Random) -> Change:
    key = rng.choice(
        ["model_type", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim",
         "num_hidden_layers", "vocab_size", "intermediate_size", "rms_norm_eps", "hidden_act",
         "rope_scaling", "rope_parameters", "rope_theta", "dtype", "torch_dtype", "architectures",
         "quantization_config", "max_position_embeddings", "attention_bias", "auto_map",
         "attn_implementation", "tie_word_embeddings", "pad_token_id", "layer_types"]
    )  # fmt: skip
    value: Any = rng.choice([*ODD, "gpt2", "bert", "t5", "mamba", "float16", "relu", 24, 7, 1, 3])

    def apply(folder: Path, bait: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config[key] = value if not isinstance(value, int) or abs(value) < 2**63 else 2**40
        (folder / "config.json").write_text(json.dumps(config))

    return f"config.json: {key} = {value!r:.60}", apply


def _bytes(rng: random.Random) -> Change:
    file = rng.choice(
        ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
    )
    seed = rng.random()

    def apply(folder: Path, bait: Path) -> None:
        path = folder / file
        path.write_bytes(corrupt(path.read_bytes(), random.Random(seed))[1])

    return f"{file} damaged ({seed:.6f})", apply


def _gone(rng: random.Random) -> Change:
    file = rng.choice(
        ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
    )
    instead = rng.choice([None, b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                          b"<html>", b"\0" * 100])  # fmt: skip

    def apply(folder: Path, bait: Path) -> None:
        (folder / file).unlink()
        if instead is not None:
            (folder / file).write_bytes(instead)

    return f"{file} is {instead!r:.20}", apply


def _header(rng: random.Random) -> Change:
    """Weights whose safetensors header lies."""
    way = rng.choice(["length", "shape", "offsets", "dtype", "name"])

    def apply(folder: Path, bait: Path) -> None:
        path = folder / "model.safetensors"
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        key = sorted(header)[3]
        if way == "shape":
            header[key]["shape"] = [2**40, 2**40]
        elif way == "offsets":
            header[key]["data_offsets"] = [0, 2**50]
        elif way == "dtype":
            header[key]["dtype"] = "F4_NOSUCH"
        elif way == "name":
            header["nosuch"] = header.pop(key)
        text = json.dumps(header).encode()
        told = 2**60 if way == "length" else len(text)
        path.write_bytes(struct.pack("<Q", told) + text + data[8 + size :])

    return f"safetensors header: {way}", apply


def _not_finite(rng: random.Random) -> Change:
    value, scale = rng.choice([("nan", 1.0), ("inf", 1.0), ("large", 1e30), ("zero", 0.0)])
    seed = rng.random()

    def apply(folder: Path, bait: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        key = random.Random(seed).choice(sorted(weights))
        if value in ("nan", "inf"):
            weights[key].view(-1)[0] = float(value)
        else:
            weights[key] *= scale
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return f"weights: {value} ({seed:.6f})", apply


def _bait(rng: random.Random) -> Change:
    return bait_in(rng.choice(["evil", "llama", "pickle"]))


def bait_in(kind: str) -> Change:
    """Code that must not run, whatever stands on stdin: in a pickle, or for a model's type."""

    def apply(folder: Path, bait: Path) -> None:
        code = BAIT.format(path=str(bait))
        for module in ("modeling_evil", "configuration_evil", "tokenization_evil"):
            (folder / f"{module}.py").write_text(code)
        if kind == "pickle":
            (folder / "model.safetensors").unlink()
            command = f"c__builtin__\nexec\n(V{code.strip()}\ntR."
            (folder / "pytorch_model.bin").write_bytes(command.encode())
            return
        for file in ("config.json", "tokenizer_config.json"):
            document = json.loads((folder / file).read_text())
            document["auto_map"] = {
                "AutoConfig": "configuration_evil.Evil",
                "AutoModelForCausalLM": "modeling_evil.Evil",
                "AutoTokenizer": ["tokenization_evil.Evil", None],
            }
            if file == "config.json":
                document["model_type"] = kind
            (folder / file).write_text(json.dumps(document))

    return f"code in the folder, {kind}", apply


def _chat(rng: random.Random) -> Change:
    return chat_template(rng.choice(CHAT))


def chat_template(template: str) -> Change:
    """A chat template of the folder's own."""

    def apply(folder: Path, bait: Path) -> None:
        (folder / "chat_template.jinja").write_text(template)

    return f"chat template {template[:40]!r}", apply


CHANGES = (
    _config, _config, _config, _json_file("config.json"), _json_file("tokenizer_config.json"),
    _json_file("tokenizer.json"), _json_file("generation_config.json"), _bytes, _gone, _header,
    _not_finite, _bait, _chat,
)  # fmt: skip

FIXED = (
    *(model_case(bait_in(kind), check) for kind in ("evil", "llama") for check in (False, True)),
    model_case(bait_in("pickle")),
    *(model_case(chat_template(template)) for template in CHAT),
)

ATTACK = Attack(
    "models", "model folders", draw, tiny.prepare, FIXED, share=2, seconds=90, torch=True, batch=50
)

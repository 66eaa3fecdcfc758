"""``extract`` and ``check`` with weights as people have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from loud import Family, loud_model
from tiny_folder import TINY, WIDE, review_rows, save_tiny, write_rows

from compread.cli import main
from compread.store import open_store


def save_adapter(place: Path, family: Family = TINY) -> Path:
    """A LoRA adapter of a tiny model."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["o_proj"], init_lora_weights=False)
    peft.get_peft_model(loud_model(family, torch.float32), config).save_pretrained(place)
    return place


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """That of the plain one."""
    return save_adapter(tmp_path / "adapter")


def extracted(tmp_path: Path, name: str, *options: str) -> Path:
    """A store of six rows of the tiny model."""
    folder, prompts = tmp_path / "tiny", tmp_path / "p.jsonl"
    if not folder.exists():
        save_tiny(folder)
        write_rows(prompts, review_rows(6))
    store = tmp_path / name
    command = ["extract", "--model", str(folder), "--prompts", str(prompts), "-o", str(store)]
    assert main([*command, "--dtype", "float32", *options]) == 0
    return store


def test_an_adapter_beside_and_in_the_weights(tmp_path: Path, adapter: Path) -> None:
    """The store says which adapter; both ways have the same parts, and others than without."""
    stores = {
        "plain": extracted(tmp_path, "plain.h5"),
        "beside": extracted(tmp_path, "beside.h5", "--adapter", str(adapter)),
        "merged": extracted(tmp_path, "m.h5", "--adapter", str(adapter), "--merge-adapter"),
    }
    parts = {}
    for name, path in stores.items():
        with open_store(path) as store:
            assert store.run.adapter == (None if name == "plain" else str(adapter))
            parts[name] = torch.from_numpy(store.split("test").parts[:])
    torch.testing.assert_close(parts["beside"], parts["merged"], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(parts["beside"], parts["plain"], atol=1e-2)


def test_each_attention_by_its_name(tmp_path: Path) -> None:
    """``eager`` and ``sdpa`` give the same store but for rounding."""
    found = []
    for name in ("eager", "sdpa"):
        path = extracted(tmp_path, f"{name}.h5", "--attn-implementation", name)
        with open_store(path) as store:
            found.append(torch.from_numpy(store.split("test").parts[:]))
    torch.testing.assert_close(*found, rtol=0, atol=2e-5)


def test_eight_bits(tmp_path: Path) -> None:
    """The sums are held to the tolerance of kernels that round to eight bits."""
    pytest.importorskip("bitsandbytes")
    path = extracted(tmp_path, "small.h5", "--quantize", "8bit")
    with open_store(path) as store:
        assert 1e-3 < store.run.tolerance < 0.02
        assert store.run.worst_sum_error > 0


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_libraries_say_nothing_of_packed_weights(tmp_path: Path, bits: str) -> None:
    """Not of products, of kernels, nor of merging: with --quiet only our own warnings are left."""
    pytest.importorskip("bitsandbytes")
    save_tiny(tmp_path / "wide", family=WIDE)
    place = save_adapter(tmp_path / "adapter", WIDE)
    prompts = write_rows(tmp_path / "p.jsonl", review_rows(6))
    command = [sys.executable, "-m", "compread", "extract", "--model", str(tmp_path / "wide")]
    command += ["--prompts", str(prompts), "-o", str(tmp_path / "run.h5"), "--quiet"]
    command += ["--quantize", bits, "--adapter", str(place), "--merge-adapter"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert [line for line in lines if not line.startswith("warning: ")] == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["check", "--all", "--adapter", "x"], "--adapter goes with one MODEL"),
        (["extract", "--model", "x", "--prompts", "y", "-o", "z", "--merge-adapter"], "--adapter"),
    ],
)
def test_options_that_need_another(
    command: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says which."""
    assert main(command) == 2
    assert words in capsys.readouterr().err


def test_check_with_an_adapter(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The family is certified with an adapter of its kind."""
    assert main(["check", "llama", "--adapter", str(adapter)]) == 0
    assert "certified" in capsys.readouterr().out

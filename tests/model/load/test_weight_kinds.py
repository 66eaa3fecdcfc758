"""Weights as people have them: adapters, eight and four bits, layers kept on disk.

The reference of an adapter is a plain model whose weights were changed by the formula of its
paper; that of quantized weights a plain model with the weights that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from loud import Family, loud_model, some_prompts
from tiny_folder import TINY, WIDE, byte_tokenizer, save_tiny
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from compread.check import certify
from compread.errors import ModelError, UsageError
from compread.extract import Engine
from compread.extract.launch import HostCopy
from compread.extract.sum_check import sum_tolerance
from compread.model import (
    LoadedModel,
    ModelRequest,
    find_anatomy,
    load_adapter_config,
    load_model,
)
from compread.model.load.quantized import check_storage
from compread.model.matrices import forward_flops

LABELS = (5, 9, 17)
PROMPTS = some_prompts(9, 4, 13, vocabulary=320)
RANK, ALPHA = 3, 5
TARGETS = ["q_proj", "o_proj", "down_proj"]


def parts_of(model: Any) -> torch.Tensor:
    """The contributions [B, C, K]."""
    return Engine(model, find_anatomy(model), LABELS).run(PROMPTS).parts.cpu()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


# --- adapters ------------------------------------------------------------------------------------


def plain(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, m: Any) -> torch.Tensor:
    """LoRA: W + α/r · BA."""
    return weight + ALPHA / RANK * b @ a


def stabilized(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, m: Any) -> torch.Tensor:
    """Rank-stabilized: W + α/√r · BA."""
    return weight + ALPHA / RANK**0.5 * b @ a


def decomposed(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, m: Any) -> torch.Tensor:
    """DoRA: each row of W + α/r · BA at a learned length."""
    changed = plain(weight, a, b, m)
    return m[:, None] * changed / changed.norm(dim=1, keepdim=True)


Formula = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Any], torch.Tensor]
ADAPTERS: dict[str, tuple[dict[str, bool], Formula]] = {
    "lora": ({}, plain),
    "rslora": ({"use_rslora": True}, stabilized),
    "dora": ({"use_dora": True}, decomposed),
}


def save_adapter(
    place: Path, family: Family = TINY, **options: Any
) -> tuple[Path, dict[str, tuple[Any, ...]]]:
    """A loud adapter of the tiny model in a folder, and its matrices by the module's name."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, **options)
    model = peft.get_peft_model(loud_model(family, torch.float32), config)
    draw = torch.Generator().manual_seed(5)
    matrices = {}
    for name, module in model.get_base_model().named_modules():
        if not hasattr(module, "lora_A"):
            continue
        a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
        m = module.lora_magnitude_vector["default"].weight if options.get("use_dora") else None
        with torch.no_grad():
            for weight in (a, b):
                weight.normal_(0, 0.4, generator=draw)
            if m is not None:
                m.uniform_(0.5, 2.0, generator=draw)
        matrices[name] = (a.detach(), b.detach(), None if m is None else m.detach())
    model.save_pretrained(place)
    return place, matrices


@pytest.mark.parametrize("merge", [False, True], ids=["beside", "merged"])
@pytest.mark.parametrize(("options", "formula"), ADAPTERS.values(), ids=ADAPTERS)
def test_an_adapter_gives_the_parts_of_its_formula(
    folder: Path, tmp_path: Path, options: dict[str, bool], formula: Formula, merge: bool
) -> None:
    """Beside the weights or added to them, each part is that of a plain model changed by hand."""
    place, matrices = save_adapter(tmp_path / "adapter", **options)
    request = ModelRequest(str(folder), adapter=str(place), merge_adapter=merge)
    found = parts_of(load_model(request).model)
    by_hand = loud_model(TINY, torch.float32)
    untouched = parts_of(by_hand)
    with torch.no_grad():
        for name, (a, b, m) in matrices.items():
            weight = by_hand.get_submodule(name).weight
            weight.copy_(formula(weight, a, b, m))
    assert len(matrices) == 6
    torch.testing.assert_close(found, parts_of(by_hand), rtol=1e-4, atol=1e-4)
    assert (found - untouched).abs().max() > 0.1 * untouched.abs().max()


def test_an_adapter_that_is_not_finite_is_not_merged(folder: Path, tmp_path: Path) -> None:
    """A NaN in it is told before it is in the weights."""
    from safetensors.torch import load_file, save_file

    place, _ = save_adapter(tmp_path / "adapter")
    tensors = load_file(place / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = torch.nan
    save_file(tensors, place / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="NaN"):
        load_model(ModelRequest(str(folder), adapter=str(place), merge_adapter=True))


def test_an_adapter_is_part_of_what_identifies_a_model(folder: Path, tmp_path: Path) -> None:
    """With, merged and without are three models."""
    place, _ = save_adapter(tmp_path / "adapter")
    requests = [
        ModelRequest(str(folder)),
        ModelRequest(str(folder), adapter=str(place)),
        ModelRequest(str(folder), adapter=str(place), merge_adapter=True),
    ]
    assert len({load_model(request).fingerprint for request in requests}) == 3


def test_a_family_is_certified_with_an_adapter(tmp_path: Path) -> None:
    """The twin has an adapter of the same kind, whose update is as loud as its weights."""
    place, _ = save_adapter(tmp_path / "adapter", use_dora=True)
    config = loud_model(TINY, torch.float32).config
    certificate = certify(config, load_adapter_config(str(place)))
    assert certificate.certified, certificate.reason


def test_no_adapter_there(folder: Path, tmp_path: Path) -> None:
    """A folder without one is said to be that."""
    pytest.importorskip("peft")
    with pytest.raises(ModelError, match=r"cannot load the adapter of .*nothing"):
        load_model(ModelRequest(str(folder), adapter=str(tmp_path / "nothing")))


def test_learned_tokens_are_no_change_of_the_layers(folder: Path, tmp_path: Path) -> None:
    """Prompt tuning is refused in words."""
    peft = pytest.importorskip("peft")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    peft.get_peft_model(loud_model(TINY, torch.float32), config).save_pretrained(tmp_path / "a")
    with pytest.raises(ModelError, match="PROMPT_TUNING adapter, which puts learned tokens"):
        load_model(ModelRequest(str(folder), adapter=str(tmp_path / "a")))


# --- eight and four bits -------------------------------------------------------------------------


def unpacked(module: nn.Module) -> torch.Tensor:
    """The weights [out, in] that a quantized module stands for."""
    import bitsandbytes.functional as packed

    weight: Any = module.weight
    if weight.dtype == torch.int8:
        scale = module.state.SCB if weight.SCB is None else weight.SCB
        return weight.float() * scale.float()[:, None] / 127
    return packed.dequantize_4bit(weight.data, weight.quant_state).float()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as wide as packed weights must be."""
    return save_tiny(tmp_path_factory.mktemp("models") / "wide", family=WIDE)


def quantized(folder: Path, bits: str, dtype: str = "float32") -> LoadedModel:
    """The tiny model in few bits, skipped where no kernels are installed."""
    pytest.importorskip("bitsandbytes")
    return load_model(ModelRequest(str(folder), quantize=bits, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_parts_of_a_quantized_model_are_those_of_its_weights(
    wide: Path, bits: str, dtype: str
) -> None:
    """Every part is that of the unpacked weights, up to the kernels' own rounding."""
    loaded = quantized(wide, bits, dtype)
    by_hand = loud_model(WIDE, torch.float32)
    names = []
    for name, module in by_hand.named_modules():
        other = loaded.model.get_submodule(name)
        if isinstance(module, nn.Linear) and other.weight.dtype in (torch.int8, torch.uint8):
            names.append(name)
            module.weight.data.copy_(unpacked(other).cpu())
    assert len(names) == 14
    engine = Engine(loaded.model, find_anatomy(loaded.model), LABELS)
    found = HostCopy(engine.run(PROMPTS)).wait()
    tolerance = sum_tolerance(loaded.rounding, 2)
    assert loaded.rounding == torch.bfloat16 and tolerance < 0.02
    assert (found.sum_error / found.scale).max() < tolerance
    misfit = (found.parts - parts_of(by_hand)).abs().amax((1, 2)) / found.scale
    assert misfit.max() < 0.05
    if bits == "4bit":
        others = parts_of(loud_model(WIDE, torch.float32))  # those of the weights before
        assert ((found.parts - others).abs().amax((1, 2)) / found.scale).max() > 2 * misfit.max()


def test_a_model_that_was_saved_in_four_bits(wide: Path, tmp_path: Path) -> None:
    """Its own config says how it was quantized; no option is needed."""
    first = quantized(wide, "4bit")
    first.model.save_pretrained(tmp_path / "small")
    first.tokenizer.save_pretrained(tmp_path / "small")
    again = load_model(ModelRequest(str(tmp_path / "small"), dtype="float32"))
    assert again.rounding == torch.bfloat16
    torch.testing.assert_close(parts_of(again.model), parts_of(first.model))


def test_four_bits_under_another_name(wide: Path, tmp_path: Path) -> None:
    """Several to an element of a floating type, as for training in shards: the same numbers."""
    pytest.importorskip("bitsandbytes")
    found = []
    for storage in (torch.uint8, torch.bfloat16, torch.float32):
        place = tmp_path / str(storage)
        settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_storage=storage)
        first = AutoModelForCausalLM.from_pretrained(wide, quantization_config=settings)
        first.save_pretrained(place)
        byte_tokenizer().save_pretrained(place)
        request = ModelRequest(str(place), dtype="bfloat16")
        if storage == torch.float32 and transformers.__version__ < "5":
            with pytest.raises(ModelError, match="load it with --dtype float32"):
                load_model(request)
            continue
        model: Any = load_model(request).model
        assert model.model.layers[0].self_attn.o_proj.weight.dtype == storage
        for module in model.modules():
            module.support_avx512bf16_for_cpu = False  # or the first product packs them in bytes
        found.append((forward_flops(model, 7, 2), parts_of(model)))
    (flops, parts), *others = found
    for other in others:
        assert other[0] == flops
        torch.testing.assert_close(other[1], parts)


def test_four_bits_that_were_converted(wide: Path) -> None:
    """Weights of another type than the config says are refused, not read."""
    pytest.importorskip("bitsandbytes")
    model: Any = load_model(ModelRequest(str(wide), quantize="4bit")).model
    check_storage(model, "small")
    model.config.quantization_config.bnb_4bit_quant_storage = torch.float32
    with pytest.raises(ModelError, match="small keeps its four-bit weights as float32"):
        check_storage(model, "small")


def test_a_number_of_bits_that_is_not(wide: Path) -> None:
    """Two are known."""
    with pytest.raises(UsageError, match="no quantization `3bit`: expected 8bit or 4bit"):
        load_model(ModelRequest(str(wide), quantize="3bit"))


def test_an_adapter_on_four_bits(wide: Path, tmp_path: Path) -> None:
    """As QLoRA's are: trained beside packed weights, and read beside them."""
    place, _ = save_adapter(tmp_path / "adapter", WIDE)
    pytest.importorskip("bitsandbytes")
    loaded = load_model(
        ModelRequest(str(wide), quantize="4bit", adapter=str(place), dtype="float32")
    )
    batch = Engine(loaded.model, find_anatomy(loaded.model), LABELS).run(PROMPTS)
    assert (batch.sum_error / batch.scale).max() < sum_tolerance(loaded.rounding, 2)


# --- layers that are elsewhere until they run ----------------------------------------------------


def on_disk(model: Any, place: Path) -> None:
    """All weights in files."""
    accelerate = pytest.importorskip("accelerate")
    accelerate.disk_offload(model, str(place), execution_device=model.device)


def in_memory(model: Any, place: Path) -> None:
    """All weights in a dictionary."""
    accelerate = pytest.importorskip("accelerate")
    accelerate.cpu_offload(model, execution_device=model.device)


@pytest.mark.parametrize("offload", [on_disk, in_memory])
def test_offloaded_layers_give_the_same_parts(
    folder: Path, tmp_path: Path, offload: Callable[[Any, Path], None]
) -> None:
    """To the last bit, and the model has the same fingerprint."""
    from compread.model.load.fingerprint import fingerprint

    loaded = load_model(ModelRequest(str(folder)))
    expected, mark = parts_of(loaded.model), loaded.fingerprint
    offload(loaded.model, tmp_path)
    assert all(weight.is_meta for weight in loaded.model.parameters())
    assert torch.equal(parts_of(loaded.model), expected)
    assert fingerprint(loaded.model) == mark
    other = load_model(ModelRequest(str(folder))).model
    with torch.no_grad():
        other.model.layers[1].self_attn.o_proj.weight.add_(1)
    offload(other, tmp_path / "other")
    assert fingerprint(other) != mark


def test_a_device_map_with_a_layer_on_disk(folder: Path) -> None:
    """As accelerate spreads a model that is larger than the memory."""
    pytest.importorskip("accelerate")
    spread = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk"}
    spread |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "disk"}
    loaded = load_model(ModelRequest(str(folder), device_map=spread))
    assert any(weight.is_meta for weight in loaded.model.parameters())
    whole = load_model(ModelRequest(str(folder), device="cpu"))
    assert torch.equal(parts_of(loaded.model), parts_of(whole.model))
    assert loaded.fingerprint == whole.fingerprint


# --- attention implementations -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["eager", "sdpa"])
def test_each_attention_gives_the_same_parts(folder: Path, name: str) -> None:
    """Up to rounding."""
    loaded = load_model(ModelRequest(str(folder), attention=name))
    assert loaded.model.config._attn_implementation == name
    expected = parts_of(loud_model(TINY, torch.float32))
    torch.testing.assert_close(parts_of(loaded.model), expected, rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_a_compiled_attention_gives_the_same_parts(folder: Path) -> None:
    """``flex_attention``, of whole prompts of several lengths and behind a shared prefix."""
    expected = parts_of(loud_model(TINY, torch.float32))
    loaded = load_model(ModelRequest(str(folder), attention="flex_attention", dtype="float32"))
    engine = Engine(loaded.model, find_anatomy(loaded.model), LABELS)
    torch.testing.assert_close(engine.run(PROMPTS).parts, expected, rtol=0, atol=2e-5)
    model = loud_model(TINY, torch.float32)
    plain = Engine(model, find_anatomy(model), LABELS)
    for length in (1, 40, 130, 200):  # a block of the mask has 128 tokens
        rows = some_prompts(length, length, vocabulary=320)
        prefix = some_prompts(30, vocabulary=320)[0]
        whole = plain.run([prefix + row for row in rows]).parts
        for found in (
            engine.run([prefix + row for row in rows]),
            engine.run(rows, engine.share(prefix)),
        ):
            torch.testing.assert_close(found.parts, whole, rtol=0, atol=5e-5)


def test_an_attention_that_is_not(folder: Path) -> None:
    """Transformers' own list is in the message."""
    with pytest.raises(ModelError, match=r"cannot load the model of .*nope"):
        load_model(ModelRequest(str(folder), attention="nope"))

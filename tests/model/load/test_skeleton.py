"""What weights will take, told from the config, is what they take once they are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from loud import FAMILIES, loud_model
from tiny_folder import WIDE, save_tiny
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from compread.errors import ModelError, UsageError
from compread.model import ModelRequest, load_config, load_model
from compread.model.load.skeleton import footprint
from compread.model.matrices import forward_flops


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return save_tiny(tmp_path_factory.mktemp("models") / "wide", family=WIDE)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of two of its maps."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=3, target_modules=["o_proj", "down_proj"])
    place = tmp_path_factory.mktemp("adapters") / "lora"
    peft.get_peft_model(loud_model(WIDE, torch.float32), config).save_pretrained(place)
    return place


def loaded_bytes(model: Any) -> int:
    """Of a loaded model's tensors, the scales of packed ones among them."""
    tensors = {id(w): w for w in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        state = getattr(weight, "quant_state", None)
        for scale in (getattr(state, "absmax", None), getattr(weight, "SCB", None)):
            if isinstance(scale, torch.Tensor):
                tensors[id(scale)] = scale
    return sum(w.numel() * w.element_size() for w in tensors.values())


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
@pytest.mark.parametrize("quantize", [None, "8bit", "4bit"])
@pytest.mark.parametrize("adapted", ["", "beside", "merged"])
def test_the_footprint_is_that_of_the_loaded_model(
    folder: Path, adapter: Path, quantize: str | None, adapted: str, dtype: str
) -> None:
    """Bytes within one percent, operations equal."""
    if quantize:
        pytest.importorskip("bitsandbytes")
        if adapted == "merged":
            pytest.skip("packed again with other scales")
    request = ModelRequest(
        str(folder),
        dtype=dtype,
        quantize=quantize,
        adapter=str(adapter) if adapted else None,
        merge_adapter=adapted == "merged",
    )
    said = footprint(request, load_config(str(folder)))
    model = load_model(request).model
    assert said.tensors == pytest.approx(loaded_bytes(model), rel=0.01)
    assert forward_flops(said.model, 7, 2) == forward_flops(model, 7, 2)


def test_weights_that_stay_in_memory_beside_others(folder: Path, adapter: Path) -> None:
    """Those of the mapped file that were packed or merged into, unless all take another type."""
    pytest.importorskip("bitsandbytes")
    layers = 2 * 4 * (64 * 64 + 64 * 128)  # two, of four bytes a weight: o_proj and down_proj
    config = load_config(str(folder))
    found = [
        footprint(ModelRequest(str(folder), **options), load_config(str(folder))).replaced
        for options in (
            {},
            {"adapter": str(adapter)},
            {"adapter": str(adapter), "merge_adapter": True},
            {"adapter": str(adapter), "merge_adapter": True, "dtype": "bfloat16"},
            {"quantize": "4bit"},
            {"quantize": "4bit", "adapter": str(adapter), "merge_adapter": True},
        )
    ]
    assert config.dtype == torch.float32
    assert found[:4] == [0, 0, layers, 0]
    assert found[4] == found[5] > layers


def test_a_model_that_was_saved_packed(folder: Path) -> None:
    """Its own config says in how many bits; of other ways nothing is known."""
    pytest.importorskip("bitsandbytes")
    config = load_config(str(folder))
    whole = footprint(ModelRequest(str(folder)), load_config(str(folder))).tensors
    config.quantization_config = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    assert footprint(ModelRequest(str(folder)), config).tensors < whole / 2
    config.quantization_config = {"quant_method": "gptq", "bits": 4}
    with pytest.raises(ModelError, match="packed by gptq take is not known beforehand"):
        footprint(ModelRequest(str(folder)), config)


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
@pytest.mark.parametrize("skipped", [None, ["lm_head", "model.layers.0.mlp"], ["o_proj"]])
def test_maps_that_a_model_says_to_leave_whole(
    folder: Path, bits: str, skipped: list[str] | None
) -> None:
    """Its own list of them, in which the unembedding may be missing, is followed."""
    pytest.importorskip("bitsandbytes")
    options = {f"load_in_{bits}": True, "llm_int8_skip_modules": skipped}
    packed = load_config(str(folder))
    packed.quantization_config = {"quant_method": "bitsandbytes", **options}
    said = footprint(ModelRequest(str(folder)), packed)
    model = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=BitsAndBytesConfig(**options), dtype=torch.float32
    )
    assert said.tensors == pytest.approx(loaded_bytes(model), rel=0.01)
    assert said.replaced == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_no_matrix_is_forgotten(name: str) -> None:
    """The operations are those that torch counts while one token passes."""
    model = loud_model(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.tensor([[3]]), use_cache=False)
    counted = counter.get_flop_counts()["Global"]
    products = (torch.ops.aten.mm, torch.ops.aten.addmm)  # of attention's scores: bmm and others
    assert forward_flops(model, 1, 1) == sum(counted.get(product, 0) for product in products) > 0


def test_what_is_packed_already_cannot_be_quantized() -> None:
    """A ``.gguf`` file's weights are unpacked, and stay so."""
    with pytest.raises(UsageError, match="--quantize packs weights that are whole"):
        ModelRequest("model.gguf", quantize="4bit")

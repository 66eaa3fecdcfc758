"""Fused element-wise work changes no number beyond rounding, and no hook is lost to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from loud import loud_model, some_prompts
from torch import nn

from compread.errors import ModelError
from compread.extract import Engine
from compread.model import find_anatomy
from compread.model.fuse import Fusion, fuse
from compread.model.taps import Taps

# Dynamo's own front without a compiler behind it: all of the tracing, none of the minutes.
TRACED = "eager"
FUSED = ["llama grouped", "gemma2"]


@pytest.fixture
def fusions() -> Iterator[list[Fusion]]:
    """Fusions of a test, undone at its end: some compile what all models of a family share."""
    made: list[Fusion] = []
    yield made
    for fusion in made:
        fusion.undo()
    torch.compiler.reset()


def watched(model: Any) -> list[nn.Module]:
    """The modules that a decomposition of the model reads."""
    return Taps(model, find_anatomy(model), all_writes=True).modules


def parts(model: Any) -> Any:
    """Parts [B, C, K] behind a shared prefix and of whole prompts."""
    engine = Engine(model, find_anatomy(model), (5, 9, 17))
    (head,) = some_prompts(11, seed=1)
    own = some_prompts(9, 4, 13, 1, seed=2)
    return engine.run(own, engine.share(head)).parts, engine.run(own).parts


@pytest.mark.parametrize("name", FUSED)
def test_the_parts_are_the_same(name: str, fusions: list[Fusion]) -> None:
    """Of a fused model, in float64, behind a prefix and whole; and its modules were fused."""
    model = loud_model(name, torch.float64)
    before = parts(model)
    fusions.append(fuse(model, watched(model), backend=TRACED))
    assert {"apply_rotary_pos_emb"} < set(fusions[0].names)
    assert any(name.endswith("Norm") for name in fusions[0].names)
    assert any(name.endswith("MLP") for name in fusions[0].names)
    for fused, plain in zip(parts(model), before, strict=True):
        assert torch.allclose(fused, plain, rtol=0, atol=1e-9)


def test_undone_it_is_the_models_own_code(fusions: list[Fusion]) -> None:
    """No instance keeps a forward of its own, and the family its own rotation."""
    import transformers.models.llama.modeling_llama as llama

    rotation = llama.apply_rotary_pos_emb
    model = loud_model("llama grouped")
    fusion = fuse(model, watched(model), backend=TRACED)
    assert llama.apply_rotary_pos_emb is not rotation
    fusion.undo()
    assert llama.apply_rotary_pos_emb is rotation
    assert not any("forward" in vars(module) for module in model.modules())


def test_what_holds_a_watched_module_is_left_alone(fusions: list[Fusion]) -> None:
    """A hook inside of compiled code would not be called."""
    model = loud_model("llama grouped")
    inside = model.model.layers[1].mlp.down_proj
    fusions.append(fuse(model, [inside], backend=TRACED))
    assert "forward" in vars(model.model.layers[0].mlp)
    assert "forward" not in vars(model.model.layers[1].mlp)


def test_the_final_norm_is_watched() -> None:
    """Its input and output are read, so what holds it must not be compiled either."""
    model = loud_model("llama grouped")
    assert any(module is model.model.norm for module in watched(model))


def test_a_model_with_nothing_to_fuse_is_told(fusions: list[Fusion]) -> None:
    """GPT-2 has LayerNorms, which are one kernel already, and no gates."""
    with pytest.raises(ModelError, match=r"GPT2LMHeadModel has no norm, gate or rotation"):
        fusions.append(fuse(loud_model("gpt2"), backend=TRACED))


def test_what_cannot_be_compiled_is_told_and_undone() -> None:
    """A compiler that fails, as for want of g++, ends in one line, and the model runs."""

    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler\nwas found")

    model = loud_model("llama grouped")
    plain = parts(model)[1]
    with pytest.raises(ModelError, match=r"--compile: torch cannot compile .*no compiler was"):
        fuse(model, watched(model), backend=broken)  # type: ignore[arg-type]
    assert torch.equal(parts(model)[1], plain)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of the compiler itself
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_compiled_for_real(dtype: Any, fusions: list[Fusion]) -> None:
    """By torch's own compiler the parts are off by rounding alone."""
    model = loud_model("llama grouped", dtype)
    before = parts(model)[1].double()
    fusions.append(fuse(model, watched(model)))
    scale = before.abs().max()
    assert (parts(model)[1].double() - before).abs().max() < 20 * torch.finfo(dtype).eps * scale

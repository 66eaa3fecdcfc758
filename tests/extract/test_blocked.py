"""Laid-out weights give the model's own numbers, only while it runs, and only where they fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from loud import FAMILIES, LABELS, loud_model, some_prompts
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from compread.extract import Engine, blocked
from compread.extract.blocked import copied_bytes, lay_out, multiplying_with
from compread.model import find_anatomy

NAME = "llama grouped"


def has_products(dtype: torch.dtype) -> bool:
    """Whether this machine's oneDNN multiplies in a type."""
    try:
        torch.ops.mkldnn._reorder_linear_weight(torch.zeros(8, 8, dtype=dtype), 8)
    except (AttributeError, RuntimeError):
        return False
    return True


needs_float32 = pytest.mark.skipif(not has_products(torch.float32), reason="needs oneDNN")


class Products(TorchDispatchMode):
    """Counts the products with a laid-out weight."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count it."""
        self.count += "_linear_pointwise" in str(func)
        return func(*args, **(kwargs or {}))


@needs_float32
@pytest.mark.parametrize("name", FAMILIES)
def test_the_parts_are_those_of_the_models_own_products(name: str) -> None:
    """Behind a shared prefix and without one, in every family."""
    model = loud_model(name, torch.float32)
    anatomy = find_anatomy(model)
    fast, own = Engine(model, anatomy, LABELS, lay_out(model)), Engine(model, anatomy, LABELS)
    rows = some_prompts(9, 4, 13, 1)
    head = some_prompts(11, seed=1)[0]
    for prefix in ([], head):
        expected = own.run(rows, own.share(prefix))
        found = fast.run(rows, fast.share(prefix))
        misfit = (found.parts - expected.parts).abs().amax((1, 2)) / expected.scale
        assert float(misfit.max()) < 1e-5


@needs_float32
def test_every_linear_layer_but_the_unembedding_multiplies_with_its_copy() -> None:
    """Three layers of four and three projections each, and no product outside of the run."""
    model = loud_model(NAME, torch.float32)
    copies = lay_out(model)
    assert len(copies) == 3 * 7 and model.get_output_embeddings() not in copies
    engine = Engine(model, find_anatomy(model), LABELS, copies)
    with Products() as products:
        engine.run(some_prompts(5))
        assert products.count == 3 * 7
        model(input_ids=torch.tensor(some_prompts(5)))
        assert products.count == 3 * 7


@needs_float32
def test_the_layers_are_their_own_again_after_an_error() -> None:
    """However the run ends."""
    model = loud_model(NAME, torch.float32)
    copies = lay_out(model)
    with pytest.raises(KeyError), multiplying_with(copies):
        assert all("forward" in layer.__dict__ for layer in copies)
        raise KeyError
    assert not any("forward" in layer.__dict__ for layer in copies)


@needs_float32
def test_copies_are_made_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a quarter of the free memory, which all processes of the machine share."""
    model, cpu = loud_model(NAME, torch.float32), torch.device("cpu")
    needed = copied_bytes(model, cpu)
    layers = [m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"]
    assert needed == sum(4 * layer.weight.numel() for layer in layers)
    monkeypatch.setattr(blocked, "free_memory", lambda device: 4 * needed)
    assert lay_out(model) and copied_bytes(model, cpu) == needed
    assert copied_bytes(model, cpu, taken=1) == copied_bytes(model, torch.device("cuda")) == 0
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert lay_out(model) == {} and copied_bytes(model, cpu) == 0


def test_a_product_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is held to what the layer itself makes of some numbers."""
    monkeypatch.setattr(blocked, "_multiply", lambda copy, bias, x: x.new_ones(()))
    assert lay_out(loud_model(NAME, torch.float32)) == {}


def test_other_layers_are_left_alone() -> None:
    """Types that oneDNN does not multiply in, subclasses, and layers with another forward."""
    assert lay_out(loud_model(NAME, torch.float64)) == {}
    model = loud_model(NAME, torch.float32)
    before = len(lay_out(model))
    first, second = (model.model.layers[n].mlp.up_proj for n in (0, 1))
    first.forward = lambda x: 2 * nn.Linear.forward(first, x)
    second.__class__ = type("Gated", (nn.Linear,), {})
    copies = lay_out(model)
    assert first not in copies and second not in copies
    assert len(copies) == max(0, before - 2)


@pytest.mark.skipif(not has_products(torch.bfloat16), reason="needs bfloat16 products")
def test_bfloat16_is_multiplied_as_well() -> None:
    """Within its rounding."""
    model = loud_model(NAME, torch.bfloat16)
    anatomy, copies = find_anatomy(model), lay_out(model)
    assert copies
    rows = some_prompts(9, 4)
    own = Engine(model, anatomy, LABELS).run(rows)
    found = Engine(model, anatomy, LABELS, copies).run(rows)
    assert float(((found.parts - own.parts).abs().amax((1, 2)) / own.scale).max()) < 0.05

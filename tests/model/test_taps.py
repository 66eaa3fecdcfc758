"""Hooks read the answer position, copy it, and are gone afterwards, whatever happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from loud import engine_of, loud_engine, loud_model, some_prompts

from compread.errors import ModelError
from compread.model import find_anatomy
from compread.model.anatomy import Computed
from compread.model.taps import Taps


def hooks(model: Any) -> int:
    """How many hooks a model carries."""
    return sum(
        len(getattr(module, kind))
        for module in model.modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks")
    )


def fails(*args: Any, **kwargs: Any) -> Any:
    """A forward that breaks in the middle."""
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("name", ["llama grouped", "gemma2"])
def test_hooks_are_removed(name: str) -> None:
    """A run leaves the model as it was."""
    engine = engine_of(loud_model(name))
    assert hooks(engine.model) == 0
    engine.run(some_prompts(5))
    assert hooks(engine.model) == 0


def test_hooks_are_there_during_the_forward_and_removed_when_it_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A forward that breaks in the last layer's MLP leaves no hook behind."""
    model = loud_model("gpt2")
    engine, seen = engine_of(model), []

    def broken(*args: Any, **kwargs: Any) -> Any:
        seen.append(hooks(model))
        return fails()

    monkeypatch.setattr(model.transformer.h[-1].mlp, "forward", broken)
    with pytest.raises(RuntimeError, match="on purpose"):
        engine.run(some_prompts(5))
    assert seen[0] > 0 and hooks(model) == 0


def test_hooks_are_removed_when_the_probe_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that cannot run the probe is refused in one line, and carries no hook after it."""
    model = loud_model("llama tied")
    monkeypatch.setattr(model.model.layers[1].mlp, "forward", fails)
    with pytest.raises(ModelError, match="cannot run 6 tokens: RuntimeError: broken on purpose"):
        find_anatomy(model)
    assert hooks(model) == 0


def test_the_model_s_own_output_is_untouched() -> None:
    """Under the hooks the model returns the logits that it returns without them."""
    model = loud_model("llama grouped")
    tokens = torch.tensor(some_prompts(7))
    taps = Taps(model, find_anatomy(model))
    activations = taps.run(torch.tensor([6]), lambda: model(input_ids=tokens, use_cache=False))
    # Not to the last bit: on some processors a product's bits depend on where its input lies.
    expected = model(input_ids=tokens).logits[:, -1]
    torch.testing.assert_close(activations.logits, expected, rtol=1e-12, atol=1e-12)


def test_a_sighting_keeps_no_activation_alive() -> None:
    """What is kept is a copy of one row a prompt: its storage is no larger than it looks."""
    engine = loud_engine("gemma2", torch.float32)
    tokens = torch.tensor(some_prompts(11, 11, 11))
    answer = torch.tensor([10, 4, 7])
    activations = engine.taps.run(answer, lambda: engine.model(input_ids=tokens, use_cache=False))
    kept = [activations.embedding, activations.norm_input, activations.norm_output]
    kept += [*activations.inputs.values(), *activations.outputs.values()]
    assert len(kept) > 9
    for tensor in kept:
        assert len(tensor) == 3
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_each_row_is_read_at_its_own_answer() -> None:
    """Row b of a activations is position ``answer[b]`` of the tensor that passed."""
    engine = loud_engine("llama tied", torch.float64)
    tokens, answer, passed = torch.tensor(some_prompts(6, 6)), torch.tensor([2, 5]), []
    first = engine.decomposer.anatomy.layers[0].block
    handle = first.register_forward_pre_hook(lambda module, args: passed.append(args[0]))
    activations = engine.taps.run(answer, lambda: engine.model(input_ids=tokens, use_cache=False))
    handle.remove()
    assert torch.equal(activations.embedding, passed[0][[0, 1], answer])


@pytest.mark.parametrize("part", ["written", "mixing"])
def test_a_forward_that_goes_around_a_part_is_refused(part: str) -> None:
    """A projection, or what mixes streams, that the forward no longer calls is named."""
    model = loud_model("llama grouped")
    anatomy = find_anatomy(model)
    model.spare = torch.nn.Linear(3, 3)
    attention, mlp = anatomy.layers[0].writes
    weights = Computed((model.spare,), lambda activations: torch.ones(1, 1))
    changed = {"written": {"module": model.spare}, "mixing": {"into": weights}}[part]
    spared = replace(anatomy.layers[0], steps=(replace(attention, **changed), mlp))
    taps = Taps(model, replace(anatomy, layers=(spared, *anatomy.layers[1:])))
    tokens = torch.tensor(some_prompts(5))
    with pytest.raises(ModelError, match=r"did not pass through spare.*refused"):
        taps.run(torch.tensor([4]), lambda: model(input_ids=tokens))
    assert hooks(model) == 0

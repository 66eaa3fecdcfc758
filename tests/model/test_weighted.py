"""Weights on a model's components: by hooks and in its matrices, against references."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest
import torch
from loud import FAMILIES, LABELS, PROMPTS, engine_of, loud_model
from torch import nn

from compread.check.twin import build_twin
from compread.components import Component
from compread.errors import ModelError
from compread.model import find_anatomy, load_config
from compread.model import weighted as module
from compread.model.weighted import scale_weights, weighted

PLAIN = [name for name, family in FAMILIES.items() if family.post_mixer is None]
PARALLEL = ("neox parallel", "cohere")
TOKENS = torch.tensor([PROMPTS[0]])


def drawn(model: Any, layers: slice = slice(None), kinds: tuple[str, ...] = ("head", "mlp")) -> Any:
    """A signed weight for each component of some kinds and layers."""
    anatomy = find_anatomy(model)
    generator = torch.Generator().manual_seed(5)
    axis = [
        Component(write.kind, index, head)
        for index, layer in list(enumerate(anatomy.layers))[layers]
        for write in layer.writes
        for head in (range(write.heads) if write.kind == "head" else [-1])
    ]
    return {c: float(torch.randn(1, generator=generator)) for c in axis if c.kind in kinds}


def logits(model: Any) -> torch.Tensor:
    """[T, V] of one prompt."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS, use_cache=False).logits[0]
    return found


@pytest.mark.parametrize("name", PLAIN)
def test_weights_of_one_change_nothing(name: str) -> None:
    """To the bit, in both forms; and the hooks are gone afterwards."""
    model = loud_model(name)
    before = logits(model)
    ones = dict.fromkeys(drawn(model), 1.0)
    with weighted(model, ones):
        assert torch.equal(logits(model), before)
    with weighted(model, drawn(model)):
        assert not torch.allclose(logits(model), before, atol=0.1)
    assert torch.equal(logits(model), before)
    scale_weights(model, ones)
    assert torch.equal(logits(model), before)


def by_name(model: Any, name: str, weights: dict[Component, float], shift: int = 0) -> None:
    """Multiplies the weights in by the names that a person reads; ``shift`` takes other heads'."""
    family = FAMILIES[name]
    for index, layer in enumerate(attrgetter(family.layers)(model)):
        projection = attrgetter(family.projection)(layer)
        by_input = projection.weight if isinstance(projection, nn.Linear) else projection.weight.T
        by_head = (
            by_input.view(by_input.shape[0], family.heads, -1)
            if isinstance(projection, nn.Linear)
            else None
        )
        for head in range(family.heads):
            w = weights[Component("head", index, (head + shift) % family.heads)]
            if by_head is not None:
                by_head[:, head] *= w
            else:
                width = projection.weight.shape[0] // family.heads
                projection.weight[head * width : (head + 1) * width] *= w
        mlp = attrgetter(family.mlp)(layer)
        last = next(
            getattr(mlp, n) for n in ("down_proj", "c_proj", "dense_4h_to_h") if hasattr(mlp, n)
        )
        for tensor in last.parameters():
            tensor *= weights[Component("mlp", index)]


@pytest.mark.parametrize("name", PLAIN)
def test_both_forms_are_the_matrices_scaled_by_name(name: str) -> None:
    """Signed weights on every head and MLP; those of another head are far off."""
    weights = drawn(loud_model(name))
    wanted, other = loud_model(name), loud_model(name)
    with torch.no_grad():
        by_name(wanted, name, weights)
        by_name(other, name, weights, shift=1)
    hooks, scaled = loud_model(name), loud_model(name)
    scale_weights(scaled, weights)
    torch.testing.assert_close(logits(scaled), logits(wanted), rtol=0, atol=1e-4)
    with weighted(hooks, weights):
        torch.testing.assert_close(logits(hooks), logits(wanted), rtol=0, atol=1e-4)
    assert float((logits(other) - logits(wanted)).abs().max()) > 0.1


def norm_scale(model: Any, name: str) -> Any:
    """1 / the root mean square that the final norm divides by, at the last token of each prompt."""
    family, seen = FAMILIES[name], []
    norm = attrgetter(family.norm)(model)
    handle = norm.register_forward_pre_hook(lambda _, args: seen.append(args[0][0, -1].double()))
    with torch.inference_mode():
        for prompt in PROMPTS:
            model(input_ids=torch.tensor([prompt]), use_cache=False)
    handle.remove()
    x = torch.stack(seen)
    x = x - x.mean(-1, keepdim=True) if family.centred else x
    return (x.square().mean(-1) + family.eps(model.config)).rsqrt()[:, None]


def last_layer_error(name: str, shift: int = 0) -> float:
    """How far the scaled model's logits are from the weighted direct sum, the norm's scale aside.

    With s and s' the final norm's scale before and after, U the label rows and β, b the constants,

        logits' = (Σ_j w_j g_j - c) s' / s + c       c = logit_scale (U β + b)

    holds where only writes of the last layer have weights that no other write reads: all of them
    where attention and MLP are parallel, else the MLP.
    """
    family, model, scaled = FAMILIES[name], loud_model(name), loud_model(name)
    kinds = ("head", "mlp") if name in PARALLEL else ("mlp",)
    weights = drawn(model, slice(2, 3), kinds)
    scale_weights(scaled, weights)
    engine = engine_of(model)
    parts = engine.run(PROMPTS).parts.double()  # [B, C, K]
    heads = [c for c in weights if c.kind == "head"]
    turned = dict(zip(heads, heads[shift:] + heads[:shift], strict=True))
    w = [weights.get(turned.get(c, c), 1.0) for c in engine.decomposer.components]
    direct = torch.einsum("bck,c->bk", parts, torch.tensor(w, dtype=torch.float64))
    head, norm = model.get_output_embeddings(), attrgetter(family.norm)(model)
    rows, bias = head.weight[list(LABELS)], getattr(head, "bias", None)
    constant = rows @ norm.bias if getattr(norm, "bias", None) is not None else rows[:, 0] * 0
    constant = (constant + (0 if bias is None else bias[list(LABELS)])) * family.logit
    wanted = (direct - constant) * norm_scale(scaled, name) / norm_scale(model, name) + constant
    found = engine_of(scaled).run(PROMPTS).full.double()
    return float((found - wanted).abs().max() / found.abs().max())


@pytest.mark.parametrize("name", PLAIN)
def test_the_last_layer_s_weights_are_those_of_the_sum(name: str) -> None:
    """Up to the final norm's scale, which the new stream sets, as the docstring above says."""
    assert last_layer_error(name) < 1e-4


@pytest.mark.parametrize("name", PARALLEL)
def test_weights_of_another_head_are_found(name: str) -> None:
    """The identity fails by far where each head has its neighbour's weight."""
    assert last_layer_error(name, shift=1) > 0.01


def test_matrices_that_do_not_do_what_outputs_do_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each export is run beside the hooks, so that a wrong orientation never gets out."""
    whole = module._scale_heads
    monkeypatch.setattr(module, "_scale_heads", lambda m, f: whole(m, f[1:] + f[:1]))
    model = loud_model("llama grouped")
    with pytest.raises(ModelError, match="matrices scaled it does not compute"):
        scale_weights(model, drawn(model))


@pytest.mark.parametrize("name", ["gemma2", "olmo2"])
def test_a_norm_behind_a_block_is_refused(name: str) -> None:
    """It would take a weight away again."""
    model = loud_model(name)
    with pytest.raises(ModelError, match="a norm behind its head output, which would undo"):
        scale_weights(model, drawn(model))
    with pytest.raises(ModelError, match="would undo"), weighted(model, drawn(model)):
        pass


def test_a_mixture_of_experts_runs_by_hooks_alone() -> None:
    """Its output is no single matrix's; what hooks do is what taking the block out does."""
    model = build_twin(load_config("mixtral"))
    weights = dict.fromkeys(drawn(model, kinds=("mlp",)), 0.0)
    with pytest.raises(ModelError, match="is not that of one matrix"):
        scale_weights(model, weights)
    blocks = [layer.block for layer in find_anatomy(model).layers]
    mlps = [w.module for x in find_anatomy(model).layers for w in x.writes if w.kind == "mlp"]

    def taken_out(module: Any, args: Any, out: Any) -> Any:
        # Before transformers 5 the block returns its router's logits too.
        return (out[0] * 0, *out[1:]) if isinstance(out, tuple) else out * 0

    handles = [m.register_forward_hook(taken_out) for m in mlps]
    wanted = logits(model)
    for handle in handles:
        handle.remove()
    with weighted(model, weights):
        torch.testing.assert_close(logits(model), wanted)
    assert len(mlps) == len(blocks) and not torch.allclose(logits(model), wanted)

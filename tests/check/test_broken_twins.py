"""Broken twins: each forgets one ingredient of the real code, and the sum must show it by far.

A twin is the real ``Decomposer`` with its folds or one of its functions changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from loud import FAMILIES, LABELS, engine_of, loud_engine, loud_model, make_loud, worst_error

from compread.extract import Engine
from compread.extract.sum_check import sum_tolerance
from compread.model import decompose
from compread.model.decompose import Fold
from compread.model.norms import FrozenNorm

Break = Callable[[pytest.MonkeyPatch, Engine], Engine]


def _refold(engine: Engine, **changes: Any) -> Engine:
    """The same model folded anew, its anatomy changed where asked."""
    return Engine(engine.model, replace(engine.decomposer.anatomy, **changes), LABELS)


def _change_heads(engine: Engine, change: Callable[[Any], Any]) -> Engine:
    """Change the folds that are split by head."""
    layers = engine.decomposer.folds
    assert all(any(fold.heads is not None for fold in folds) for folds in layers)
    engine.decomposer.folds = [
        [fold if fold.heads is None else change(fold) for fold in folds] for folds in layers
    ]
    return engine


def no_gamma(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The labels are folded through norms without their gain."""
    real = FrozenNorm.pull_back
    patch.setattr(
        FrozenNorm, "pull_back", lambda n, d: real(replace(n, gain=n.gain * 0 + n.gain.mean()), d)
    )
    return _refold(engine)


def no_centring(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """A LayerNorm's directions keep their mean."""
    real = FrozenNorm.pull_back
    patch.setattr(FrozenNorm, "pull_back", lambda n, d: real(replace(n, centred=False), d))
    return _refold(engine)


def no_beta_and_no_unembedding_bias(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The constant part of the logits is left out."""
    engine.decomposer.constant = torch.zeros_like(engine.decomposer.constant)
    return engine


def _change_sightings(patch: pytest.MonkeyPatch, engine: Engine, change: Callable[..., None]):
    real = engine.taps.run

    def run(answer: Any, forward: Any) -> Any:
        activations = real(answer, forward)
        change(activations)
        return activations

    patch.setattr(engine.taps, "run", run)
    return engine


def _embed(patch: pytest.MonkeyPatch, engine: Engine, change: Callable[..., Any]) -> Engine:
    def swap(activations: Any) -> None:
        activations.embedding = change(activations.embedding)

    return _change_sightings(patch, engine, swap)


def no_embedding(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The embedding's part is zero."""
    return _embed(patch, engine, torch.zeros_like)


def own_norm_per_part(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The embedding and each MLP are normalised by their own size, not by the sum's."""
    real, size = decompose._project, {}
    _change_sightings(patch, engine, lambda s: size.update(x=s.norm_input.norm(dim=-1)))
    patch.setattr(
        decompose,
        "_project",
        lambda z, directions: real(z * (size["x"] / z.norm(dim=-1))[:, None], directions),
    )
    return engine


def no_output_bias(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The output projections' biases are left out."""
    return _change_heads(engine, lambda f: replace(f, bias=torch.zeros_like(f.bias)))


def wrong_head_order(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The heads' folds stand in the opposite order."""
    return _change_heads(engine, lambda f: replace(f, heads=f.heads.flip(1)))


def head_width_outside_heads(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The projection's input is read as [E, H] and not as [H, E]."""

    def transpose(fold: Any) -> Any:
        k, h, e = fold.heads.shape
        return replace(fold, heads=fold.heads.reshape(k, e, h).transpose(1, 2).contiguous())

    return _change_heads(engine, transpose)


def no_post_norm_scale(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The scale of the norm behind the attention is left out."""
    real = Fold._scale
    patch.setattr(
        Fold, "_scale", lambda fold, activations: torch.ones_like(real(fold, activations))
    )
    return engine


def no_residual_multiplier(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The blocks' writes are taken as they left the modules."""
    layers = engine.decomposer.anatomy.layers
    return _refold(
        engine,
        layers=tuple(
            replace(x, steps=tuple(replace(write, scale=1.0) for write in x.writes)) for x in layers
        ),
    )


def no_logit_multiplier(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The folded labels lack the multiplier of the logits; the logits have it."""
    scale = engine.decomposer.anatomy.logit_scale
    engine.decomposer.directions /= scale
    return _change_heads(engine, lambda f: replace(f, heads=f.heads / scale))


def embedding_of_a_pad(patch: pytest.MonkeyPatch, engine: Engine) -> Engine:
    """The embedding is that of the pad token, as at a wrong position."""
    table = engine.model.get_input_embeddings().weight
    return _embed(patch, engine, lambda x: table[:1].expand(len(x), -1))


ALWAYS = (no_gamma, no_embedding, own_norm_per_part, wrong_head_order, head_width_outside_heads)
ALWAYS += (embedding_of_a_pad,)
BIASED = ("llama grouped", "gpt2", "neox parallel", "neox serial")
CASES = [(name, broken) for name in FAMILIES for broken in ALWAYS]
CASES += [(name, no_output_bias) for name in (*BIASED, "llama tied", "granite", "cohere")]
CASES += [(name, no_beta_and_no_unembedding_bias) for name in BIASED]
CASES += [(name, no_centring) for name in FAMILIES if FAMILIES[name].centred]
CASES += [("gemma2", no_post_norm_scale), ("olmo2", no_post_norm_scale)]
CASES += [("granite", no_residual_multiplier)]
CASES += [("granite", no_logit_multiplier), ("cohere", no_logit_multiplier)]


@pytest.mark.parametrize(("name", "broken"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_broken_twin_fails_by_far(
    name: str, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgetting any one ingredient moves the sum at least a hundred tolerances away."""
    whole = loud_engine(name, torch.float32)
    engine = broken(monkeypatch, _refold(whole))
    assert worst_error(engine) > 100 * sum_tolerance(torch.float32, 3)


def test_a_quiet_model_would_not_notice_a_missing_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """With norm weights of one, as models are born, the twin without γ passes: loudness matters."""
    model = loud_model("llama grouped", torch.float32)
    make_loud(model)
    for module in model.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.weight.fill_(1)
    assert worst_error(no_gamma(monkeypatch, engine_of(model))) < 1e-5

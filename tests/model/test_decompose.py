"""Parts are what a hand computation says they are, and they add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from by_hand import parts_by_hand
from loud import DEVICES, FAMILIES, LABELS, PROMPTS, engine_of, loud_engine, loud_model, worst_error

from compread.extract.launch import HostCopy
from compread.extract.sum_check import sum_tolerance
from compread.model import Decomposer, find_anatomy
from compread.model.decompose import BatchParts

HALF = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_each_part_is_what_it_is_by_hand(name: str, device: str) -> None:
    """Every head, MLP, embedding and bias agrees with hooks, a frozen norm and the unembedding."""
    family = FAMILIES[name]
    engine = loud_engine(name, torch.float64, device)
    model = engine.model
    names = [component.name for component in engine.decomposer.components]
    batch = HostCopy(engine.run(PROMPTS)).wait()
    for row, prompt in enumerate(PROMPTS):
        expected = parts_by_hand(model, family, prompt, LABELS)
        loudest = max(float(part.abs().max()) for part in expected.values())
        logits = expected.pop("logits")
        assert names == ["embed", *list(expected)[1:]]
        for column, part in enumerate(expected.values()):
            off = (batch.parts[row, column] - part.cpu()).abs().max()
            assert off <= 1e-6 * loudest, (names[column], row)
        # A norm in float32 rounds a row alone and a row of a batch apart.
        rtol = 1e-9 if family.exact else 1e-6
        assert torch.allclose(batch.full[row], logits.cpu(), rtol=rtol, atol=0)


def test_the_constant_part_is_scaled_as_the_logits_are() -> None:
    """Where the final norm has a β, halved logits have half of what it adds."""
    anatomy = find_anatomy(loud_model("gpt2", torch.float64))
    model = anatomy.unembedding
    expected = model.weight[list(LABELS)] @ anatomy.final_norm.bias  # type: ignore[union-attr]
    assert expected.abs().min() > 0
    for scale in (1.0, 0.5):
        found = Decomposer(replace(anatomy, logit_scale=scale), LABELS).constant
        assert torch.allclose(found, scale * expected.to(found), rtol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_gram_matrix_gives_lengths_in_the_labels_span(name: str, device: str) -> None:
    """gᵀ G⁻¹ g is the squared length of the write, as all tokens' logits fix it, projected."""
    engine = loud_engine(name, torch.float64, device)
    model, family = engine.model, FAMILIES[name]
    unembedding = model.get_output_embeddings().weight.detach().cpu()  # [V, D], V > D
    prompt = PROMPTS[0]
    of_all = parts_by_hand(model, family, prompt, range(len(unembedding)))
    basis, _ = torch.linalg.qr(unembedding[list(LABELS)].T)  # [D, K]
    gram = engine.decomposer.label_gram
    parts = engine.run([prompt]).parts[0].cpu().double()  # [C, K]
    heads = [j for j, c in enumerate(engine.decomposer.components) if c.kind == "head"]
    by_name = {c.name: j for j, c in enumerate(engine.decomposer.components)}
    for component, logits in of_all.items():
        if by_name.get(component) not in heads:
            continue
        g = parts[by_name[component]]
        write = torch.linalg.lstsq(unembedding * family.logit, logits.cpu()[:, None]).solution[:, 0]
        expected = (basis.T @ write).square().sum()
        torch.testing.assert_close(g @ torch.linalg.solve(gram, g), expected, rtol=1e-5, atol=0)
        assert abs(g @ g / expected - 1) > 0.01  # labels as if orthogonal and of one length


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_parts_add_up_in_float64(name: str, device: str) -> None:
    """Within 1e-9 where the norm honours float64; transformers' RMSNorm computes in float32."""
    engine = loud_engine(name, torch.float64, device)
    assert worst_error(engine) < (1e-9 if FAMILIES[name].exact else 1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_parts_add_up_in_float32(name: str, device: str) -> None:
    """In float32 the sum is within 1e-5, a tenth of the tolerance."""
    assert worst_error(loud_engine(name, torch.float32, device)) < 1e-5


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_parts_add_up_in_half_precision(name: str, dtype: torch.dtype) -> None:
    """In bfloat16 and float16 the sum is within the stated tolerance."""
    assert worst_error(loud_engine(name, dtype)) < sum_tolerance(dtype, 3)


def test_half_precision_parts_are_near_those_of_float32() -> None:
    """Parts of a rounded model are those of the model, as far as its precision goes."""
    exact, rounded = (
        loud_engine("llama grouped", dtype).run(PROMPTS)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert rounded.parts.dtype == torch.float32
    off = (exact.parts - rounded.parts).abs().amax((1, 2)) / exact.scale
    assert 0 < float(off.max()) < 0.1


def test_soft_capped_parts_sum_to_the_logit_before_the_cap() -> None:
    """Σ parts is the raw logit; capped, it is what the model returns."""
    batch = loud_engine("gemma2", torch.float64).run(PROMPTS)
    total = batch.parts.sum(1)
    assert torch.allclose(total, batch.pre_cap, atol=1e-6)
    assert torch.allclose(7 * torch.tanh(total / 7), batch.full, atol=1e-6)
    assert float((total - batch.full).abs().max()) > 0.1


def test_label_mass_is_the_softmax_on_the_labels() -> None:
    """``label_mass`` is the share of the whole vocabulary's probability."""
    engine = loud_engine("gpt2", torch.float64)
    model, batch = engine.model, engine.run(PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        logits = model(torch.tensor([prompt])).logits[0, -1]
        share = logits.exp()[list(LABELS)].sum() / logits.exp().sum()
        assert float(batch.label_mass[row]) == pytest.approx(float(share))
        assert float(batch.scale[row]) == pytest.approx(float(logits.abs().max()))


def test_a_model_without_a_final_norm_adds_up() -> None:
    """Where the unembedding reads the residual stream itself, the directions are its rows."""
    model = loud_model("llama grouped")
    del model.model.norm
    model.model.norm = lambda hidden: hidden
    engine = engine_of(model)
    assert engine.decomposer.anatomy.final_norm is None
    assert worst_error(engine) < 1e-6


def test_the_sum_error_is_that_of_the_worst_label() -> None:
    """One label's parts that do not add up are a row's error, however well the others do."""
    parts = torch.tensor([[[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]])  # [1, 2, 3]
    row = torch.ones(1)
    wrong = BatchParts(parts, row, torch.tensor([[2.0, 3.5, 4.0]]), row, row)
    assert wrong.sum_error.tolist() == [0.5]


def test_label_mass_is_that_of_the_capped_logits() -> None:
    """The model's own probabilities are those behind its soft-cap."""
    engine = loud_engine("gemma2", torch.float64)
    batch = engine.run(PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        logits = engine.model(input_ids=torch.tensor([prompt])).logits[0, -1]
        share = float(logits.softmax(-1)[list(LABELS)].sum())
        assert float(batch.label_mass[row]) == pytest.approx(share, rel=1e-6)
        before = torch.atanh(logits / 7).mul(7).softmax(-1)[list(LABELS)].sum()
        assert abs(float(before) - share) > 1e-3 * share


@pytest.mark.parametrize("name", ["gemma2", "olmo2"])
def test_an_attention_that_writes_nothing_has_parts_of_zero(name: str) -> None:
    """A layer whose attention was pruned away, behind a norm of its own, is no part and no NaN."""
    model = loud_model(name, torch.float64)
    model.model.layers[1].self_attn.o_proj.weight.zero_()
    engine = engine_of(model)
    batch = engine.run(PROMPTS)
    heads = [
        j for j, c in enumerate(engine.decomposer.components) if (c.layer, c.kind) == (1, "head")
    ]
    assert len(heads) == 6 and not batch.parts[:, heads].any()
    assert float((batch.sum_error / batch.scale).max()) < 1e-6

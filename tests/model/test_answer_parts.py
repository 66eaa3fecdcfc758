"""Contributions to answers of several tokens, against a reference of whole prompts and one head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from answers_by_hand import answer_by_hand
from families import QUICK, lacking
from loud import DEVICES, FAMILIES, LABELS, loud_engine, loud_model, some_prompts
from torch import Tensor
from transformers import CONFIG_MAPPING

from compread.check.twin import build_twin
from compread.extract import Engine
from compread.model import find_anatomy
from compread.model.activations import Positions
from compread.model.answers import AnswerDecomposer, AnswerParts, AnswerTokens
from compread.model.linear import plain_matrix, unembedding_mean

PROMPTS = some_prompts(9, 4, 1)
ANSWERS = [[7], [7, 8, 8, 30], [60, 5, 17]]
"""Of each prompt; the first is a prefix of the second."""
PAIRS = [(prompt, answer) for prompt in PROMPTS for answer in ANSWERS]


def asked(engine: Engine) -> tuple[Tensor, Positions, AnswerTokens]:
    """Each prompt with each of its answers as a row, and where and for what it is read."""
    rows = [[*prompt, *answer[:-1]] for prompt, answer in PAIRS]
    width = max(map(len, rows)) + 1
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    where = [
        (n, len(prompt) - 1 + i, token)
        for n, (prompt, answer) in enumerate(PAIRS)
        for i, token in enumerate(answer)
    ]
    row, position, token = torch.tensor(where, device=engine.model.device).T
    positions = Positions(row, position, len(rows))
    read = torch.arange(len(where), device=row.device)
    return tokens.to(row.device), positions, AnswerTokens(read, token, row, len(rows))


def run(engine: Engine, decomposer: AnswerDecomposer | None = None, **moved: Any) -> AnswerParts:
    """The parts of all pairs; ``moved`` replaces fields of the positions."""
    tokens, positions, answers = asked(engine)
    positions = replace(positions, **{name: by(positions) for name, by in moved.items()})
    seen = engine.taps.run(positions, lambda: engine.model(input_ids=tokens, use_cache=False))
    return (decomposer or AnswerDecomposer(engine.decomposer)).decompose(seen, answers)


def misfit(name: str, engine: Engine, found: AnswerParts) -> float:
    """The largest difference from the reference, as a share of its loudest part."""
    worst = 0.0
    for (prompt, answer), parts in zip(PAIRS, found.parts.cpu(), strict=True):
        expected = torch.stack(
            list(answer_by_hand(engine.model, FAMILIES[name], prompt, answer)[0].values())
        ).cpu()
        off = (parts - expected).abs().max() / expected.abs().max()
        worst = max(worst, float(off))
    return worst


def sum_error(found: AnswerParts) -> float:
    """How far the parts are from adding up to the model's own, relative to its logits."""
    return float(((found.parts.sum(1) - found.pre_cap).abs() / found.scale).max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_parts_equal_the_reference_a_head_at_a_time(name: str, device: str) -> None:
    """Every head, MLP and constant of answers of one to four tokens; they add up to log p."""
    engine = loud_engine(name, torch.float64, device)
    found = run(engine)
    assert misfit(name, engine, found) < 1e-6
    assert sum_error(found) < (1e-9 if FAMILIES[name].exact else 1e-6)
    log_p = [answer_by_hand(engine.model, FAMILIES[name], *pair)[1] for pair in PAIRS]
    torch.testing.assert_close(found.full.cpu(), torch.stack(log_p).cpu(), rtol=1e-6, atol=0)
    if FAMILIES[name].cap is None:
        torch.testing.assert_close(found.pre_cap, found.full)


@pytest.mark.parametrize("name", FAMILIES)
def test_parts_add_up_in_float32(name: str) -> None:
    """In float32 the sum is within 1e-5, as for labels of one token."""
    assert sum_error(run(loud_engine(name, torch.float32))) < 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_of_one_token_differ_as_labels_do(name: str) -> None:
    """The difference between two labels is the same, whether their mean direction is out or not."""
    engine = loud_engine(name, torch.float32)
    labels = engine.run(PROMPTS[:1])
    tokens = torch.tensor(PROMPTS[:1])
    count = len(LABELS)
    at = Positions(torch.tensor([0]), torch.tensor([len(PROMPTS[0]) - 1]), 1)
    answers = AnswerTokens(torch.zeros(count, dtype=torch.long), torch.tensor(LABELS),
                           torch.arange(count), count)  # fmt: skip
    seen = engine.taps.run(at, lambda: engine.model(input_ids=tokens, use_cache=False))
    found = AnswerDecomposer(engine.decomposer).decompose(seen, answers).parts.T  # [C, K]
    ours, theirs = found[:-1, 1:] - found[:-1, :1], labels.parts[0, :, 1:] - labels.parts[0, :, :1]
    assert float((ours - theirs).abs().max() / labels.scale.max()) < 1e-5
    assert not (found[-1] - found[-1, 0]).any()


def test_a_soft_cap_is_told_by_the_two_sums() -> None:
    """Parts add up before the cap, and the answer's log p is the one behind it."""
    found = run(loud_engine("gemma2", torch.float64))
    assert float((found.pre_cap - found.full).abs().max()) > 0.1


def _no_centring(decomposer: AnswerDecomposer) -> None:
    decomposer._mean = torch.zeros_like(decomposer._mean)


def _no_mean_bias(decomposer: AnswerDecomposer) -> None:
    decomposer._mean_bias = torch.zeros_like(decomposer._mean_bias)


@pytest.mark.parametrize("broken", [_no_centring, _no_mean_bias])
def test_a_twin_that_does_not_centre_does_not_add_up(broken: Any) -> None:
    """Without the mean of the unembedding's rows or biases, sums and parts are wrong."""
    name = "llama grouped"
    engine = loud_engine(name, torch.float64)
    decomposer = AnswerDecomposer(engine.decomposer)
    broken(decomposer)
    found = run(engine, decomposer)
    assert sum_error(found) > 1e-3 and misfit(name, engine, found) > 1e-3


def test_a_twin_without_normalizer_does_not_add_up() -> None:
    """The other components alone are not log p, by far."""
    found = run(loud_engine("llama grouped", torch.float64))
    without = replace(found, parts=found.parts[:, :-1])
    assert sum_error(without) > 0.1


@pytest.mark.parametrize("by", [1, -1])
def test_a_twin_that_reads_a_position_off_is_wrong(by: int) -> None:
    """One position later or earlier, parts add up to another log p than the answer's."""
    name = "llama grouped"
    engine = loud_engine(name, torch.float64)
    found = run(engine, position=lambda p: (p.position + by).clamp(min=0))
    assert misfit(name, engine, found) > 0.1
    assert float((found.full - run(engine).full).abs().max()) > 0.1


def test_a_twin_that_reads_a_first_token_at_its_own_position_is_wrong() -> None:
    """The first token is predicted at the prompt's last one, not where it stands itself."""
    name = "llama grouped"
    engine = loud_engine(name, torch.float64)
    _, positions, _ = asked(engine)
    first = torch.ones_like(positions.row, dtype=torch.bool)
    first[1:] = positions.row[1:] != positions.row[:-1]
    found = run(engine, position=lambda p: p.position + first)
    assert misfit(name, engine, found) > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_mean_row_is_the_same_however_it_is_read(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off the weight or by running the head, to the rounding of float32."""
    head = loud_model("llama grouped", dtype).get_output_embeddings()
    assert plain_matrix(head) is not None
    read = unembedding_mean(head, head.in_features)
    monkeypatch.setattr("compread.model.linear.plain_matrix", lambda module: None)
    ran = unembedding_mean(head, head.in_features)
    rounding = 1e-6 if dtype == torch.float32 else 1e-2  # a bias is added before it is taken off
    for a, b in zip(read, ran, strict=True):
        torch.testing.assert_close(a, b, rtol=rounding, atol=rounding / 10)


@pytest.mark.parametrize("kind", QUICK)
def test_parts_of_other_families_are_those_of_all_tokens_as_labels(kind: str) -> None:
    """Families with mixers, several streams or normalised ones: each token as a label, centred."""
    if reason := lacking(kind):
        pytest.skip(reason)
    model = build_twin(CONFIG_MAPPING[kind]())
    vocabulary = model.config.get_text_config().vocab_size
    engine = Engine(model, find_anatomy(model), tuple(range(vocabulary)))
    prompt, answer = list(range(20, 27)), [31, 40, 33]
    expected: Any = 0
    for i, token in enumerate(answer):
        labels = engine.run([[*prompt, *answer[:i]]])
        raw = labels.pre_cap[0]
        own = labels.parts[0, :, token] - labels.parts[0].mean(-1)
        normalizer = raw.mean() - labels.full[0].logsumexp(-1)
        expected = expected + torch.cat([own, normalizer[None]])
    tokens = torch.tensor([[*prompt, *answer[:-1]]])
    steps = torch.arange(len(answer))
    at = Positions(torch.zeros_like(steps), len(prompt) - 1 + steps, 1)
    asked_for = AnswerTokens(steps, torch.tensor(answer), torch.zeros_like(steps), 1)
    seen = engine.taps.run(at, lambda: model(input_ids=tokens, use_cache=False))
    found = AnswerDecomposer(engine.decomposer).decompose(seen, asked_for)
    assert float((found.parts[0] - expected).abs().max() / found.scale[0]) < 1e-6
    assert sum_error(found) < 1e-6

"""``check`` proves answers of several tokens, and sees when they are read wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from families import lacking
from transformers import AutoConfig

from compread.check import certify
from compread.extract import answer_engine, branches
from compread.extract.structure import Proof
from compread.model import answers

SUM, SHARED = "answers = log p", "answers shared = whole"


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def proofs(kind: str) -> dict[str, Proof]:
    """Both proofs of a type."""
    found = certify(AutoConfig.for_model(kind)).proofs
    return {proof.name: proof for proof in found if proof.name in (SUM, SHARED)}


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("llama", "side by side"),
        ("phimoe", "side by side"),
        ("gemma2", "each apart: its attention sees 8 tokens at most"),
        ("deepseek_v32", "side by side"),
    ],
)
def test_answers_are_proved_as_they_are_run(kind: str, way: str) -> None:
    """Also where every length is computed otherwise, so that rows must be short."""
    if (reason := lacking(kind)) is not None:
        pytest.skip(reason)
    found = proofs(kind)
    assert found[SUM].holds and found[SHARED].holds
    assert found[SHARED].where == way and found[SHARED].error


def test_a_family_without_a_cache_runs_them_whole() -> None:
    """Its sums are proved all the same."""
    found = proofs("openai-gpt")
    assert found[SUM].holds
    assert found[SHARED].state == "not shared" and "returns no" in found[SHARED].where


def _not_centred(patch: pytest.MonkeyPatch) -> None:
    mean_of = answers.unembedding_mean

    def twin(*args: Any) -> Any:
        mean, bias = mean_of(*args)
        return torch.zeros_like(mean), bias

    patch.setattr(answers, "unembedding_mean", twin)


def _no_normalizer(patch: pytest.MonkeyPatch) -> None:
    over = answers.AnswerDecomposer._over_vocabulary

    def twin(*args: Any) -> Any:
        log_z, _, largest = over(*args)
        return log_z, log_z, largest

    patch.setattr(answers.AnswerDecomposer, "_over_vocabulary", twin)


def _a_position_off(patch: pytest.MonkeyPatch) -> None:
    asked = answer_engine._asked

    def twin(*args: Any) -> Any:
        right = asked(*args)
        early = (right.positions.position - 1).clamp(min=0)
        return replace(right, positions=replace(right.positions, position=early))

    patch.setattr(answer_engine, "_asked", twin)


def _first_tokens_at_their_own_position(patch: pytest.MonkeyPatch) -> None:
    asked = answer_engine._asked

    def twin(rows: Any, reads: Any, tokens: Any, count: int) -> Any:
        # Read behind the answer's first token, where that is run at all.
        last = max(position for _, position in reads)
        return asked(rows, [(n, min(at + 1, last)) for n, at in reads], tokens, count)

    patch.setattr(answer_engine, "_asked", twin)


@pytest.mark.parametrize(
    "broken",
    [_not_centred, _no_normalizer, _a_position_off, _first_tokens_at_their_own_position],
)
def test_a_broken_twin_fails(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By far, and the family is refused for it."""
    broken(monkeypatch)
    certificate = certify(AutoConfig.for_model("llama"))
    assert certificate.verdict == "refused" and certificate.reason.startswith(f"{SUM} fails")
    (proof,) = (proof for proof in certificate.proofs if proof.name == SUM)
    assert proof.error is not None and proof.error > 1e3 * proof.bound


def test_answers_that_see_each_other_are_run_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where side by side changes the parts, each is proved behind a prompt of its own."""
    of = branches.Branches.of

    def twin(*args: Any) -> Any:
        right = of(*args)
        return replace(right, seen=torch.ones_like(right.seen).tril())

    monkeypatch.setattr(branches.Branches, "of", twin)
    found = proofs("llama")
    assert found[SHARED].holds and found[SHARED].where == "each apart: side by side they change"

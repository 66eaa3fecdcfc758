"""Inner products of answers' directions, against vectors written out position by position."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from answers_by_hand import answer_by_hand
from by_hand import parts_by_hand
from loud import FAMILIES, V, loud_engine
from numpy.typing import NDArray

from compread.model.answers import AnswerDecomposer

PROMPT = [11, 40, 3, 25]
ROWS = (
    ((7,), (7, 8, 8, 30), (60, 5, 17), (7, 8), (7, 9, 8)),  # three begin with another one
    ((12,), (13,), (14,)),
    ((20, 20), (20, *range(3, 12), 20), (5,), (20, 20, 20)),  # eleven tokens, and one
    ((7,), (7, 8, 8, 30), (60, 5, 17), (7, 8), (7, 9, 8)),
)
MOST = 6
Floats = NDArray[np.float64]


def decomposer(name: str) -> AnswerDecomposer:
    """Of a loud model in double precision."""
    return AnswerDecomposer(loud_engine(name, torch.float64).decomposer)


def unembeddings(name: str) -> Floats:
    """[V, D] what a token's logit is read along behind the final norm, less the mean over all."""
    head = loud_engine(name, torch.float64).model.get_output_embeddings()
    rows = head.weight.detach().numpy() * FAMILIES[name].logit
    return np.asarray(rows - rows.mean(axis=0), np.float64)


def positions(answers: Any) -> list[tuple[int, ...]]:
    """The tokens that stand before each token of a row's answers, each list once."""
    return sorted({answer[:i] for answer in answers for i in range(len(answer))})


def written_out(name: str, answers: Any) -> Floats:
    """[K, positions · D] each answer's direction, zero at positions that are not its own."""
    centred, places = unembeddings(name), positions(answers)
    out = np.zeros((len(answers), len(places), centred.shape[1]))
    for y, answer in enumerate(answers):
        for i, token in enumerate(answer):
            out[y, places.index(answer[:i])] = centred[token]
    return out.reshape(len(answers), -1)


@pytest.mark.parametrize("name", ["llama grouped", "gpt2", "gemma2", "granite", "cohere"])
def test_they_are_those_of_directions_written_out(name: str) -> None:
    """Prefixes, answers of one token beside long ones; what a row has not is zero."""
    found = decomposer(name).grams(ROWS, MOST)
    for answers, gram in zip(ROWS, found, strict=True):
        k, directions = len(answers), written_out(name, answers)
        np.testing.assert_allclose(gram[:k, :k], directions @ directions.T, rtol=1e-9, atol=1e-9)
        assert not gram[k:].any() and not gram[:, k:].any()


@pytest.mark.parametrize("name", ["llama grouped", "gemma2", "cohere"])
def test_a_heads_length_is_that_of_its_projection(name: str) -> None:
    """gᵀ G⁺ g, of the parts a head at a time, is what least squares leave of its whole write."""
    model, family, answers = loud_engine(name, torch.float64).model, FAMILIES[name], ROWS[0]
    head = model.get_output_embeddings().weight.detach().numpy() * family.logit  # [V, D]
    said = [parts_by_hand(model, family, [*PROMPT, *at], range(V)) for at in positions(answers)]
    parts = [answer_by_hand(model, family, PROMPT, answer)[0] for answer in answers]
    directions, gram = written_out(name, answers), decomposer(name).grams([answers], 5)[0]
    for component in ("L0H1", "L2H5", "L1MLP"):
        # The vocabulary is larger than the model is wide, so its logits are all of a write.
        logits = np.array([at[component].detach().numpy() for at in said])
        write = np.linalg.lstsq(head, logits.T, rcond=None)[0].T.ravel()
        projected = directions.T @ np.linalg.lstsq(directions.T, write, rcond=None)[0]
        g = np.array([float(of[component].detach()) for of in parts])
        np.testing.assert_allclose(g, directions @ write, rtol=1e-6, atol=1e-9)
        length = g @ np.linalg.pinv(gram, 1e-10, hermitian=True) @ g
        assert length == pytest.approx(projected @ projected, rel=1e-6)


def test_a_twin_that_takes_places_by_their_number_is_wrong() -> None:
    """Tokens that other ones lead to are at another position, though as many stand before them."""
    centred, answers = unembeddings("llama grouped"), ROWS[0]
    by_number = [
        [sum(centred[t] @ centred[o] for t, o in zip(a, b, strict=False)) for b in answers]
        for a in answers
    ]
    gram = decomposer("llama grouped").grams([answers], 5)[0]
    off = np.abs(gram - by_number)
    assert off[2, 1] > 1e-3 and off[4, 1] > 1e-3  # apart from their first or their second token on
    np.testing.assert_allclose(off[:, 0], 0, atol=1e-9)  # an answer of one token has one position


@pytest.mark.parametrize("tokens", [1, 9])
def test_a_few_tokens_at_a_time(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers do not depend on how many rows' unembeddings are in memory together."""
    own = decomposer("llama grouped")
    whole = own.grams(ROWS, MOST)
    module: Any = import_module("compread.model.answers")
    monkeypatch.setattr(module, "_TOKENS_AT_A_TIME", tokens)
    np.testing.assert_array_equal(own.grams(ROWS, MOST), whole)

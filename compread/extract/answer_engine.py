"""Prompts and their answers in tokens -> contributions to each answer's log-probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compread.array_types import Floats
from compread.extract.answer_rows import AnswerRow, Tokens
from compread.extract.batches import pad_right
from compread.extract.branches import Branches
from compread.extract.engine import Engine
from compread.extract.prefix import SharedPrefix, run_branches
from compread.model.activations import Positions
from compread.model.anatomy import Anatomy
from compread.model.answers import AnswerDecomposer, AnswerParts, Answers, AnswerTokens
from compread.model.decompose import BatchParts
from compread.model.linear import device_of
from compread.model.trace import CausalLM


@dataclass(frozen=True)
class _Asked:
    """What is run of a batch, and where each of its answers' tokens is predicted."""

    rows: list[Tokens]
    positions: Positions
    tokens: AnswerTokens


class AnswerEngine(Engine):
    """Runs rows with answers of their own, of any number of tokens.

    It is an ``Engine`` of a few tokens as labels, which the proofs on a model's weights need.
    """

    def __init__(
        self, model: CausalLM, anatomy: Anatomy, proof_ids: tuple[int, ...], most: int
    ) -> None:
        """Get the frozen maps ready.

        Args:
            model: a loaded model.
            anatomy: where its parts are.
            proof_ids: tokens to prove its structure with.
            most: K, answers of a row at most.
        """
        super().__init__(model, anatomy, proof_ids)
        self.answers = AnswerDecomposer(self.decomposer)
        self.most = most
        self.packs = False

    def run(self, rows: Sequence[Sequence[int]], prefix: SharedPrefix | None = None) -> BatchParts:
        """Decompose a batch of prompts, or of ``AnswerRow``s.

        Columns that a row has no answer for are zero.

        Args:
            rows: prompts beyond the prefix; with answers all ``apart``, or none.
            prefix: what the prompts share, run already.

        Raises:
            CannotShareError: the family cannot go on from a prefix, or not with several answers.
        """
        answered = [row for row in rows if isinstance(row, AnswerRow)]
        return self._ask(answered, prefix) if answered else super().run(rows, prefix)

    def label_gram(self, rows: Sequence[Answers]) -> Floats | None:
        """[K, K] inner products of the directions of the labels; None where rows differ in them."""
        return self.answers.grams(rows[:1], self.most)[0] if len(set(rows)) == 1 else None

    def grams(self, rows: Sequence[Answers]) -> Floats | None:
        """[N, K, K] those of each row's answers; None where all rows have the same."""
        return self.answers.grams(rows, self.most) if len(set(rows)) > 1 else None

    def _ask(self, rows: Sequence[AnswerRow], prefix: SharedPrefix | None) -> BatchParts:
        apart = rows[0].apart
        asked = _apart(rows) if apart else _side_by_side(rows)
        device = device_of(self.model)
        tokens, _ = pad_right(asked.rows, device)
        positions = Positions(
            asked.positions.row.to(device), asked.positions.position.to(device), len(asked.rows)
        )
        own = asked.tokens
        own = AnswerTokens(
            own.read.to(device), own.token.to(device), own.answer.to(device), own.count
        )
        self._tables.reset()
        seen = self.taps.run(positions, lambda: self._forward(rows, tokens, prefix))
        found = self.answers.decompose(seen, own)
        return _by_row(found, [len(row.answers) for row in rows], self.most)

    def _forward(
        self, rows: Sequence[AnswerRow], tokens: Tensor, prefix: SharedPrefix | None
    ) -> Any:
        if rows[0].apart:
            if prefix is None:
                return self.model(input_ids=tokens, use_cache=False)
            return prefix.forward(tokens)
        lengths = [[len(answer) - 1 for answer in row.answers] for row in rows]
        branches = Branches.of([len(row.prompt) for row in rows], lengths, tokens.device)
        if prefix is None:
            return run_branches(self.model, tokens, branches)
        return prefix.branch(tokens, branches)


def _side_by_side(rows: Sequence[AnswerRow]) -> _Asked:
    """All answers of a row in one piece."""
    reads: list[tuple[int, int]] = []
    asked: list[tuple[int, int, int]] = []
    answer = 0
    for n, row in enumerate(rows):
        last, at = len(row.prompt) - 1, len(row.prompt)
        first = len(reads)
        reads.append((n, last))  # all answers' first tokens are predicted there
        for tokens in row.answers:
            asked.append((first, tokens[0], answer))
            for token in tokens[1:]:
                asked.append((len(reads), token, answer))
                reads.append((n, at))
                at += 1
            answer += 1
    return _asked([row.pieces[0] for row in rows], reads, asked, answer)


def _apart(rows: Sequence[AnswerRow]) -> _Asked:
    """Each answer in a piece of its own."""
    reads: list[tuple[int, int]] = []
    asked: list[tuple[int, int, int]] = []
    pieces = [(row, tokens) for row in rows for tokens in row.answers]
    for n, (row, tokens) in enumerate(pieces):
        for i, token in enumerate(tokens):
            asked.append((len(reads), token, n))
            reads.append((n, len(row.prompt) - 1 + i))
    return _asked([piece for row in rows for piece in row.pieces], reads, asked, len(pieces))


def _asked(
    rows: list[Tokens], reads: list[tuple[int, int]], asked: list[tuple[int, int, int]], count: int
) -> _Asked:
    row, position = torch.tensor(reads).T
    read, token, answer = torch.tensor(asked).T
    return _Asked(
        rows, Positions(row, position, len(rows)), AnswerTokens(read, token, answer, count)
    )


def _by_row(found: AnswerParts, counts: Sequence[int], most: int) -> BatchParts:
    """Answers [A, ...] as the columns of B rows, [B, .., K]."""
    device = found.parts.device
    filled = torch.arange(most)[None] < torch.tensor(counts)[:, None]  # [B, K]
    filled = filled.to(device)

    def columns(values: Tensor) -> Tensor:
        out = values.new_zeros(len(counts), most, *values.shape[1:])
        out[filled] = values
        return out

    full = columns(found.full)
    error = columns((found.parts.sum(1) - found.pre_cap).abs())
    share = columns((found.parts.sum(1) - found.pre_cap).abs() / found.scale).amax(1)
    least = columns(found.scale).masked_fill(~filled, torch.inf).amin(1)
    # The scale at which the row's largest error is that of its worst answer, as a share.
    scale = torch.where(share > 0, error.amax(1) / share, least)
    return BatchParts(
        parts=columns(found.parts).transpose(1, 2),
        full=full,
        pre_cap=columns(found.pre_cap),
        scale=scale,
        label_mass=(full.exp() * filled).sum(1),
    )

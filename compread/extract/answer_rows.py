"""A row's prompt and its answers in tokens, laid out for a forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

from compread.prompts import TokenizedSet

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class AnswerRow(Sequence[int]):
    """The tokens that a row is run as: its prompt, then each answer less its last token.

    As a sequence it may stand wherever prompts in tokens do; without its first tokens it is the row
    behind a prefix that holds these. What an answer's last token would say is never asked, so that
    is not run.
    """

    prompt: Tokens
    answers: tuple[Tokens, ...]
    """[K] whole, one token or more each."""
    apart: bool = False
    """Whether each answer is run behind a prompt of its own."""

    @property
    def pieces(self) -> tuple[Tokens, ...]:
        """What is run: one piece, or one for each answer."""
        if self.apart:
            return tuple((*self.prompt, *answer[:-1]) for answer in self.answers)
        return ((*self.prompt, *(token for answer in self.answers for token in answer[:-1])),)

    @property
    def whole(self) -> tuple[Tokens, ...]:
        """[K] the prompt with each answer, less its last token."""
        return replace(self, apart=True).pieces

    @property
    def reads(self) -> int:
        """At how many positions it is read; all answers' first tokens are predicted at one."""
        first = len(self.answers) if self.apart else 1
        return first + sum(len(answer) - 1 for answer in self.answers)

    def __len__(self) -> int:
        copies = len(self.answers) if self.apart else 1
        return copies * len(self.prompt) + sum(len(answer) - 1 for answer in self.answers)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> AnswerRow: ...
    def __getitem__(self, at: int | slice) -> int | AnswerRow:
        """A token, or the row behind its first tokens."""
        if isinstance(at, int):
            return [token for piece in self.pieces for token in piece][at]
        start = at.start or 0
        if at.stop is not None or at.step is not None or not 0 <= start < len(self.prompt):
            raise IndexError(f"{at}: a row is cut within its prompt of {len(self.prompt)} tokens")
        return replace(self, prompt=self.prompt[start:])


def reads_of(row: Sequence[int]) -> int:
    """At how many positions a row is read: a prompt at its last one."""
    return row.reads if isinstance(row, AnswerRow) else 1


def whole_tokens(row: Sequence[int]) -> int:
    """How many tokens a row would take that shares nothing, not even its prompt."""
    return len(replace(row, apart=True)) if isinstance(row, AnswerRow) else len(row)


def rows_of(tokens: TokenizedSet) -> list[AnswerRow]:
    """The rows of a prompt set, each answer behind a whole prompt of its own."""
    return [
        AnswerRow(tuple(prompt), answers, apart=True)
        for prompt, answers in zip(tokens.ids, tokens.answers, strict=True)
    ]


def side_by_side(tokens: TokenizedSet) -> list[AnswerRow]:
    """The rows of a prompt set, all answers of each behind one prompt."""
    return [replace(row, apart=False) for row in rows_of(tokens)]

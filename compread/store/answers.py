"""Answers of a row's own: which columns of a row hold one, and how long each is.

Where a store's answers are whole texts, column k of a row is that row's answer k. K is the most
that a row has, and the columns beyond a row's own answers hold no number: NaN, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.errors import StoreError

NO_TOKEN = -1
"""The ``token_id`` of a label that is not one token."""
POSITIONS = tuple(ascii_uppercase)
"""What columns are called that mean another answer in each row."""
PER_ANSWER = ("parts", "full")
"""The number arrays that have a column an answer."""
GRAM = "gram"
"""What the inner products of a row's labels or answers are asked for by, beside those arrays."""


@dataclass(frozen=True)
class RowAnswers:
    """The answers of one row."""

    text: tuple[str, ...]
    tokens: tuple[int, ...]
    """How many tokens each is."""

    def __len__(self) -> int:
        return len(self.text)

    @property
    def n_bytes(self) -> tuple[int, ...]:
        """The length of each in UTF-8."""
        return tuple(len(text.encode()) for text in self.text)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {"text": list(self.text), "tokens": list(self.tokens)}


def check_answers(answers: RowAnswers, gold: int, most: int, where: str) -> None:
    """Refuse what no row can have.

    Raises:
        StoreError: texts and counts that disagree, more answers than columns, one that is empty or
            stands twice, or a right answer that is none of them.
    """
    k = len(answers.text)
    if k != len(answers.tokens) or not 2 <= k <= most:
        sizes = f"{k} answers and {len(answers.tokens)} token counts"
        raise StoreError(f"{where}: {sizes}, wanted one for each of 2 to {most} answers")
    if len(set(answers.text)) < k or not all(answers.text):
        raise StoreError(f"{where}: an answer is empty or stands twice: {list(answers.text)!r:.80}")
    if min(answers.tokens) < 1:
        raise StoreError(f"{where}: an answer of {min(answers.tokens)} tokens")
    if not 0 <= gold < k:
        raise StoreError(f"{where}: gold answer {gold} is none of its {k}")


def absent_columns(answers: Sequence[RowAnswers], most: int) -> npt.NDArray[np.bool_]:
    """[N, K] the columns that hold no answer."""
    counts = np.array([len(row) for row in answers], dtype=np.int64)
    return np.asarray(np.arange(most) >= counts[:, None])


def token_counts(answers: Sequence[RowAnswers], most: int) -> npt.NDArray[np.int64]:
    """[N, K] how many tokens each answer is; 0 where a row has none."""
    return np.array(columns_of(answers, most)["answer_tokens"], np.int64).reshape(-1, most)


def without_absent(
    name: str, values: npt.NDArray[Any], absent: npt.NDArray[np.bool_] | None
) -> npt.NDArray[Any]:
    """A number array with NaN where a row has no answer: [N, .., K] for ``PER_ANSWER``."""
    if absent is None or name not in PER_ANSWER:
        return values
    where = absent if values.ndim == 2 else absent[:, None]
    return np.where(where, np.float32(np.nan), values)


def good_rows(
    name: str, values: npt.NDArray[np.float32], absent: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    """[N] whether a row's numbers are finite, and NaN exactly where it has no answer."""
    good = np.isfinite(values)
    if absent is not None and name in PER_ANSWER:
        where = absent if values.ndim == 2 else absent[:, None]
        good = np.where(where, np.isnan(values), good)
    return np.asarray(good.all(axis=tuple(range(1, values.ndim))))


def columns_of(answers: Sequence[RowAnswers], most: int) -> dict[str, list[list[Any]]]:
    """The answers as a file has them, by dataset: [N][K], absent ones empty or 0."""

    def padded(values: Sequence[Any], nothing: Any) -> list[Any]:
        return [*values, *[nothing] * (most - len(values))]

    return {
        "answer": [padded(row.text, "") for row in answers],
        "answer_tokens": [padded(row.tokens, 0) for row in answers],
        "answer_bytes": [padded(row.n_bytes, 0) for row in answers],
    }


def answers_from(columns: Mapping[str, Sequence[Sequence[Any]]]) -> tuple[RowAnswers, ...]:
    """The inverse of ``columns_of``.

    Raises:
        ValueError: the columns contradict each other.
    """
    rows = zip(*(columns[name] for name in ("answer", "answer_tokens")), strict=True)
    found = tuple(
        RowAnswers(tuple(t for t in text if t), tuple(int(n) for n in tokens if n))
        for text, tokens in rows
    )
    most = len(columns["answer"][0]) if found else 0
    again = columns_of(found, most)
    if any(list(map(list, columns[name])) != again[name] for name in again):
        raise ValueError("answers, their token counts and their byte counts do not agree")
    return found

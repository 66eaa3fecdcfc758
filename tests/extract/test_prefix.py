"""The shared prefix is the longest that all rows have, less a token for each row itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loud import loud_model

from compread.extract.batches import pad_right
from compread.extract.groups import shared_length
from compread.extract.prefix import CannotShareError, SharedPrefix

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=6)


def naive(rows: list[list[int]]) -> int:
    """Count the columns on which all rows agree, one by one."""
    length = 0
    while all(length < len(row) - 1 for row in rows) and len({row[length] for row in rows}) == 1:
        length += 1
    return length if length >= 4 else 0


@given(ROWS, st.lists(st.integers(0, 2), max_size=8))
def test_shared_length_is_that_of_a_plain_count(rows: list[list[int]], head: list[int]) -> None:
    """Equal to a column-by-column count on any rows, with and without a common head."""
    rows = [head + row for row in rows]
    assert shared_length(rows) == naive(rows)


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        ([[5, 6, 7, 8, 9], [5, 6, 7, 8, 1, 2]], 4),
        ([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7]], 5),
        ([[1, 2, 3, 4, 5, 6]], 5),
        ([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]], 5),
        ([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7]], 4),
        ([[1, 2, 3, 9], [1, 2, 3, 8]], 0),
        ([[1], [1, 2, 3, 4, 5, 6]], 0),
    ],
)
def test_each_row_keeps_its_last_token(rows: list[list[int]], length: int) -> None:
    """Rows that are equal, or the beginning of another, still run a token of their own."""
    assert shared_length(rows) == length


def test_pad_right() -> None:
    """Pads stand after the answer, which is each row's own last token."""
    padded, answer = pad_right([[5, 6, 7], [8]], torch.device("cpu"))
    assert padded.shape == (2, 3)
    assert padded[0].tolist() == [5, 6, 7] and padded[1, 0] == 8
    assert answer.tolist() == [2, 0]


@pytest.mark.parametrize("forward", [lambda input_ids: None, lambda input_ids, **more: None])
def test_a_model_that_keeps_nothing_is_told_as_such(forward: Callable[..., None]) -> None:
    """Also where its base model takes no `use_cache`, as OpenAI's GPT in transformers 4.57."""
    model = loud_model("gpt2")
    model.base_model.forward = forward
    with pytest.raises(CannotShareError, match=r"^GPT2LMHeadModel returns no `"):
        SharedPrefix(model, [1, 2])

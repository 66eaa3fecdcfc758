"""A plan of batches runs every row once, within its budget, and is always the same."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from compread.extract import plan_batches

LENGTHS = st.lists(st.integers(1, 40), max_size=60)
BUDGET = st.integers(1, 200)
PREFIX = st.integers(0, 300)


@given(LENGTHS, BUDGET, PREFIX)
def test_every_row_is_in_one_batch(lengths: list[int], budget: int, prefix: int) -> None:
    """No row is lost and none is run twice."""
    rows = [row for batch in plan_batches(lengths, budget, prefix) for row in batch]
    assert sorted(rows) == list(range(len(lengths)))


@given(LENGTHS, BUDGET, PREFIX)
def test_the_budget_is_held(lengths: list[int], budget: int, prefix: int) -> None:
    """Padded tokens stay within the budget; only a row that is alone may be longer."""
    for batch in plan_batches(lengths, budget, prefix):
        width = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * width <= budget


@given(LENGTHS, BUDGET, PREFIX)
def test_the_prefix_held_for_each_row_is_bounded(
    lengths: list[int], budget: int, prefix: int
) -> None:
    """A batch holds at most four tokens of keys and values for each token of the budget."""
    for batch in plan_batches(lengths, budget, prefix):
        width = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * (prefix + width) <= 4 * budget


@given(LENGTHS, BUDGET, PREFIX)
def test_the_plan_goes_from_long_to_short(lengths: list[int], budget: int, prefix: int) -> None:
    """The first batch has the longest row; rows of one length keep their order."""
    rows = [row for batch in plan_batches(lengths, budget, prefix) for row in batch]
    assert rows == sorted(rows, key=lambda row: (-lengths[row], row))


@given(LENGTHS, BUDGET, PREFIX)
def test_no_batch_could_take_the_next_row(lengths: list[int], budget: int, prefix: int) -> None:
    """Batches are as full as the budget lets them be."""
    batches = plan_batches(lengths, budget, prefix)
    for batch, after in pairwise(batches):
        width, size = lengths[batch[0]], len(batch) + 1
        assert size * width > budget or size * (prefix + width) > 4 * budget
        assert lengths[after[0]] <= lengths[batch[-1]]


def test_the_plan_depends_on_its_arguments_alone() -> None:
    """A worked example: budget 10, lengths 5 2 5 3 9."""
    assert plan_batches([5, 2, 5, 3, 9], 10) == [[4], [0, 2], [3, 1]]
    assert plan_batches([5, 2, 5, 3, 9], 10, prefix=20) == [[4], [0], [2], [3], [1]]
    assert plan_batches([], 10) == []

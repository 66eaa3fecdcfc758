"""A plan of batches runs every row once, within its budget, and is always the same."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compread.extract.batches import plan_batches

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


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 40), st.integers(0, 30))
def test_no_plan_is_cheaper(lengths: list[int], budget: int, prefix: int) -> None:
    """Of all ways to cut the rows in order, the plan's tokens and batches cost the least."""
    ordered = sorted(lengths, reverse=True)

    def fits(batch: list[int]) -> bool:
        tokens, held = len(batch) * batch[0], len(batch) * (prefix + batch[0])
        return len(batch) == 1 or (tokens <= budget and (held <= 4 * budget or not prefix))

    def cost(batches: list[list[int]]) -> float:
        return sum(len(batch) * batch[0] + budget / 16 for batch in batches)

    costs = []
    for marks in product([False, True], repeat=max(0, len(ordered) - 1)):
        cuts = [0, *(i + 1 for i, mark in enumerate(marks) if mark), len(ordered)]
        batches = [ordered[i:j] for i, j in pairwise(cuts) if i < j]
        if all(map(fits, batches)):
            costs.append(cost(batches))
    plan = [[lengths[row] for row in batch] for batch in plan_batches(lengths, budget, prefix)]
    assert all(map(fits, plan)) and cost(plan) == pytest.approx(min(costs))


def test_the_plan_depends_on_its_arguments_alone() -> None:
    """A worked example; two short rows are cheaper apart than with a pad."""
    assert plan_batches([5, 2, 5, 3, 9], 10) == [[4], [0, 2], [3], [1]]
    assert plan_batches([5, 2, 5, 3, 9], 10, prefix=20) == [[4], [0], [2], [3], [1]]
    assert plan_batches([], 10) == []


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(41, 200))
def test_dearer_batches_are_fewer(lengths: list[int], budget: int) -> None:
    """What a batch costs besides its tokens is weighed against pads."""
    usual = plan_batches(lengths, budget)
    assert usual == plan_batches(lengths, budget, each=budget / 16)
    assert len(plan_batches(lengths, budget, each=budget / 2)) <= len(usual)
    # Where batches cost nothing no row is padded.
    for batch in plan_batches(lengths, budget, each=0):
        assert len({lengths[row] for row in batch}) == 1

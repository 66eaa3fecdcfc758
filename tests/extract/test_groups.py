"""Prompts are grouped by what they share: each once, behind tokens of its own, for fewer tokens."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from compread.extract.groups import Group, plan_groups, shared_length, whole_groups
from compread.model.switches import Switches

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=12)


def several_sets(
    sets: int, prefix: int, rows: int, own: int, common: int = 0, seed: int = 0
) -> list[list[int]]:
    """Rows of several demonstration sets, shuffled, behind one instruction of ``common`` tokens."""
    draw = random.Random(seed)
    head = [draw.randrange(1000) for _ in range(common)]
    heads = [head + [draw.randrange(1000) for _ in range(prefix)] for _ in range(sets)]
    prompts = [h + [draw.randrange(1000) for _ in range(own)] for h in heads for _ in range(rows)]
    draw.shuffle(prompts)
    return prompts


def cost(groups: list[Group], ids: list[list[int]]) -> int:
    """Tokens that are run, counted one by one."""
    return sum(
        len(g.prefix) + sum(len(ids[row][len(g.prefix) :]) for row in g.rows) for g in groups
    )


@settings(max_examples=200)
@given(ROWS, st.lists(st.integers(0, 2), max_size=8), st.integers(1, 60))
def test_every_row_is_in_one_group_behind_its_own_tokens(
    rows: list[list[int]], head: list[int], copies: int
) -> None:
    """No row is lost; a group's prefix begins each of its rows and leaves each a token."""
    ids = [head + row for row in rows] * copies
    groups = plan_groups(ids)
    assert sorted(row for group in groups for row in group.rows) == list(range(len(ids)))
    for group in groups:
        for row in group.rows:
            assert tuple(ids[row][: len(group.prefix)]) == group.prefix
            assert len(ids[row]) > len(group.prefix)
    one = Group(tuple(ids[0][: shared_length(ids)]), tuple(range(len(ids))))
    assert cost(groups, ids) <= cost([one], ids)
    assert plan_groups(ids) == groups


def test_sets_of_demonstrations_are_told_apart() -> None:
    """Three sets of forty rows are three groups, each behind its hundred tokens."""
    ids = several_sets(3, prefix=100, rows=40, own=20)
    groups = plan_groups(ids)
    assert sorted(len(g.prefix) for g in groups) == [100, 100, 100]
    assert {len(g.rows) for g in groups} == {40}
    assert cost(groups, ids) == 3 * 100 + 120 * 20


def test_sets_behind_one_instruction() -> None:
    """What all sets share does not keep them together; too few rows stay behind what is common."""
    ids = several_sets(2, prefix=100, rows=40, own=20, common=30)
    assert sorted(len(g.prefix) for g in plan_groups(ids)) == [130, 130]
    few = several_sets(20, prefix=6, rows=2, own=20, common=30)
    (group,) = plan_groups(few)
    assert len(group.prefix) == 30 and len(group.rows) == 40


def test_a_branch_inside_a_branch_is_found() -> None:
    """Sets that happen to begin with one word alike are still told apart."""
    ids = [[7, *row] for row in several_sets(2, prefix=80, rows=30, own=10)]
    ids += [[8, *row] for row in several_sets(2, prefix=80, rows=30, own=10, seed=1)]
    assert sorted(len(g.prefix) for g in plan_groups(ids)) == [81] * 4


def test_nothing_in_common_is_one_group_without_a_prefix() -> None:
    """Prompts that share nothing are run whole, in one group."""
    ids = several_sets(50, prefix=20, rows=1, own=10)
    assert plan_groups(ids) == [Group((), tuple(range(50)))]
    assert plan_groups([[5]]) == [Group((), (0,))]
    assert plan_groups([]) == []


def test_a_group_must_save_more_than_it_costs() -> None:
    """Two sets are told apart once their own tokens outweigh 256 a further group."""
    few = several_sets(2, prefix=20, rows=12, own=5, common=10)
    (group,) = plan_groups(few)
    assert len(group.prefix) == 10
    assert group.tokens_run(few) == 10 + 24 * 25
    more = several_sets(2, prefix=20, rows=16, own=5, common=10)
    assert [len(g.prefix) for g in plan_groups(more)] == [30, 30]


def test_rows_are_grouped_with_those_that_are_computed_alike() -> None:
    """A prefix is shared only by rows of the stretch that it lies in itself."""
    (head,) = several_sets(1, prefix=30, rows=1, own=0)
    ids = [head[:20] + [n] * 5 for n in range(3)] + [head + [n] * 8 for n in range(4)]
    assert [len(g.prefix) for g in plan_groups(ids)] == [20]
    below, above = plan_groups(ids, Switches((25,)))[::-1]
    assert (below.rows, len(below.prefix)) == ((0, 1, 2), 20)
    assert (above.rows, len(above.prefix)) == ((3, 4, 5, 6), 30)
    # Beyond 30 the prefix of 30 tokens would be computed otherwise than its rows.
    assert {len(g.prefix) for g in plan_groups(ids, Switches((30,)))} == {20, 0}
    assert [len(g.prefix) for g in plan_groups(ids, Switches((), 25))] == [0, 20]
    assert whole_groups(ids, Switches((30,))) == [
        Group((), (0, 1, 2)),
        Group((), (3, 4, 5, 6)),
    ]
    assert whole_groups(ids) == [Group((), tuple(range(7)))]

"""Which prompts share which prefix.

Prompts of one demonstration set share it; a file may hold several sets, and sets may share an
instruction. Seen as a trie of tokens, each group of prompts hangs from one node, and the tokens
above that node are run once for the group. A group of its own costs batches that are not full, so
it must save more than that. Where a model computes long prompts otherwise than short ones
(``Switches``), rows are grouped with their like, behind a prefix that is computed as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from compread.model.switches import Switches

# Below this a prefix saves less than handing it on costs.
_WORTH_SHARING = 4
# What a further group costs, in tokens: its last batch is half empty, its prefix a batch of one.
_GROUP_COST = 256
_NONE = Switches()

Ids = Sequence[int]


@dataclass(frozen=True)
class Group:
    """Prompts, by their numbers in file order, and the tokens that they are run behind."""

    prefix: tuple[int, ...]
    rows: tuple[int, ...]

    def tokens_run(self, ids: Sequence[Ids]) -> int:
        """Tokens that the group takes: the prefix once, and each row's own."""
        return len(self.prefix) + sum(len(ids[row]) - len(self.prefix) for row in self.rows)


def shared_length(ids: Sequence[Ids], least: int = _WORTH_SHARING) -> int:
    """How many leading tokens all rows share, each keeping at least its last token for itself.

    ``shared_length([[5, 6, 7, 8, 9], [5, 6, 7, 8, 1, 2]])`` is 4; fewer than ``least`` are none.
    """
    # What the least and the greatest row share, in dictionary order, all rows share.
    length = _common(min(map(list, ids)), max(map(list, ids)), min(map(len, ids)))
    return length if length >= least else 0


def plan_groups(ids: Sequence[Ids], switches: Switches = _NONE) -> list[Group]:
    """The groups in which the prompts take the fewest tokens, larger groups first.

    The plan depends on nothing but its arguments.

    Args:
        ids: the tokens of each prompt.
        switches: the lengths at which the model begins to compute otherwise.
    """
    keys = [list(row) for row in ids]
    groups: list[Group] = []
    for rows in switches.stretches(list(map(len, keys))):
        # A prefix shorter than its rows' stretch would be computed as shorter prompts are.
        least = max(_WORTH_SHARING, switches.start(len(keys[rows[0]])))
        groups += _split(keys, sorted(rows, key=keys.__getitem__), least)[0]
    return sorted(groups, key=lambda group: (-len(group.rows), group.rows[0]))


def whole_groups(ids: Sequence[Ids], switches: Switches = _NONE) -> list[Group]:
    """The groups in which prompts are run that share nothing: those that are computed alike."""
    return [Group((), tuple(rows)) for rows in switches.stretches(list(map(len, ids)))]


def _split(ids: list[list[int]], order: list[int], least: int) -> tuple[list[Group], int]:
    """The groups of rows in dictionary order, and what they cost in tokens."""
    shortest = min(len(ids[row]) for row in order)
    at = _common(ids[order[0]], ids[order[-1]], shortest)
    depth = at if at >= least else 0
    groups: list[Group] = []
    cost, rest = 0, []
    # A row that ends here shares no more, and is no reason for others to share no more.
    branches = [
        list(rows)
        for _, rows in groupby(order, lambda row: (ids[row][at], len(ids[row]) == at + 1))
    ]
    for branch in branches if len(branches) > 1 else []:
        stay = sum(len(ids[row]) - depth for row in branch)
        apart = _split(ids, branch, least) if stay > _GROUP_COST and len(branch) > 1 else None
        if apart is not None and apart[1] < stay:
            groups += apart[0]
            cost += apart[1]
        else:
            rest += branch
    if len(branches) == 1:
        rest = order
    if rest:
        prefix = tuple(ids[rest[0]][: shared_length([ids[row] for row in rest], least)])
        groups.append(Group(prefix, tuple(sorted(rest))))
        cost += _GROUP_COST + groups[-1].tokens_run(ids)
    return groups, cost


def _common(a: Ids, b: Ids, shortest: int) -> int:
    """Leading tokens that two rows share, less one for the shortest row itself."""
    pairs = enumerate(zip(a, b, strict=False))
    return min(next((i for i, (x, y) in pairs if x != y), len(a)), shortest - 1)

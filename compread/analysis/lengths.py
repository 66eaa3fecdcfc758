"""How often the longest or the shortest of a row's own answers is picked.

Contributions to an answer add up over its tokens, so that a component may pick by the number of
these and nothing else. Rows whose answers all have as many say nothing of that and are left out;
where several are the longest, any of them counts as it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compread.array_types import Bools, Floats, Ints

ENDS = ("longest", "shortest")


@dataclass(eq=False)
class LengthPicks:
    """Counts over the rows taken in, for C scorers."""

    tokens: Ints
    """[N, K] how many tokens each of a row's answers is; 0 where it has none."""
    picked: Ints
    """[2, C] rows on which the longest is picked, and the shortest."""
    expected: Floats
    """[2] as many where an answer is drawn at random."""
    n: int = 0
    """Rows whose answers differ in length."""

    @classmethod
    def none(cls, tokens: Ints, c: int) -> LengthPicks:
        """No row yet."""
        return cls(tokens, np.zeros((2, c), np.int64), np.zeros(2))

    def add(self, choice: Ints, rows: slice) -> None:
        """Take in what is predicted [n, C] on some of the rows."""
        tokens = self.tokens[rows]
        own = tokens > 0
        longest, shortest = tokens.max(axis=1), np.where(own, tokens, tokens.max()).min(axis=1)
        uneven = longest > shortest
        self.n += int(uneven.sum())
        for i, end in enumerate((longest, shortest)):
            at: Bools = own & (tokens == end[:, None])
            self.picked[i] += np.take_along_axis(at, choice, axis=1)[uneven].sum(axis=0)
            self.expected[i] += (at.sum(axis=1) / own.sum(axis=1))[uneven].sum()

    def share(self, end: str) -> Floats:
        """[C] the share of rows on which one of ``ENDS`` is picked; NaN where no row says."""
        found = self.picked[ENDS.index(end)]
        return found / self.n if self.n else np.full(len(found), np.nan)

    @property
    def chance(self) -> Floats:
        """[2] the share where an answer is drawn at random."""
        return self.expected / self.n if self.n else np.full(2, np.nan)

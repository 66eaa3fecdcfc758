"""What changes, component by component, between two models that share the component axis.

Base and chat, 16 and 4 bits, before and after fine-tuning: two runs over the same rows are paired
row by row, rows of equal prompts as one. With b rows that only the first gets right and c that only
the second does, the change of a component's accuracy is (c - b) / N. Its 95 % interval is Agresti
and Min's (2005): one half is added to each cell of the 2 × 2 table, then the usual interval is
taken. Its p-value is McNemar's exact one, a binomial test of c among b + c, corrected over the
components.

Over several pairs of runs the changes are averaged. Where pairs share their rows, the null swaps
both models on a row for all pairs at once: with D the sum of a row's changes over the pairs, that
of all rows has the variance Σ D², and a normal tail. Pairs over other rows are combined by Cauchy's
rule (``compread.analysis.joint``). The interval is that of rows and pairs which both vary
(``compread.analysis.spread``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.analysis.categories import COUNTED_KINDS
from compread.analysis.chance import LuckTest, false_discovery, pearson_tails, two_sided
from compread.analysis.choices import RowChoices
from compread.analysis.intervals import Z95
from compread.analysis.joint import cauchy
from compread.analysis.pairs import demonstrations_key
from compread.analysis.repeats import Repeats, distinct, repeats
from compread.analysis.runs import normalize_key
from compread.analysis.spread import RowSet, change_interval
from compread.analysis.tally import top_two
from compread.array_types import Bools, Floats, Ints
from compread.components import FULL_KEYS, Component
from compread.errors import StoreError, UsageError
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL
from compread.store import Store, open_store
from compread.store.schema import RunInfo


@dataclass(frozen=True, eq=False)
class Change:
    """The change from the first runs to the second, of C components and the full model last."""

    components: tuple[Component, ...]
    before: Floats
    """[C + 1] mean accuracy of the first runs."""
    after: Floats
    low: Floats
    """[C + 1] lower end of the 95 % interval of after - before."""
    high: Floats
    p: Floats
    q: Floats
    """[C + 1] p over the heads, mixers and MLPs corrected, the full model's own; else NaN."""
    pairs: int
    """Pairs of runs."""
    repeats: tuple[Repeats, ...]
    """Rows that were left out of each pair because their prompt stood before."""
    unpaired: tuple[Path, ...] = ()
    """Stores without a partner on the other side, which are left out."""
    normalize: str = DEFAULT_NORMALIZATION
    """How answers of different lengths are made alike."""

    @property
    def unpaired_note(self) -> str | None:
        """What a user should know of them, where there are any."""
        listed = ", ".join(map(str, self.unpaired))
        told = f"no partner of the same task, template, seed and shots: {listed}; left out"
        return told if self.unpaired else None

    def rows(self) -> list[dict[str, Any]]:
        """One row a component in axis order, then the full model's."""
        named = [*(c.row_keys() for c in self.components), FULL_KEYS]
        return [
            {
                **keys,
                "before": float(self.before[j]),
                "after": float(self.after[j]),
                "change": float(self.after[j] - self.before[j]),
                "change_low": float(self.low[j]),
                "change_high": float(self.high[j]),
                "p_value": float(self.p[j]),
                "q_value": None if np.isnan(self.q[j]) else float(self.q[j]),
                "pairs": self.pairs,
                **normalize_key(self.normalize),
            }
            for j, keys in enumerate(named)
        ]


def change(
    before: Sequence[str | Path],
    after: Sequence[str | Path],
    split: str = "test",
    pool: str = DEFAULT_POOL,
    normalize: str = DEFAULT_NORMALIZATION,
) -> Change:
    """The change between the runs of two lists of stores, paired by task, template and seed.

    Those without a partner are left out and named.

    Raises:
        UsageError: no run has a partner on the other side, or one has more than one.
        StoreError: two partners differ in their components or rows; a store cannot be read.
    """
    first, second = _by_prompt(before), _by_prompt(after)
    unpaired = tuple(p for k, p in (first | second).items() if (k in first) != (k in second))
    both = [key for key in first if key in second]
    if not both:
        raise UsageError(
            f"{unpaired[0]} has no partner of the same task, template, seed and shots on the other "
            "side, nor has any other store; give the same runs of both models"
        )
    results = [_pair(first[key], second[key], split, pool, normalize) for key in both]
    components, told = results[0].components, tuple(one.repeats for one in results)
    if any(one.components != components for one in results):
        raise StoreError("the pairs of stores have different components; compare one model at once")
    before_, after_ = (
        np.mean([getattr(r, s) for r in results], axis=0) for s in ("first", "second")
    )
    sets: dict[str, list[_Pair]] = {}
    for one in results:
        sets.setdefault(one.rows, []).append(one)
    tests = [_test(members) for members in sets.values()]
    luck = tests[0] if len(tests) == 1 else cauchy(tests)
    p = two_sided(luck.above, luck.below)
    tested = np.array([c.kind in COUNTED_KINDS for c in components] + [False])
    q = false_discovery(np.where(tested, p, np.nan))
    q[-1] = p[-1]  # The full model is one test alone.
    if len(results) == 1:
        low, high = paired_interval(results[0].lost, results[0].won, len(results[0].net))
    else:
        low, high = change_interval([_row_set(members) for members in sets.values()], tested)
    # Among stores of one-token labels alone nothing was normalised, whatever was asked for.
    was = {one.normalize for one in results} - {DEFAULT_NORMALIZATION}
    how = normalize if was else DEFAULT_NORMALIZATION
    return Change(components, before_, after_, low, high, p, q, len(results), told, unpaired, how)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two runs row by row; C components and the full model last."""

    components: tuple[Component, ...]
    rows: str
    """Equal for pairs over the same rows."""
    first: Floats
    """[C + 1] accuracy before."""
    second: Floats
    repeats: Repeats
    net: npt.NDArray[np.int8]
    """[N, C + 1] 1 where the second alone is right, -1 where the first alone is."""
    normalize: str
    """How answers were made alike; labels of one token need nothing."""

    @property
    def lost(self) -> Ints:
        return np.asarray((self.net < 0).sum(axis=0))

    @property
    def won(self) -> Ints:
        return np.asarray((self.net > 0).sum(axis=0))


def _test(pairs: Sequence[_Pair]) -> LuckTest:
    """The test of the pairs over one set of rows."""
    if len(pairs) == 1:
        return mcnemar(pairs[0].lost, pairs[0].won)
    net = np.sum([pair.net for pair in pairs], axis=0, dtype=np.int64)
    none = np.zeros(net.shape[1])
    # A row that is swapped moves the sum by twice its changes.
    above, below = pearson_tails(net.sum(axis=0), none, (net**2).sum(axis=0) * 1.0, none, 1)
    return LuckTest(none, above, below)


def _row_set(pairs: Sequence[_Pair]) -> RowSet:
    net = [pair.net for pair in pairs]
    squares = np.sum([(one != 0).sum(axis=0) for one in net], axis=0) * 1.0
    by_run = np.stack([one.mean(axis=0) for one in net])
    return RowSet(by_run, np.sum(net, axis=0, dtype=np.int32), squares)


def paired_interval(lost: Ints, won: Ints, n: int) -> tuple[Floats, Floats]:
    """Agresti and Min's 95 % interval of (won - lost) / n, for [C] rows lost and won of ``n``."""
    difference = (won - lost) / (n + 2)
    spread = np.sqrt(np.maximum(0, lost + won + 1 - (won - lost) ** 2 / (n + 2))) / (n + 2)
    low, high = difference - Z95 * spread, difference + Z95 * spread
    return np.maximum(-1, low), np.minimum(1, high)


def mcnemar(lost: Ints, won: Ints) -> LuckTest:
    """McNemar's exact test of ``won`` [C] rows among all that changed."""
    from scipy.special import bdtr, bdtrc

    n = lost + won
    above = np.where(won > 0, bdtrc(won - 1.0, n, 0.5), 1)
    return LuckTest(np.zeros(len(n)), np.asarray(above), np.asarray(bdtr(won * 1.0, n, 0.5)))


def _by_prompt(paths: Sequence[str | Path]) -> dict[Any, Path]:
    found: dict[Any, Path] = {}
    for path in map(Path, paths):
        with open_store(path) as store:
            key = _prompt_key(store.run)
        if key in found:
            raise UsageError(f"{found[key]} and {path} are runs of one prompt; give one of them")
        found[key] = path
    return found


def _prompt_key(info: RunInfo) -> tuple[Any, ...]:
    return info.task, info.template, demonstrations_key(info)


def _pair(one: Path, other: Path, split: str, pool: str, normalize: str) -> _Pair:
    with open_store(one, pool, normalize) as a, open_store(other, pool, normalize) as b:
        if a.components != b.components:
            raise StoreError(f"{one} and {other} have different components: not one architecture")
        if a.axes.splits[split].id != b.axes.splits[split].id:
            raise StoreError(f"{one} and {other} have different {split} rows: not one prompt set")
        if [of.text for of in a.answers(split)] != [of.text for of in b.answers(split)]:
            raise StoreError(
                f"{one} and {other} have other answers of {split} rows: not one prompt set"
            )
        if not a.rows(split):
            raise UsageError(f"{one} has no {split} rows")
        kept = distinct(a.axes.splits[split].prompt_hash)
        first, second = _hits(a, split)[kept], _hits(b, split)[kept]
        ids = np.array(a.axes.splits[split].id)[kept].tolist()
        rows = RowChoices.key_of(ids, a.gold(split)[kept], a.run.task)
        net = second.astype(np.int8) - first.astype(np.int8)
        means = first.mean(axis=0), second.mean(axis=0)
        return _Pair(a.components, rows, *means, repeats(a, split), net, a.run.normalize)


def _hits(store: Store, split: str) -> Bools:
    """[N, C + 1] whether a component, and last the full model, is right on a row."""
    gold = store.gold(split)

    def hits(logits: npt.NDArray[np.float32], rows: slice) -> Bools:
        present = np.where(np.isnan(logits), -np.inf, logits)  # a row may have fewer answers
        choice = top_two(np.ascontiguousarray(np.moveaxis(present, 2, 0)))[0]
        return np.asarray(choice == gold[rows, None])

    parts = [hits(logits, rows) for rows, logits in store.iter_parts(split)]
    full = hits(store.array(split, "full")[:, None, :], slice(None))
    return np.concatenate([np.concatenate(parts), full], axis=1)

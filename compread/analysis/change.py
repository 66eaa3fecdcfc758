"""What changes, component by component, between two models that share the component axis.

Base and chat, 16 and 4 bits, before and after fine-tuning: two runs over the same rows are paired
row by row, rows of equal prompts as one. With b rows that only the first gets right and c that only
the second does, the change of a component's accuracy is (c - b) / N. Its 95 % interval is Agresti
and Min's (2005): one half is added to each cell of the 2 × 2 table, then the usual interval is
taken. Its p-value is McNemar's exact one, a binomial test of c among b + c, corrected over the
components.

Over several pairs of runs the changes are averaged, with Student's interval over the pairs and
twice the mean p-value, which is one whatever their dependence (Rüschendorf 1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.analysis.categories import COUNTED_KINDS
from compread.analysis.chance import false_discovery, two_sided
from compread.analysis.intervals import Z95, Floats, Ints, student_interval
from compread.analysis.pairs import demonstrations_key
from compread.analysis.runs import distinct
from compread.analysis.tally import Bools, top_two
from compread.components import Component
from compread.errors import StoreError, UsageError
from compread.store import DEFAULT_POOL, Store, open_store
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
    """[C + 1] p over the heads, mixers and MLPs corrected; NaN elsewhere."""
    pairs: int
    """Pairs of runs."""

    def rows(self) -> list[dict[str, Any]]:
        """One row a component in axis order, then the full model's."""
        names = [(c.name, c.kind, c.layer, c.head) for c in self.components]
        return [
            {
                "component": name,
                "kind": kind,
                "layer": layer if layer >= 0 else None,
                "head": head if head >= 0 else None,
                "before": float(self.before[j]),
                "after": float(self.after[j]),
                "change": float(self.after[j] - self.before[j]),
                "change_low": float(self.low[j]),
                "change_high": float(self.high[j]),
                "p_value": float(self.p[j]),
                "q_value": None if np.isnan(self.q[j]) else float(self.q[j]),
                "pairs": self.pairs,
            }
            for j, (name, kind, layer, head) in enumerate([*names, ("full", "model", -1, -1)])
        ]


def change(
    before: Sequence[str | Path],
    after: Sequence[str | Path],
    split: str = "test",
    pool: str = DEFAULT_POOL,
) -> Change:
    """The change between the runs of two lists of stores, paired by task, template and seed.

    Raises:
        UsageError: a run has no partner on the other side, or more than one.
        StoreError: two partners differ in their components or rows; a store cannot be read.
    """
    first, second = _by_prompt(before), _by_prompt(after)
    if first.keys() != second.keys():
        alone = [p for k, p in (first | second).items() if (k in first) != (k in second)]
        raise UsageError(
            f"{alone[0]} has no partner of the same task, template, seed and shots on the other "
            "side; give the same runs of both models"
        )
    results = [_pair(first[key], second[key], split, pool) for key in first]
    components = results[0][0]
    if any(other != components for other, *_ in results[1:]):
        raise StoreError("the pairs of stores have different components; compare one model at once")
    each = [np.stack(values) for values in zip(*(r[1:] for r in results), strict=True)]
    means = [values.mean(axis=0) for values in each]
    p = means[4]
    if len(results) > 1:
        means[2:4] = student_interval(each[1] - each[0])
        p = np.minimum(1, 2 * p)
    tested = np.array([c.kind in COUNTED_KINDS for c in components] + [False])
    q = false_discovery(np.where(tested, p, np.nan))
    return Change(components, means[0], means[1], means[2], means[3], p, q, len(results))


def paired_interval(lost: Ints, won: Ints, n: int) -> tuple[Floats, Floats]:
    """Agresti and Min's 95 % interval of (won - lost) / n, for [C] rows lost and won of ``n``."""
    difference = (won - lost) / (n + 2)
    spread = np.sqrt(np.maximum(0, lost + won + 1 - (won - lost) ** 2 / (n + 2))) / (n + 2)
    low, high = difference - Z95 * spread, difference + Z95 * spread
    return np.maximum(-1, low), np.minimum(1, high)


def mcnemar(lost: Ints, won: Ints) -> Floats:
    """McNemar's exact two-sided p-value, [C]."""
    from scipy.special import bdtr, bdtrc

    n = lost + won
    above = np.where(won > 0, bdtrc(won - 1.0, n, 0.5), 1)
    return two_sided(np.asarray(above), np.asarray(bdtr(won * 1.0, n, 0.5)))


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


def _pair(one: Path, other: Path, split: str, pool: str) -> tuple[Any, ...]:
    """Components, then before, after, low, high and p, [C + 1] each."""
    with open_store(one, pool) as a, open_store(other, pool) as b:
        if a.components != b.components:
            raise StoreError(f"{one} and {other} have different components: not one architecture")
        if a.axes.splits[split].id != b.axes.splits[split].id:
            raise StoreError(f"{one} and {other} have different {split} rows: not one prompt set")
        if not a.rows(split):
            raise UsageError(f"{one} has no {split} rows")
        kept = distinct(a.axes.splits[split].prompt_hash)
        n = int(kept.sum())
        first, second = _hits(a, split)[kept], _hits(b, split)[kept]
        lost, won = (first & ~second).sum(axis=0), (second & ~first).sum(axis=0)
        low, high = paired_interval(lost, won, n)
        means = first.mean(axis=0), second.mean(axis=0)
        return a.components, *means, low, high, mcnemar(lost, won)


def _hits(store: Store, split: str) -> Bools:
    """[N, C + 1] whether a component, and last the full model, is right on a row."""
    gold = store.gold(split)

    def hits(logits: npt.NDArray[np.float32], rows: slice) -> Bools:
        choice = top_two(np.ascontiguousarray(np.moveaxis(logits, 2, 0)))[0]
        return np.asarray(choice == gold[rows, None])

    parts = [hits(logits, rows) for rows, logits in store.iter_parts(split)]
    full = hits(store.array(split, "full")[:, None, :], slice(None))
    return np.concatenate([np.concatenate(parts), full], axis=1)

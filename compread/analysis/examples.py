"""What single components say of single rows: towards the right label, or away from it.

A component's logit difference on row n is g[right] - g[rival], in logits (in log p where answers
have several tokens), with the rival the wrong label that the full model finds the likeliest. It is
above 0 towards the right label and below 0 away from it. The rival is one for all components of a
row, so that their differences add up to the full model's margin on it: what the right label is
ahead of the rival, before a soft-cap where the model has one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compread.analysis.runs import check_rows
from compread.array_types import Float32, Ints
from compread.store import Store


@dataclass(frozen=True, eq=False)
class ExtremeRows:
    """The rows of a split that one component is most for, and most against."""

    most_for: Ints
    """Row numbers within the split, the largest difference first; only of those above 0."""
    most_against: Ints
    """The smallest difference first; only of those below 0."""
    difference: Float32
    """[N] the component's logit difference on every row."""
    rival: Ints
    """[N] the column that the right one is compared with."""


def rivals(full: Float32, gold: Ints) -> Ints:
    """[N] the wrong column with the largest of the full model's logits [N, K], NaN where absent."""
    wrong = np.where(np.isnan(full), -np.inf, full)
    wrong[np.arange(len(gold)), gold] = -np.inf
    return np.asarray(wrong.argmax(axis=1))


def logit_differences(logits: Float32, gold: Ints, rival: Ints) -> Float32:
    """[N, ..] each scorer's logit of the right column less the rival's, of logits [N, .., K]."""
    at = np.arange(len(gold))
    return np.asarray(logits[at, ..., gold] - logits[at, ..., rival])


def extreme_rows(store: Store, split: str, component: int, most: int = 5) -> ExtremeRows:
    """The rows that a component moves most towards the right label, and most away from it.

    Args:
        store: an open store.
        split: ``train`` or ``test``.
        component: its place on the component axis.
        most: how many rows of each.

    Raises:
        UsageError: the split has no rows.
        StoreError: the numbers are damaged.
    """
    check_rows(store, split)
    gold = store.gold(split)
    rival = rivals(store.array(split, "full"), gold)
    found = np.empty(len(gold), np.float32)
    for rows, parts in store.iter_parts(split):
        found[rows] = logit_differences(parts[:, component], gold[rows], rival[rows])
    against = np.argsort(found, kind="stable")[:most]
    towards = np.argsort(-found, kind="stable")[:most]
    return ExtremeRows(towards[found[towards] > 0], against[found[against] < 0], found, rival)

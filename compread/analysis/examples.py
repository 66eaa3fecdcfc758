"""Which way components push single rows, and the rows that one pushes most.

The push of a component on row n is g[right] - g[rival] in logits (in log p where answers have
several tokens), with the rival the label that the full model finds the likeliest among the wrong
ones. It is above 0 towards the right label and below 0 away from it. The rival is the same for all
components of a row, so that their pushes add up to the full model's margin on it: what the right
label is ahead of the rival, before a soft-cap where the model has one.
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
    """Row numbers within the split, the largest push first; only of pushes above 0."""
    most_against: Ints
    """The smallest push first; only of pushes below 0."""
    push: Float32
    """[N] of the component on every row."""
    rival: Ints
    """[N] the column that the push is away from."""


def rivals(full: Float32, gold: Ints) -> Ints:
    """[N] the wrong column with the largest of the full model's logits [N, K], NaN where absent."""
    wrong = np.where(np.isnan(full), -np.inf, full)
    wrong[np.arange(len(gold)), gold] = -np.inf
    return np.asarray(wrong.argmax(axis=1))


def pushes(logits: Float32, gold: Ints, rival: Ints) -> Float32:
    """[N, ..] each scorer's logit of the right column less the rival's, of logits [N, .., K]."""
    at = np.arange(len(gold))
    return np.asarray(logits[at, ..., gold] - logits[at, ..., rival])


def extreme_rows(store: Store, split: str, component: int, most: int = 5) -> ExtremeRows:
    """The rows that a component pushes most towards the right label, and most away from it.

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
    push = np.empty(len(gold), np.float32)
    for rows, parts in store.iter_parts(split):
        push[rows] = pushes(parts[:, component], gold[rows], rival[rows])
    order = np.argsort(push, kind="stable")
    against = order[:most]
    towards = np.argsort(-push, kind="stable")[:most]
    return ExtremeRows(towards[push[towards] > 0], against[push[against] < 0], push, rival)

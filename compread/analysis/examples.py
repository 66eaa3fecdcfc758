"""What single components say of single rows: towards the right label, or away from it.

A component's logit difference on row n is g[right] - g[rival], in logits (in log p where answers
have several tokens), with the rival the wrong label that the full model finds the likeliest. It is
above 0 towards the right label and below 0 away from it. The rival is one for all components of a
row, so that their differences add up to the full model's margin on it: what the right label is
ahead of the rival, before a soft-cap where the model has one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compread.analysis.predictions import largest
from compread.analysis.runs import normalize_key
from compread.array_types import Float32, Floats, Ints
from compread.components import FULL_KEYS, LAYERED, Component
from compread.errors import UsageError, option
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL, SPLITS
from compread.store import RunInfo, Store, open_store
from compread.text import did_you_mean, listed


def rivals(full: Float32, gold: Ints) -> Ints:
    """[N] the wrong column with the largest of the full model's logits [N, K], NaN where absent."""
    wrong = np.where(np.isnan(full), -np.inf, full)
    wrong[np.arange(len(gold)), gold] = -np.inf
    return np.asarray(wrong.argmax(axis=1))


def logit_differences(logits: Float32, gold: Ints, rival: Ints) -> Float32:
    """[N, ..] each scorer's logit of the right column less the rival's, of logits [N, .., K]."""
    at = np.arange(len(gold))
    return np.asarray(logits[at, ..., gold] - logits[at, ..., rival])


@dataclass(frozen=True, eq=False)
class Breakdown:
    """What the full model's margin on one row is made of."""

    store: str
    run: RunInfo
    split: str
    row: str
    """Its id."""
    text: str | None
    """None where the store keeps none."""
    answers: tuple[str, ...]
    """[K] the labels, or the row's own answers."""
    classes: tuple[str, ...]
    """[K] the class of each."""
    right: int
    rival: int
    """The column that the right one is compared with."""
    said: int
    """The column that the full model predicts."""
    margin: float
    """The full model's own logit difference: after a soft-cap, where it has one."""
    components: tuple[Component, ...]
    choices: Ints
    """[C] the column that each component predicts alone."""
    difference: Floats
    """[C] each component's logit difference."""

    @property
    def order(self) -> tuple[int, ...]:
        """[C] ``embed``, then what layers have from the largest difference on, then the rest."""
        size = np.abs(self.difference)
        groups: dict[int, list[int]] = {0: [], 1: [], 2: []}
        for j, c in enumerate(self.components):
            groups[0 if c.kind == "embed" else 1 if c.kind in LAYERED else 2].append(j)
        groups[1].sort(key=lambda j: -size[j])
        return tuple(j for of in groups.values() for j in of)

    @property
    def running(self) -> Floats:
        """[C] sum of the differences up to each place of ``order``; the last is that of all."""
        return np.asarray(np.cumsum(self.difference[list(self.order)]))

    def rows(self, only: Collection[str] = ()) -> list[dict[str, Any]]:
        """One row a component in ``order``, and the full model last, with its own margin.

        With ``only``, the names of components, the others are left out.
        """
        of: dict[str, Any] = {
            "store": self.store,
            "task": self.run.task,
            "split": self.split,
            "row": self.row,
            "right": self.answers[self.right],
            "rival": self.answers[self.rival],
        }
        rows = []
        for step, (j, sum_) in enumerate(zip(self.order, self.running, strict=True)):
            c = self.components[j]
            keys = {"step": step, **c.row_keys()}
            keys |= {"prediction": self.answers[self.choices[j]]}
            keys |= {"logit_difference": float(self.difference[j]), "running_sum": float(sum_)}
            if not only or c.name in only:
                rows.append(of | keys | normalize_key(self.run.normalize))
        full: dict[str, Any] = {"step": None, **FULL_KEYS}
        full |= {"prediction": self.answers[self.said], "logit_difference": self.margin}
        full |= {"running_sum": float(self.running[-1])}
        return [*rows, of | full | normalize_key(self.run.normalize)]


def breakdowns(
    paths: Sequence[str | Path],
    split: str,
    example: str,
    pool: str = DEFAULT_POOL,
    normalize: str = DEFAULT_NORMALIZATION,
) -> list[Breakdown]:
    """What the answer to one example is made of, in each store that has it.

    Raises:
        UsageError: none has a row of this id in the split.
        StoreError: a store cannot be read.
    """
    found: list[Breakdown] = []
    ids: dict[str, dict[str, None]] = {name: {} for name in SPLITS}
    for path in paths:
        with open_store(path, pool, normalize) as store:
            for name in SPLITS:
                ids[name] |= dict.fromkeys(store.axes.splits[name].id)
            if example in store.axes.splits[split].id:
                found.append(_breakdown(store, split, list(store.axes.splits[split].id), example))
    if not found:
        raise _unknown(example, split, {name: list(of) for name, of in ids.items()})
    return found


def _breakdown(store: Store, split: str, ids: Sequence[str], example: str) -> Breakdown:
    n = ids.index(example)
    parts, full = (store.numbers(split, name, slice(n, n + 1)) for name in ("parts", "full"))
    gold = store.gold(split)[n : n + 1]
    rival = rivals(full, gold)
    own = store.answers(split)[n].text if store.axes.has_own_answers else None
    texts = store.texts(split, slice(n, n + 1))
    return Breakdown(
        store=str(store.path),
        run=store.run,
        split=split,
        row=example,
        text=texts[0] if texts else None,
        answers=own or store.labels.names,
        classes=own or store.labels.class_names,
        right=int(gold[0]),
        rival=int(rival[0]),
        said=int(largest(full)[0]),
        margin=float(logit_differences(full, gold, rival)[0]),
        components=store.components,
        choices=largest(parts)[0],
        difference=logit_differences(parts, gold, rival)[0].astype(np.float64),
    )


def _unknown(example: str, split: str, ids: Mapping[str, Sequence[str]]) -> UsageError:
    """The error for an id that no row of the split has."""
    asked = option("example", example)
    for other in SPLITS:
        if example in ids[other]:
            return UsageError(f"{asked} is a {other} row: add {option('split', other)}")
    hint = did_you_mean(example, ids[split])
    there = f"they are {listed(ids[split], 3)}" if ids[split] else "there are none"
    return UsageError(f"{asked}: no {split} row has this id: {hint}{there} (see predictions)")

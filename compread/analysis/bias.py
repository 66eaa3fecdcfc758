"""The most label-biased components up close (paper appendix A.2, figure 5).

Of two labels, the two components that lean furthest to either: those with the largest mean
difference of the labels' logits. Their logits are looked at row by row, under demonstrations whose
labels are balanced, all the one and all the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compread.analysis.categories import counted
from compread.analysis.classes import common_classes
from compread.array_types import Float32
from compread.components import Component
from compread.errors import StoreError, UsageError
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL, NORMALIZATIONS
from compread.store import open_store
from compread.store.schema import Labels, RunInfo


@dataclass(frozen=True, eq=False)
class Leaning:
    """One component's logits of two labels on the rows of several runs."""

    component: Component
    words: tuple[str, str]
    """The labels in quotes, with their classes (``Labels.quoted``)."""
    number: str
    """What the numbers are, such as ``logit``."""
    settings: tuple[str, ...]
    """What the demonstrations' labels are in each run."""
    logits: tuple[Float32, ...]
    """[N, 2] of each run."""
    biased: tuple[float, ...]
    """Share of the rows, in each run, on which it says the label that it leans to."""


def leanings(
    paths: Sequence[str | Path],
    split: str = "test",
    pool: str = DEFAULT_POOL,
    labels: tuple[int, int] = (0, 1),
    normalize: str = DEFAULT_NORMALIZATION,
) -> tuple[Leaning, Leaning]:
    """The component that leans most to the first of two labels, and that to the second.

    They are found on the first store, and looked up in the others.

    Raises:
        UsageError: the label numbers are none of the store's.
        StoreError: stores differ in their components or number of labels, or cannot be read.
    """
    chosen: list[int] = []
    runs: list[tuple[RunInfo, Float32]] = []
    seen: list[Labels] = []
    for path in paths:
        with open_store(path, pool, normalize) as store:
            k = len(store.labels.word)
            if max(labels) >= k or labels[0] == labels[1]:
                raise UsageError(f"{path} has {k} labels; give two of the numbers 0 to {k - 1}")
            number = (
                f"log p {NORMALIZATIONS[normalize]}".rstrip() if store.axes.has_answers else "logit"
            )
            if not runs:
                components, first, task = store.components, store.labels, store.run.task
            elif store.components != components:
                raise StoreError(f"{paths[0]} and {path} differ in their components")
            same = common_classes(
                [first, store.labels], [task, store.run.task], [str(paths[0]), str(path)]
            )
            columns = [same.columns[1][label] for label in labels]
            pieces = [logits[:, :, columns] for _, logits in store.iter_parts(split)]
            if not pieces:
                raise UsageError(f"{path} has no {split} rows")
            two = np.concatenate(pieces)  # (N, C, 2)
            if not runs:
                of = np.array(counted(components))
                lean = (two[:, of, 0] - two[:, of, 1]).mean(axis=0)
                chosen = [int(of[lean.argmax()]), int(of[lean.argmin()])]
            runs.append((store.run, two[:, chosen]))
            seen.append(store.labels)
    same = common_classes(seen, [info.task for info, _ in runs], list(map(str, paths)))
    words = same.labels(first.token_id).quoted
    settings = tuple(_setting(info, of.titles) for (info, _), of in zip(runs, seen, strict=True))
    found = []
    for i, j in enumerate(chosen):
        logits = tuple(two[:, i] for _, two in runs)
        shares = tuple(float((x[:, i] > x[:, 1 - i]).mean()) for x in logits)
        pair = (words[labels[0]], words[labels[1]])
        found.append(Leaning(components[j], pair, number, settings, logits, shares))
    return found[0], found[1]


def _setting(info: RunInfo, words: Sequence[str]) -> str:
    numbers = info.protocol.get("demo_labels")
    if numbers is None:
        return "balanced"
    if len(set(numbers)) == 1:
        return f"all {words[numbers[0]]}"
    return ",".join(map(str, numbers))

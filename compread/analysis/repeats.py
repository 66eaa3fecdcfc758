"""Rows of a split whose prompts are equal: they count as one, in every test and every interval.

No test holds where a row stands twice: each of its two copies looks like evidence of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compread.store import Store


class Repeats(NamedTuple):
    """How many rows of a store's split are left out."""

    store: str
    """The store's path as given."""
    repeated: int
    """Rows whose prompt stood before."""
    rows: int
    """All rows."""


def distinct(hashes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """[N] which rows' prompts stand for the first time."""
    kept = np.zeros(len(hashes), bool)
    kept[list({h: i for i, h in reversed(list(enumerate(hashes)))}.values())] = True
    return kept


def repeats(store: Store, split: str) -> Repeats:
    """The rows of a store's split that repeat."""
    hashes = store.axes.splits[split].prompt_hash
    return Repeats(str(store.path), len(hashes) - len(set(hashes)), len(hashes))


def repeats_note(found: Iterable[Repeats], split: str) -> str | None:
    """What a user should know of rows that repeat; None where none do."""
    found = list(found)
    repeating = [one for one in found if one.repeated]
    if not repeating:
        return None
    most = max(repeating, key=lambda one: one.repeated)
    return (
        f"note: {len(repeating)} of {len(found)} stores have {split} rows with the prompt of an "
        f"earlier row ({most.store}: {most.repeated} of {most.rows}); they are left out, as each "
        "prompt counts once"
    )

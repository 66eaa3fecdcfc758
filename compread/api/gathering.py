"""The stores that a function is about, and what a caller should know of them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

from compread.analysis.repeats import Repeats, repeats_note
from compread.api.runs import Runs, Stores, names_of
from compread.errors import CompreadWarning, UsageError, option, worded
from compread.options import (
    DEFAULT_NORMALIZATION,
    DEFAULT_POOL,
    DEFAULT_SPLIT,
    NORMALIZATIONS,
    POOLS,
    SPLITS,
)
from compread.store import gather
from compread.store.gather import Models
from compread.text import did_you_mean


def found_stores(stores: Stores, models: Models = "any") -> tuple[Path, ...]:
    """The stores that are meant, each run once; what is odd about them is a warning.

    Raises:
        StoreError: there is none, or they are of other models than ``models`` allows.
    """
    found = gather(names_of(stores), None, models)
    for line in found.notes:
        tell(line)
    if models == "one" and found.settings:
        tell(f"means are over runs of several settings: {'; '.join(found.settings)}")
    return found.paths


def tell(line: str) -> None:
    """Warn the caller of this package: the line of the script or notebook that called it."""
    depth, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("compread."):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(worded(line, in_python=True), CompreadWarning, stacklevel=depth)


def tell_repeats(found: Sequence[Repeats], split: str) -> None:
    """Warn of rows that are left out, as their prompts stand before."""
    if (told := repeats_note(found, split)) is not None:
        tell(told.removeprefix("note: "))


def check_choice(name: str, value: str, known: Collection[str]) -> None:
    """Refuse a value that is none of an argument's.

    Raises:
        UsageError: the message has what there is, and what was meant.
    """
    if value not in known:
        hint = did_you_mean(str(value), known)
        raise UsageError(f"{option(name, value)}: {hint}there is {', '.join(known)}")


def split_of(stores: Stores, split: str | None) -> str:
    """The rows that are asked for; None: those of the runs, else the test rows."""
    own = stores.split if isinstance(stores, Runs) and len(stores) else DEFAULT_SPLIT
    chosen = own if split is None else split
    check_choice("split", chosen, SPLITS)
    return chosen


def pool_of(stores: Stores, pool: str | None) -> str:
    """The pooling that is asked for; None: that of the runs, else the default."""
    own = stores.pool if isinstance(stores, Runs) and len(stores) else None
    chosen = pool or own or DEFAULT_POOL
    check_choice("pool", chosen, POOLS)
    return chosen


def normalization_of(stores: Stores, normalize: str | None) -> str:
    """The normalisation that is asked for; None: that of the runs, else none."""
    own = stores.normalize if isinstance(stores, Runs) and len(stores) else DEFAULT_NORMALIZATION
    chosen = own if normalize is None else normalize
    check_choice("normalize", chosen, NORMALIZATIONS)
    return chosen

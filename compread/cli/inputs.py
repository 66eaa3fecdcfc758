"""The stores and the weights file that a command is about, and what a user should know of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compread.cli.output import note
from compread.options import DEFAULT_NORMALIZATION

if TYPE_CHECKING:
    from compread.analysis.change import Change
    from compread.analysis.repeats import Repeats
    from compread.analysis.runs import RunStats
    from compread.reweight.label_shares import LabelShares
    from compread.store.gather import Gathered, Models
if TYPE_CHECKING:
    from compread.reweight.weights_file import Weights


def found_stores(
    arguments: Sequence[str], models: Models = "any", across_models: bool = False
) -> Gathered:
    """The stores of STORE arguments, each run once, and on stderr what a user should know of them.

    Where they must be of ``one`` model they are averaged, so settings that differ are told too.

    Raises:
        StoreError: there is none, or they are of other models than ``models``; ``across_models``
            allows any.
    """
    from compread.store import gather

    found = gather(arguments, sys.stdin, "any" if across_models else models)
    for line in found.notes:
        note(f"warning: {line}")
    if models == "one" and found.settings:
        note(f"warning: means are over runs of several settings: {'; '.join(found.settings)}")
    return found


def scored_runs(
    paths: Iterable[Path],
    split: str,
    pool: str,
    resample: bool = False,
    normalize: str = DEFAULT_NORMALIZATION,
) -> list[RunStats]:
    """The statistics of each store, and on stderr what a user should know of their rows.

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: a store is missing, unfinished, damaged or foreign.
    """
    from compread.cli.parallel import read_all

    runs = read_all(list(paths), split, pool, resample, normalize)
    tell_repeats([run.repeats for run in runs if run.repeats], split)
    return runs


def tell_repeats(found: Sequence[Repeats], split: str) -> None:
    """Say on stderr how many rows of the stores are left out, as their prompts stand before."""
    from compread.analysis.repeats import repeats_note

    if (told := repeats_note(found, split)) is not None:
        note(told)


def changed(
    before: Sequence[Path], after: Sequence[Path], split: str, pool: str, normalize: str
) -> Change:
    """The change between two models, and on stderr what a user should know of their stores.

    Raises:
        UsageError: no run has a partner on the other side, or one has more than one.
        StoreError: two partners differ in their components or rows; a store cannot be read.
    """
    from compread.analysis.change import change

    found = change(before, after, split, pool, normalize)
    if (told := found.unpaired_note) is not None:
        note(f"warning: {told}")
    tell_repeats(found.repeats, split)
    return found


def read_weights(path: Path) -> Weights:
    """What a weights file holds; a note where numbers may be in doubt.

    Raises:
        StoreError: it is not one, or damaged.
    """
    from compread.cli.output import note
    from compread.reweight.weights_file import Weights

    weights = Weights.read(path)
    for doubt in weights.doubts(path):
        note(doubt)
    return weights


def read_weights_of(path: Path, titles: Sequence[str] | None, shares: LabelShares) -> Weights:
    """What a weights file has of some methods, with what they are told of the labels' shares.

    Raises:
        StoreError: as ``read_weights``.
        UsageError: as ``compread.reweight.ensemble_apply.named``.
    """
    from compread.reweight.ensemble_apply import named

    weights = read_weights(path)
    fits, some = named(weights.fits, weights.ensembles, titles, shares)
    return replace(weights, fits=fits, ensembles=some)

"""The component statistics of whole runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.analysis.categories import counted
from compread.analysis.choices import RowChoices
from compread.analysis.components import ComponentStats, collect, stats_of
from compread.analysis.repeats import Repeats, distinct, repeats
from compread.analysis.tally import Resampling, Tally
from compread.array_types import Bools, Float32, Floats, Ints
from compread.components import Component
from compread.errors import StoreError, UsageError, option
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL
from compread.store import Store, open_store
from compread.store.answers import token_counts
from compread.store.schema import Labels, RunInfo
from compread.text import model_name

HALVINGS, SHUFFLES = 20, 200
"""How many random halves, and shuffles of the labels, ``analyze`` takes."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """What the components get right on halves of the rows, and the ends under shuffled labels.

    A folder may have a thousand runs, so only what is asked of them is kept, in few bytes.
    """

    right: npt.NDArray[np.unsignedinteger[Any]]
    """[R, 2, C] right predictions on the first and the second half of R random splits."""
    sizes: Ints
    """[R, 2] rows of each half."""
    best: Floats
    """[P] largest accuracy of any head, MLP or mixer by each of P shuffles of the right labels."""
    worst: Floats
    """[P] smallest accuracy of any."""

    @classmethod
    def of(cls, parts: Tally, drawn: Resampling, counted: Sequence[int]) -> Resampled:
        """What a tally has counted; ``counted`` are the positions of the heads, MLPs and mixers."""
        first = drawn.halves.sum(axis=1)
        right = np.stack([parts.first_half, parts.right - parts.first_half], axis=1)
        shuffled = parts.shuffled_right[:, counted] / parts.n
        return cls(
            right=right.astype(np.min_scalar_type(parts.n)),
            sizes=np.stack([first, parts.n - first], axis=1),
            best=shuffled.max(axis=1),
            worst=shuffled.min(axis=1),
        )

    @property
    def halves(self) -> Floats:
        """[R, 2, C] accuracy on each half; a half without rows has NaN."""
        sizes = self.sizes[:, :, None]
        return np.where(sizes, self.right / np.maximum(1, sizes), np.nan)


@dataclass(frozen=True, eq=False)
class Trained:
    """What a component is chosen by on the train rows."""

    accuracy: Floats
    """[C]"""
    margin: Floats
    """[C] mean margin, in logits."""


@dataclass(frozen=True, eq=False)
class RunStats:
    """One store's components, scored on one split."""

    path: str
    """The store's path as given, for tables and messages."""
    info: RunInfo
    components: tuple[Component, ...]
    labels: Labels
    stats: ComponentStats
    resampled: Resampled | None = None
    """None where it was not asked for."""
    train: Trained | None = None
    """On the train rows; None where that was not asked for, or there are none."""
    rows: RowChoices | None = None
    """What is predicted on each row; None where the statistics are not of a store."""
    repeats: Repeats | None = None
    """Rows that were left out because their prompt stood before; None as in ``rows``."""


def run_stats(
    store: Store,
    split: str = "test",
    resample: bool = False,
    seed: int = 0,
    sums: Bools | None = None,
) -> RunStats:
    """Score the components of a store on its ``train`` or ``test`` rows.

    Rows of equal prompts count as one, the first: no test holds where a row stands twice.
    ``resample`` scores them on halves and under shuffled labels too, and on the train rows, as
    ``compread.analysis.summary`` and ``compread.analysis.transfer`` want. With ``sums`` [S, C]
    the sums over these components are scored in the place of components, and named by nobody.

    Raises:
        UsageError: the split has no rows.
        StoreError: the numbers are damaged.
    """
    check_rows(store, split)
    kept = distinct(store.axes.splits[split].prompt_hash)
    gold, ids = store.gold(split)[kept], np.array(store.axes.splits[split].id)[kept]
    answers = [of for of, keep in zip(store.answers(split), kept, strict=False) if keep]
    counts = np.array(list(map(len, answers)), dtype=np.int64)
    drawn = _drawn(gold.tobytes(), counts.tobytes(), seed) if resample else None
    full = store.array(split, "full")[kept]
    tokens = token_counts(answers, full.shape[1]) if store.axes.has_own_answers else None
    parts, whole = collect(_pieces(store, split, kept, sums), full, gold, drawn, tokens)
    resampled = train = None
    if drawn is not None:
        resampled = Resampled.of(parts, drawn, counted(store.components))
    if resample and split != "train" and store.rows("train"):
        train = _trained(store)
    key = RowChoices.key_of(ids.tolist(), gold, store.run.task)
    return RunStats(
        path=str(store.path),
        info=store.run,
        components=store.components if sums is None else (),
        labels=store.labels,
        stats=stats_of(parts, whole),
        resampled=resampled,
        train=train,
        rows=RowChoices(key, gold, parts.choices, whole.choices),
        repeats=repeats(store, split),
    )


def check_rows(store: Store, split: str) -> None:
    """Refuse a split without rows.

    Raises:
        UsageError: it has none.
        StoreError: there is no split of that name.
    """
    if not store.rows(split):
        other = "train" if split == "test" else "test"
        raise UsageError(f"{store.path} has no {split} rows; try {option('split', other)}")


def _pieces(
    store: Store, split: str, kept: Bools, sums: Bools | None = None
) -> Iterator[tuple[slice, Float32]]:
    """The kept rows' parts piece by piece, or sums over them, and their places among these rows."""
    start = 0
    for rows, parts in store.iter_parts(split):
        of = parts if kept[rows].all() else parts[kept[rows]]
        if sums is not None:
            summed = np.tensordot(of.astype(np.float64), sums.astype(np.float64), axes=(1, 1))
            of = summed.transpose(0, 2, 1).astype(np.float32)  # (n, K, S) before
        yield slice(start, start := start + len(of)), of


@lru_cache(maxsize=8)
def _drawn(gold: bytes, counts: bytes, seed: int) -> Resampling:
    """Runs of one task have the same right labels, and drawing takes as long as counting."""
    of = np.frombuffer(counts, np.int64) if counts else None
    return Resampling.draw(np.frombuffer(gold, np.int64), HALVINGS, SHUFFLES, seed, of)


def _trained(store: Store) -> Trained:
    parts, _ = collect(store.iter_parts("train"), store.array("train", "full"), store.gold("train"))
    return Trained(parts.right / parts.n, parts.margin()[0])


def read_runs(
    paths: Iterable[str | Path],
    split: str = "test",
    pool: str = DEFAULT_POOL,
    resample: bool = False,
    seed: int = 0,
    normalize: str = DEFAULT_NORMALIZATION,
) -> list[RunStats]:
    """Score the components of each store in turn, one open at a time; see ``run_stats``.

    ``pool`` is how the label words of one class become one label (``compread.options.POOLS``), and
    ``normalize`` how answers of different lengths are made alike (``NORMALIZATIONS`` there).

    Raises:
        UsageError: a store has no rows in the split.
        StoreError: a store is missing, unfinished, damaged or foreign, or lacks what ``normalize``
            takes.
    """
    runs = []
    for path in paths:
        with open_store(path, pool, normalize) as store:
            runs.append(run_stats(store, split, resample, seed))
    return runs


def normalize_key(how: str) -> dict[str, str]:
    """What a result says of how answers are made alike: nothing where they are as stored."""
    return {} if how == DEFAULT_NORMALIZATION else {"normalize": how}


def check_same_components(one: RunStats, other: RunStats) -> None:
    """Refuse two runs whose component axes differ.

    Raises:
        StoreError: they do; the message names both.
    """
    if one.components != other.components:
        ours, theirs = (
            f"{len(of.components)} of {model_name(of.info.model)}" for of in (one, other)
        )
        raise StoreError(
            f"{one.path} and {other.path} have different components ({ours} and {theirs}); only "
            "runs of models with the same layers and heads can be compared component by component"
        )

"""The component statistics of several runs, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from compread.analysis.chance import LuckTest
from compread.analysis.choices import Choices, votes
from compread.analysis.classes import on_common_classes
from compread.analysis.components import ComponentStats, Scores
from compread.analysis.joint import cauchy, joint_test
from compread.analysis.runs import RunStats, check_same_components
from compread.analysis.spread import RowSet, accuracy_interval
from compread.array_types import Ints


def average(runs: Sequence[RunStats]) -> ComponentStats:
    """Statistics averaged over stores with equal weight, on the classes they have in common.

    p-values are of one test of all stores (``compread.analysis.joint``), the interval of an
    averaged accuracy is that of rows and stores that both vary (``compread.analysis.spread``). A
    component is label-biased on average when it is in every store.

    Raises:
        StoreError: two stores differ in their component axis or their number of classes.
    """
    for run in runs[1:]:
        check_same_components(runs[0], run)
    runs = on_common_classes(runs)
    if len(runs) == 1:
        return runs[0].stats
    return ComponentStats(
        parts=_average_scores(runs, "parts"),
        full=_average_scores(runs, "full"),
        gold_share=np.mean([run.stats.gold_share for run in runs], axis=0),
    )


def row_sets(runs: Sequence[RunStats]) -> dict[str, list[RunStats]]:
    """The runs by the rows that they are over."""
    sets: dict[str, list[RunStats]] = {}
    for run in runs:
        assert run.rows is not None  # ``run_stats`` keeps them
        sets.setdefault(run.rows.key, []).append(run)
    return sets


def _average_scores(runs: Sequence[RunStats], side: str) -> Scores:
    """The average of the ``parts`` or of the ``full`` models."""
    scores: list[Scores] = [getattr(run.stats, side) for run in runs]
    each = {
        f.name: np.stack([getattr(s, f.name) for s in scores])
        for f in fields(Scores)
        if f.name not in ("n", "measured")
    }
    measured = {
        name: np.mean([s.measured[name] for s in scores], axis=0)
        for name in scores[0].measured
        if all(name in s.measured for s in scores)
    }
    found = [_of_set(of, side) for of in row_sets(runs).values()]
    luck = found[0][0] if len(found) == 1 else cauchy([test for test, _ in found])
    top_share = each["top_share"].min(axis=0)
    low, high = accuracy_interval([rows for _, rows in found], top_share < 1)
    means = {name: values.mean(axis=0) for name, values in each.items()}
    return replace(
        Scores(n=sum(s.n for s in scores), measured=measured, **means),
        accuracy_low=low,
        accuracy_high=high,
        accuracy_sd=each["accuracy"].std(axis=0),
        above=luck.above,
        below=luck.below,
        top_share=top_share,
    )


def set_votes(runs: Sequence[RunStats], side: str) -> tuple[npt.NDArray[np.int32], Ints]:
    """[N, C, K] how many of the runs over one set of rows predict each label, and gold [N].

    ``side`` is ``parts`` or ``full``.
    """
    rows = [run.rows for run in runs if run.rows is not None]
    choices: list[Choices] = [getattr(one, side) for one in rows]
    return votes(choices, len(runs[0].labels.word)), rows[0].gold


def right_votes(counts: npt.NDArray[np.int32], gold: Ints) -> npt.NDArray[np.int32]:
    """[N, C] how many of the runs are right on each row."""
    return np.take_along_axis(counts, gold[:, None, None], axis=2)[:, :, 0]


def _of_set(runs: Sequence[RunStats], side: str) -> tuple[LuckTest, RowSet]:
    """The test of the runs over one set of rows, and their right predictions."""
    scores: list[Scores] = [getattr(run.stats, side) for run in runs]
    by_run = np.stack([one.accuracy for one in scores])
    if len(runs) == 1:
        luck = LuckTest(scores[0].chance, scores[0].above, scores[0].below)
        return luck, RowSet(by_run, np.zeros((scores[0].n, 0), np.int32))
    counts, gold = set_votes(runs, side)
    luck = joint_test(counts, gold, len(runs))
    return luck, RowSet(by_run, right_votes(counts, gold))

"""The interval of an accuracy over several runs, whose right predictions vary by row and by run.

Runs over the same rows are far from independent, and few runs say little about their spread. The
right predictions of S runs on N rows are taken as a table of runs × rows, whose mean squares
between runs, between rows and of the rest give the variance of their mean (random effects of both,
Scheffé 1959):

    max(MS_runs + MS_rows - MS_rest, MS_runs, MS_rows) / (S N)

All are in units of p (1 - p), so that components of all accuracies can be laid side by side: those
of the runs, known by S - 1 degrees of freedom, and of the rows are drawn towards their means over
the components by as much as their scatter shows them to be one number (Smyth 2004, limma). The
result is the design effect, by which the rows count less than S N independent ones; Wilson's
interval of so many rows has Student's t with the degrees of freedom of the variance in place of the
normal quantile. It never has width 0 and stays in [0, 1]; of one run it is Wilson's own.

Of runs over several sets of rows the sets take the runs' place, with the runs' variance within them
as the least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.analysis.intervals import score_interval
from compread.array_types import Floats


@dataclass(frozen=True, eq=False)
class RowSet:
    """The right predictions of S runs over one set of N rows, by C scorers; or their changes."""

    by_run: Floats
    """[S, C] accuracies, or mean changes."""
    by_row: npt.NDArray[np.int32]
    """[N, C] how many of the runs are right on a row, or by how many that changes; of a single run
    its length alone counts, and it may be [N, 0]."""
    squares: Floats | None = None
    """[C] sum of the squares over runs and rows; None: of right predictions, which are 0 or 1."""


def accuracy_interval(
    sets: Sequence[RowSet], varied: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """The 95 % interval of the mean accuracy over all runs, [C] each.

    ``varied`` [C] says whose spread the others' is drawn towards: not of scorers that always say
    the same, which have none.
    """
    mean, runs, n = _mean(sets)
    variance, df = _variance(sets, _unit(mean, n / runs), varied)
    return score_interval(mean, 1 / variance, df)


def change_interval(sets: Sequence[RowSet], varied: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The 95 % interval of the mean change over all pairs of runs, [C] each, within [-1, 1].

    The unit is the variance of a row's change, with half a row added to each cell of the table of
    before and after, as in Agresti and Min (2005). It is symmetric, with Student's t.
    """
    from scipy.special import stdtrit

    mean, pairs, n = _mean(sets)
    changed = np.sum([one.squares for one in sets if one.squares is not None], axis=0) / pairs
    unit = (changed + 1) / (n / pairs + 2) - mean**2
    variance, df = _variance(sets, unit, varied)
    reach = stdtrit(np.minimum(df, 1e9), 0.975) * np.sqrt(variance * unit)
    return np.maximum(-1, mean - reach), np.minimum(1, mean + reach)


def _mean(sets: Sequence[RowSet]) -> tuple[Floats, int, int]:
    """The mean over all runs [C], how many runs there are, and how many rows of all of them."""
    by_run = np.concatenate([one.by_run for one in sets])
    n = sum(len(one.by_row) * len(one.by_run) for one in sets)
    return by_run.mean(axis=0), len(by_run), n


def _variance(
    sets: Sequence[RowSet], unit: Floats, varied: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """The variance of the mean over all runs, in units, and its degrees of freedom; [C] each."""
    mean, runs, n = _mean(sets)
    weight = np.where(varied, unit, 0) if varied.any() else unit
    shares = np.array([len(one.by_run) / runs for one in sets])
    found = [_within(one, unit, weight) for one in sets]
    within = np.sum([w**2 * v for w, (v, _) in zip(shares, found, strict=True)], axis=0)
    variance, df = within, np.min([d for _, d in found], axis=0)
    if len(sets) > 1:
        means = np.stack([one.by_run.mean(axis=0) for one in sets])
        weighted = (shares[:, None] * (means - mean)) ** 2
        between = weighted.sum(axis=0) * len(sets) / (len(sets) - 1) / unit
        between, df_between = shrink(between, np.full(len(mean), len(sets) - 1.0), weight)
        df = np.where(between > within, df_between, df)
        variance = np.maximum(between, within)
    return np.maximum(variance, 1 / n), df


def df_of_rows(n: int, unit: Floats) -> Floats:
    """Degrees of freedom of the variance of n rows that are right or wrong, [C].

    It is known worse where few rows are either (kurtosis). ``unit`` [C] is p (1 - p).
    """
    df: Floats = 2 / (2 / max(1, n - 1) + np.maximum(0, 1 / unit - 6) / n)
    return df


def _unit(mean: Floats, n: float) -> Floats:
    """P (1 - p), at p = 0 and 1 that of an accuracy that n rows leave possible."""
    p = (mean * n + 1) / (n + 2)
    return np.asarray(p * (1 - p))


def _within(one: RowSet, unit: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The variance of the mean over one set of rows, in units, and its degrees of freedom; [C]."""
    n, (runs, c) = len(one.by_row), one.by_run.shape
    mean = one.by_run.mean(axis=0)
    if runs == 1:
        return np.full(c, 1 / n), np.full(c, np.inf)
    squares = runs * n * mean if one.squares is None else one.squares
    total = squares - runs * n * mean**2
    by_runs = n * ((one.by_run - mean) ** 2).sum(axis=0)
    by_rows = ((one.by_row - runs * mean) ** 2).sum(axis=0) / runs
    rest = np.maximum(0, total - by_runs - by_rows)
    few = max(1, n - 1)
    of_rest = rest / few / (runs - 1) / unit
    of_rows, df_rows = shrink(by_rows / few / unit, df_of_rows(n, unit), weight)
    of_runs, df_runs = shrink(by_runs / (runs - 1) / unit, np.full(c, runs - 1.0), weight)
    sums = np.maximum(of_runs + of_rows - of_rest, np.maximum(of_runs, of_rows))
    known = of_runs**2 / df_runs + of_rows**2 / df_rows + of_rest**2 / few / (runs - 1)
    # The unit itself is no better known than by the rows.
    return sums / (runs * n), np.minimum(few, sums**2 / np.maximum(known, 1e-300))


def shrink(variances: Floats, df: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Variances [C] drawn towards their mean, and the degrees of freedom that they have then.

    The weight of the mean follows from how much more they scatter than variances of one size known
    by ``df`` [C] degrees of freedom would: by moments of the F distribution.
    """
    mean = float(np.average(variances, weights=weight))
    known = 1 / float(np.average(1 / df, weights=weight))
    square = float(np.average((variances - mean) ** 2, weights=weight))
    scatter = known * square / mean**2 if mean else 0.0
    if scatter <= 2:
        return np.full(len(variances), mean), np.full(len(variances), np.inf)
    prior = (2 * known - 4 + 4 * scatter) / (scatter - 2)
    return (prior * mean + df * variances) / (prior + df), prior + df

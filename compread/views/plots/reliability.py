"""Reliability diagrams: the share that is right over the probability that was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compread.errors import UsageError, option
from compread.reweight.fit import Fit
from compread.reweight.reliability import Curve, Reliability, reliability
from compread.store.reader import peek_run
from compread.views.plots.charts import MOST_PANELS, info_name
from compread.views.plots.pictures import Group, Picture, Points

MOST_CURVES = 5
"""As many as have a colour each."""


def reliability_diagram(
    paths: Sequence[Path], split: str, pool: str, normalize: str, fits: Sequence[Fit]
) -> Picture:
    """A panel a store: its full model, and its fits (of so many rows) at their temperatures.

    A store that none of the fits is on has all of them.

    Raises:
        UsageError: there are more stores than fit a page, or more fits than colours.
        StoreError: as ``compread.reweight.reliability``.
    """
    if len(paths) > MOST_PANELS:
        raise UsageError(
            f"reliability draws a panel a store, {MOST_PANELS} at most; got {len(paths)}"
        )
    of = [_of_store(fits, path) for path in paths]
    if (most := max(map(len, of))) >= MOST_CURVES:
        raise UsageError(
            f"reliability draws {MOST_CURVES - 1} fits at most beside the full model, and the "
            f"weights have {most} of one store; choose with {option('method')}, or save fewer"
        )
    panels = [
        _panel(reliability(path, split, pool, normalize, some))
        for path, some in zip(paths, of, strict=True)
    ]
    return Picture(panels)


def _of_store(fits: Sequence[Fit], path: Path) -> Sequence[Fit]:
    """The fits on a store itself; all of them where there is none."""
    run = peek_run(path)
    own = [
        fit
        for fit in fits
        if (fit.run.fingerprint, fit.run.prompt_set) == (run.fingerprint, run.prompt_set)
    ]
    return own or fits


def _panel(found: Reliability) -> Points:
    return Points(
        groups=tuple(map(_group, found.curves)),
        x_label="probability of the answer",
        y_label="share that is right",
        title=info_name(found.run),
        unit=True,
        diagonal=True,
    )


def _group(curve: Curve) -> Group:
    bins = curve.bins
    names = tuple(f"{count} rows" for count in bins.rows.tolist())
    return Group(curve.name, bins.confidence, bins.accuracy, names, bins.rows / bins.rows.sum())

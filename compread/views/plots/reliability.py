"""Reliability diagrams: the share that is right over the probability that was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compread.errors import UsageError, option
from compread.reweight.fit import Fit
from compread.reweight.reliability import Curve, Reliability, reliability
from compread.views.plots.charts import MOST_PANELS, info_name
from compread.views.plots.pictures import Group, Picture, Points

MOST_CURVES = 5
"""As many as have a colour each."""


def reliability_diagram(
    paths: Sequence[Path], split: str, pool: str, normalize: str, fits: Sequence[Fit]
) -> Picture:
    """A panel a store: its full model, and each of the fits (of so many rows) at its temperature.

    Raises:
        UsageError: there are more stores than fit a page, or more fits than colours.
        StoreError: as ``compread.reweight.reliability``.
    """
    if len(paths) > MOST_PANELS:
        raise UsageError(
            f"reliability draws a panel a store, {MOST_PANELS} at most; got {len(paths)}"
        )
    if len(fits) >= MOST_CURVES:
        raise UsageError(
            f"reliability draws {MOST_CURVES - 1} fits at most beside the full model, and the "
            f"weights have {len(fits)}; choose with {option('method')}, or save fewer"
        )
    return Picture([_panel(reliability(path, split, pool, normalize, fits)) for path in paths])


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

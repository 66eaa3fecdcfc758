"""The component weights of a weights file as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from compread.reweight.fit import Fit
from compread.reweight.select import mean_weights
from compread.views.plots.charts import weight_map
from compread.views.plots.pictures import Picture


def fitted_weights(fits: Sequence[Fit], method: str | None = None) -> Picture:
    """The weights that ``rank --weights`` shows, in a grid (``mean_weights``).

    Raises:
        UsageError: as ``mean_weights``.
    """
    found = mean_weights(fits, method=method)
    over = f"mean of {found.fits} fits" if found.fits > 1 else "one fit"
    title = f"Weights by {found.title}, {found.n_train} train rows, {over}"
    return weight_map(found.components, found.values, "weight", title)

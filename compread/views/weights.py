"""The component weights of a weights file as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compread.errors import UsageError
from compread.reweight.fit import Fit
from compread.views.charts import weight_map
from compread.views.pictures import Picture


def fitted_weights(fits: Sequence[Fit], method: str) -> Picture:
    """The weights of one method, averaged over its fits.

    Raises:
        UsageError: no fit of this method has a weight a component, or the fits' components differ.
    """
    weighted = [fit for fit in fits if fit.fitted.axes.get("weights") == "C"]
    chosen = [fit for fit in weighted if fit.method == method]
    if not chosen:
        there = ", ".join(sorted({fit.method for fit in weighted})) or "none"
        raise UsageError(f"no fit by {method} with component weights in the file; it has: {there}")
    components = chosen[0].components
    if any(fit.components != components for fit in chosen):
        raise UsageError("the fits are of different models; draw one model's weights at once")
    values = np.mean([fit.fitted.parameters()["weights"] for fit in chosen], axis=0)
    title = f"Weights by {method}, mean of {len(chosen)} fits"
    return weight_map(components, values, "weight", title)

"""Good, bad and label-biased components (paper section 3.1).

The paper calls a component good that does on par with or better than the full model, bad that is
far below chance, and label-biased that predicts one and the same label on every row. It gives no
thresholds for the first two; ours are statistical:

- **label-biased**: one label on every row, exactly. Comes first, whatever the accuracy.
- **good**: accuracy at least the full model's, and the 95 % interval's lower end above chance.
- **bad**: the interval's upper end below chance.
- **other**: the rest.

Chance is what a constant answer can reach: above it means above the share of the most common
right label, below it means below the share of the least common one. On rows balanced over K
labels both are 1/K.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from compread.analysis.components import ComponentStats

Category = Literal["good", "bad", "label-biased", "other"]


def categorize(stats: ComponentStats) -> tuple[Category, ...]:
    """The category of each component, length C."""
    parts = stats.parts
    full_accuracy = stats.full.accuracy[0] - 1e-12  # Equal means over stores may round apart.
    good = (parts.accuracy >= full_accuracy) & (parts.accuracy_low > stats.gold_share.max())
    bad = parts.accuracy_high < stats.gold_share.min()
    names = np.select([parts.label_biased, good, bad], ["label-biased", "good", "bad"], "other")
    return tuple(names.tolist())

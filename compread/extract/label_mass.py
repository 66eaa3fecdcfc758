"""How much of the model's probability the label words have: next to none is a badly cut prompt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from compread.errors import either
from compread.options import SPLITS
from compread.store import open_store

LOW_MASS = 0.01
"""Median probability on the label words below which a run is warned about."""


def mass_warning(masses: Mapping[str, float]) -> str:
    """What to say of runs whose label words have hardly any probability; empty where none has.

    Args:
        masses: the median probability of each run's label words together, by the store's name.
    """
    low = {name: mass for name, mass in masses.items() if mass < LOW_MASS}
    if not low:
        return ""
    worst = min(low, key=lambda name: low[name])
    what = f"{worst}: the label words have {low[worst]:.2%} of the probability in the median"
    if len(masses) > 1:
        what = (
            f"the label words have less than {LOW_MASS:.0%} of the probability in the median of "
            f"{len(low)} of {len(masses)} runs (worst {low[worst]:.2%}, {worst})"
        )
    how = either("with --show-prompts 1", "in run.info.sample_prompt and run.label_texts")
    return f"{what}; look at the prompt's end and the words' spaces {how}"


def median_mass(path: Path) -> float:
    """The median probability of the label words together over a store's rows; 1 without rows.

    Whole answers are many to choose from: that all of them are unlikely says nothing, so it is 1.
    """
    with open_store(path) as store:
        if store.axes.has_own_answers:
            return 1.0
        mass = np.concatenate([store.array(split, "label_mass") for split in SPLITS])
    return float(np.median(mass)) if len(mass) else 1.0

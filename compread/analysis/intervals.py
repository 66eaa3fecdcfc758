"""Intervals of accuracies."""

from __future__ import annotations

import numpy as np

from compread.array_types import Floats, Ints

Z95 = 1.959963984540054
"""The standard normal's 97.5 % quantile."""


def wilson_interval(right: Ints, n: int) -> tuple[Floats, Floats]:
    """Wilson's 95 % score interval for ``right`` successes in ``n`` trials.

    Unlike the textbook interval p ± z·sd it stays inside [0, 1] and has its nominal coverage for
    accuracies near 0 and 1 (Wilson 1927). ``wilson_interval(np.array([5]), 10)`` is
    ``([0.2366], [0.7634])``, rounded.
    """
    p = right / n
    z2 = Z95**2 / n
    centre = (p + z2 / 2) / (1 + z2)
    half = Z95 / (1 + z2) * np.sqrt((p * (1 - p) + z2 / 4) / n)
    # At 0 and n successes the ends are 0 and 1 exactly, but for rounding.
    low = np.where(right == 0, 0.0, centre - half)
    high = np.where(right == n, 1.0, centre + half)
    return low, high


def score_interval(share: Floats, n: Floats, df: Floats) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of a share of ``n`` rows with Student's t of ``df``, [C] each.

    Rows that are not independent count for fewer, so that ``n`` need not be whole.
    """
    from scipy.special import stdtrit

    t = np.where(np.isinf(df), Z95, stdtrit(np.where(np.isinf(df), 1, df), 0.975))
    t2 = t**2 / n
    centre = (share + t2 / 2) / (1 + t2)
    half = t / (1 + t2) * np.sqrt((share * (1 - share) + t2 / 4) / n)
    low = np.where(share <= 0, 0.0, np.maximum(0, centre - half))
    high = np.where(share >= 1, 1.0, np.minimum(1, centre + half))
    return low, high

"""Scores of a split that is in memory as a whole."""

from __future__ import annotations

from compread.analysis.components import ComponentStats, collect, stats_of
from compread.store import Split


def component_stats(split: Split) -> ComponentStats:
    """Every component and the full model, scored on the split's rows."""
    return stats_of(*collect([(slice(0, len(split)), split.parts)], split.full, split.gold))

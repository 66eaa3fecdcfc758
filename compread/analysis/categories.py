"""Good, bad and label-biased components (paper section 3.1).

The paper calls a component good that does on par with or better than the full model, bad that is
far below chance, and label-biased that predicts one and the same label on every row. It gives no
thresholds for the first two; ours are statistical, and each can be set:

- **label-biased**: one label on every row, or on ``bias_share`` of them. Comes first, whatever the
  accuracy.
- **good**: significantly above chance, and an accuracy of at least the full model's (or of
  ``good_accuracy``) and of at least what a constant answer can reach.
- **bad**: significantly below chance (and an accuracy of at most ``bad_accuracy``).
- **other**: the rest.

Significant is a permutation test's two-sided p-value that is at most ``alpha`` after Benjamini and
Hochberg's correction over the heads, MLPs and mixers; see ``compread.analysis.chance``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from compread.analysis.chance import false_discovery, two_sided
from compread.analysis.components import ComponentStats
from compread.array_types import Floats
from compread.components import KIND_WORDS, KINDS, Component, Kind
from compread.errors import UsageError, option
from compread.options import ALL, ALPHA, BIAS_SHARE
from compread.text import did_you_mean

Category = Literal["good", "bad", "label-biased", "other"]
CATEGORIES: tuple[Category, ...] = ("good", "bad", "label-biased", "other")
COUNTED_KINDS: tuple[Kind, ...] = ("head", "mixer", "mlp")
"""What results are about; ``embed`` and ``bias`` are stored so that the sum can be checked."""


def kinds_asked(words: Sequence[str]) -> Sequence[Kind]:
    """The kinds that some words ask for, such as ``heads,mlps``; of none the counted ones.

    Raises:
        UsageError: a word that is no kind, nor ``all``; the message has the nearest.
    """
    found: list[Kind] = []
    for word in (part.strip() for each in words for part in each.split(",")):
        kind = KIND_WORDS.get(word.lower())
        if kind is None and word.lower() != ALL:
            raise UsageError(
                f"{option('kind', repr(word))}: {did_you_mean(word, (*KIND_WORDS, ALL))}expected "
                f"{', '.join(KINDS)} or {ALL}"
            )
        found += KINDS if kind is None else (kind,)
    return tuple(dict.fromkeys(found)) or COUNTED_KINDS


@dataclass(frozen=True)
class Rules:
    """The thresholds between the categories."""

    alpha: float = ALPHA
    """Largest corrected p-value that is significant: the false discoveries that are accepted."""
    bias_share: float = BIAS_SHARE
    """Smallest share of rows with one and the same prediction that makes a component biased."""
    good_accuracy: float | None = None
    """Smallest accuracy of a good component; None: the full model's."""
    bad_accuracy: float | None = None
    """Largest accuracy of a bad component; None: any that is significantly below chance."""

    def __post_init__(self) -> None:
        for name in ("alpha", "bias_share", "good_accuracy", "bad_accuracy"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                said = option(name.replace("_", "-"), value)
                raise UsageError(f"{said}: expected a share above 0 and at most 1")


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What each component is, with the tests behind it."""

    category: tuple[Category, ...]
    """[C]"""
    p: Floats
    """[C] two-sided p-value against chance."""
    q: Floats
    """[C] the same corrected for the number of components; NaN for ``embed`` and ``bias``."""


DEFAULT_RULES = Rules()


def counted(components: Sequence[Component]) -> list[int]:
    """Positions on the component axis that results are about."""
    return [j for j, c in enumerate(components) if c.kind in COUNTED_KINDS]


def categorize(
    stats: ComponentStats, components: Sequence[Component], rules: Rules = DEFAULT_RULES
) -> Verdicts:
    """The category of each component of the axis, length C."""
    parts = stats.parts
    p = two_sided(parts.above, parts.below)
    is_counted = np.isin([c.kind for c in components], COUNTED_KINDS)
    q = false_discovery(np.where(is_counted, p, np.nan))
    # A component outside the tests goes by its own p-value.
    significant = np.where(is_counted, q, p) <= rules.alpha
    full = stats.full.accuracy[0] if rules.good_accuracy is None else rules.good_accuracy
    bar = max(full, stats.gold_share.max()) - 1e-12  # Equal means over stores may round apart.
    ceiling = 1.0 if rules.bad_accuracy is None else rules.bad_accuracy
    good = significant & (parts.above < parts.below) & (parts.accuracy >= bar)
    bad = significant & (parts.below < parts.above) & (parts.accuracy <= ceiling)
    biased = parts.top_share >= rules.bias_share
    names = np.select([biased, good, bad], ["label-biased", "good", "bad"], "other")
    return Verdicts(tuple(names.tolist()), p, q)

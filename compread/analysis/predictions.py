"""What the full model and single components say on each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from compread.analysis.runs import check_rows
from compread.array_types import Float32, Ints
from compread.components import KIND_PLURALS, KIND_WORDS, Component, named
from compread.errors import UsageError
from compread.store import Store
from compread.text import did_you_mean

FULL = "full"
"""What the model as a whole is called among the components."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What S scorers say on the N rows of one split."""

    scorers: tuple[str, ...]
    """[S] ``full`` and names of components, in the order asked for."""
    logits: Float32
    """[N, S, K], log p where labels are answers of several tokens; NaN where a row has none."""

    @property
    def choice(self) -> Ints:
        """[N, S] the label with the largest logit, the first among equals."""
        return largest(self.logits)

    @property
    def margin(self) -> Float32:
        """[N, S] how far the largest number is above the next."""
        largest = np.sort(np.where(np.isnan(self.logits), -np.inf, self.logits), axis=2)
        return np.asarray(largest[..., -1] - largest[..., -2])


def largest(logits: Float32) -> Ints:
    """[N, ..] the label with the largest logit [N, .., K], the first among equals."""
    return np.asarray(np.where(np.isnan(logits), -np.inf, logits).argmax(axis=-1))


def row_predictions(store: Store, split: str, wanted: Sequence[str]) -> Predictions:
    """Read what some scorers say on every row of a split; repeated rows too.

    Args:
        store: an open store.
        split: ``train`` or ``test``.
        wanted: ``full``, or what names components (``compread.components.named``).

    Raises:
        UsageError: the split has no rows, or nothing has such a name.
        StoreError: the numbers are damaged.
    """
    check_rows(store, split)
    names = scorers(wanted, store.components)
    place = {component.name: j for j, component in enumerate(store.components)}
    columns = [place[name] for name in names if name != FULL]
    logits = np.empty((store.rows(split), len(names), len(store.labels.word)), np.float32)
    own = [s for s, name in enumerate(names) if name != FULL]
    if own:
        for span, parts in store.iter_parts(split):
            logits[span, own] = parts[:, columns]
    if FULL in names:
        logits[:, names.index(FULL)] = store.array(split, "full")
    return Predictions(names, logits)


def scorers(wanted: Sequence[str], components: Sequence[Component]) -> tuple[str, ...]:
    """The names that some words mean, each once: in the order asked for, then that of the axis.

    ``scorers(["full", "L1H*"], axis)`` is ``("full", "L1H0", "L1H1", ...)``.

    Raises:
        UsageError: a word that names nothing, or none at all.
    """
    if not wanted:
        raise UsageError("no component is named: expected full, L14H2, or a pattern such as L3H*")
    found: dict[str, None] = {}
    for word in wanted:
        of = named(word, components)
        fitting = [FULL] if fnmatchcase(FULL, word.lower()) else []
        fitting += [c.name for c, it in zip(components, of, strict=True) if it]
        if not fitting:
            raise nothing_named(word, components, FULL)
        found |= dict.fromkeys(fitting)
    return tuple(found)


def nothing_named(word: str, components: Sequence[Component], *others: str) -> UsageError:
    """The error for a word that names no component, nor any of what else may be named."""
    names = [c.name for c in components]
    layers = [f"L{layer}" for layer in sorted({c.layer for c in components if c.layer >= 0})]
    there = {c.kind for c in components}
    kinds = [word for word, kind in KIND_PLURALS.items() if kind in there]
    hint = did_you_mean(word, [*others, *KIND_WORDS, *layers, *names])
    known = [*others, f"a component ({names[1]} to {names[-2]})", "a pattern such as L3H*"]
    known += [f"a layer (L0 to {layers[-1]})"] if layers else []
    *most, last = [*known, *kinds]
    return UsageError(f"there is no component {word!r}: {hint}expected {', '.join(most)} or {last}")

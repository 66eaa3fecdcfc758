"""What a component is, and the one order of the component axis.

Axis letters used everywhere in compread:

    N examples · B batch · T tokens · L layers · H query heads · D model width
    E head width · C components · K labels

The component axis is ``embed``, then for each layer its heads and its MLP, then ``bias``; for a
model with H heads in each of its L layers, C = 2 + L·(H + 1). A token mixer that cannot be split
by head stands as one component of kind ``mixer`` in the place of its layer's heads. Where answers
have several tokens, ``normalizer`` comes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

Kind = Literal["embed", "head", "mixer", "mlp", "bias", "normalizer"]
KINDS: tuple[Kind, ...] = ("embed", "head", "mixer", "mlp", "bias", "normalizer")
LAYERED: tuple[Kind, ...] = ("head", "mixer", "mlp")
"""The kinds that a layer has; the others stand once."""
KIND_PLURALS: dict[str, Kind] = {f"{kind}s": kind for kind in LAYERED}
KIND_WORDS: dict[str, Kind] = {**KIND_PLURALS, **{kind: kind for kind in KINDS}}
"""What kinds are called by those who ask for them: ``heads`` as well as ``head``."""


class Component(NamedTuple):
    """One part of the model whose contribution to the logits is stored.

    ``layer`` and ``head`` count from 0 and are -1 where they do not apply; ``head`` is the query
    head. ``Component("head", 3, 5).name`` is ``"L3H5"``.
    """

    kind: Kind
    layer: int = -1
    head: int = -1

    @property
    def name(self) -> str:
        """The name shown in tables: ``embed``, ``L3H5``, ``L3MIX``, ``L3MLP``, ``bias``..."""
        if self.kind == "head":
            return f"L{self.layer}H{self.head}"
        if self.kind == "mixer":
            return f"L{self.layer}MIX"
        if self.kind == "mlp":
            return f"L{self.layer}MLP"
        return self.kind

    def row_keys(self) -> dict[str, Any]:
        """What names it in a result's row; None where a layer or a head does not apply."""
        return {
            "component": self.name,
            "kind": self.kind,
            "layer": self.layer if self.layer >= 0 else None,
            "head": self.head if self.head >= 0 else None,
        }


FULL_KEYS = {"component": "full", "kind": "model", "layer": None, "head": None}
"""What names the full model in a result's row, beside the components' ``row_keys``."""


class LayerShape(NamedTuple):
    """What one layer puts on the axis: ``heads`` query heads, or a whole ``mixer``, and an MLP."""

    heads: int
    mixer: bool = False
    mlp: bool = True


def component_axis(layers: Sequence[LayerShape]) -> tuple[Component, ...]:
    """The components of a model in axis order.

    ``[c.name for c in component_axis([LayerShape(2)])]`` is
    ``["embed", "L0H0", "L0H1", "L0MLP", "bias"]``.
    """
    axis = [Component("embed")]
    for layer, shape in enumerate(layers):
        axis += [Component("head", layer, head) for head in range(shape.heads)]
        if shape.mixer:
            axis.append(Component("mixer", layer))
        if shape.mlp:
            axis.append(Component("mlp", layer))
    return (*axis, Component("bias"))


NORMALIZER = Component("normalizer")
"""What all components together say of every token alike: Σ (mean logit - log Z) of an answer.

It stands behind the axis of ``component_axis`` where answers are whole texts, and only there.
"""


def named(word: str, components: Sequence[Component]) -> list[bool]:
    """[C] which components a word names, whatever the case of its letters.

    The word is a kind (``heads``, ``mlp``), a layer (``L29``), a name (``L3H5``) or a pattern
    (``L3H*``).
    """
    low = word.lower()
    if low in KIND_WORDS:
        return [c.kind == KIND_WORDS[low] for c in components]
    if low[:1] == "l" and low[1:].isascii() and low[1:].isdigit():
        return [c.kind in LAYERED and c.layer == int(low[1:]) for c in components]
    return [fnmatchcase(c.name.lower(), low) for c in components]

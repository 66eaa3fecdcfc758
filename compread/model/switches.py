"""The prompt lengths at which a model begins to compute every position in another way.

A causal model's row does not see what stands beside it in a batch, but some settings are read off
the batch as a whole, pads included:

- LongRoPE (Phi-3-128k, Phi-3.5, Phi-4-mini) rotates all positions by its short factors until one
  of the batch lies beyond ``original_max_position_embeddings``, and then all by the long ones;
- dynamic NTK takes the base of its rotation from the batch's longest position beyond
  ``max_position_embeddings``, and goes on with the largest it has met;
- sparse attention (DeepSeek-V3.2, GLM-5) keeps the k best keys, and of keys that score alike, as
  all do whose scores a ReLU cuts to zero, those that a row of so many scores is sorted by.

Rows share a batch, or a prefix, only where the model computes all of them alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from compread.model import facts


@dataclass(frozen=True)
class Switches:
    """Where the lengths of prompts are cut into stretches that are computed alike."""

    at: tuple[int, ...] = ()
    """Lengths, in tokens, beyond which another stretch begins; ascending."""
    beyond: int | None = None
    """Length beyond which each is a stretch of its own."""

    @property
    def marks(self) -> tuple[int, ...]:
        """All lengths beyond which something changes, ascending."""
        return tuple(sorted({*self.at, *(() if self.beyond is None else (self.beyond,))}))

    def start(self, length: int) -> int:
        """The first length of the stretch that a length lies in."""
        if self.beyond is not None and length > self.beyond:
            return length
        return 1 + max((at for at in self.at if at < length), default=0)

    def stretches(self, lengths: Sequence[int]) -> list[list[int]]:
        """The numbers of the rows in each stretch, shorter stretches first."""
        found: dict[int, list[int]] = {}
        for row, length in enumerate(lengths):
            found.setdefault(self.start(length), []).append(row)
        return [found[start] for start in sorted(found)]


def find_switches(config: Any) -> Switches:
    """The switches that a config names."""
    text = config.get_text_config(decoder=True)
    values = text.to_dict()
    at: set[Any] = set()
    beyond: list[int] = []
    for rope in rope_settings(values):
        if rope_type(rope) in facts.LONG_ROPE:
            own = getattr(text, "max_position_embeddings", None)
            at |= {own if end is None else end for end in short_ends(rope, values)}
        elif facts.GROWING_ROPE in rope_type(rope):
            beyond.append(text.max_position_embeddings)
    rates = (getattr(text, facts.KEYS_IN_ONE, None) or {}).values()
    for name in facts.BEST_KEYS:
        if best := getattr(text, name, None):
            beyond.append(int(best) * min(rates, default=1))
    return Switches(tuple(sorted(at - {None})), min(beyond, default=None))


def short_ends(rope: dict[str, Any], values: dict[str, Any]) -> set[Any]:
    """Up to which lengths a LongRoPE may rotate by its short factors; None: the model's own.

    transformers 5 reads the rotation's entry; 4.57 the config's, or else the model's length, and
    the rotation's besides in one family.
    """
    own, of_rope = values.get(facts.LONG_FROM), rope.get(facts.LONG_FROM)
    if of_rope is None:
        return {own}
    alone = own is None and facts.ROPE in values
    return {of_rope} if alone else {own, of_rope}


def stretched(config: Any) -> float:
    """How many times a model's stated length dynamic NTK is meant to reach; 1 without it."""
    growing = [r for r in rope_settings(config.to_dict()) if facts.GROWING_ROPE in rope_type(r)]
    return max((float(rope.get("factor") or 1) for rope in growing), default=1.0)


def rope_settings(values: Any) -> Iterator[dict[str, Any]]:
    """Every dict of a config that sets a rotation, whichever layers it is for."""
    if isinstance(values, dict):
        if rope_type(values):
            yield values
        for value in values.values():
            yield from rope_settings(value)


def rope_type(rope: dict[str, Any]) -> str:
    """How a rotation is scaled, under the key that a config of its age has for it."""
    kind = rope.get("rope_type") or rope.get("type")
    return kind if isinstance(kind, str) else ""


class RotationTables:
    """A model's rotation tables that grow with the longest batch and stay as they have grown."""

    def __init__(self, model: nn.Module) -> None:
        """Find them; most models have none."""
        self._growing = [
            (module, name.removesuffix("original_inv_freq"))
            for module in model.modules()
            if facts.GROWING_ROPE in str(getattr(module, "rope_type", ""))
            for name in [*vars(module), *dict(module.named_buffers(recurse=False))]
            if name.endswith("original_inv_freq")
        ]

    def reset(self) -> None:
        """Make them what they were before the first batch."""
        for module, layers in self._growing:
            table = getattr(module, f"{layers}inv_freq")
            original = getattr(module, f"{layers}original_inv_freq").to(table.device)
            setattr(module, f"{layers}inv_freq", original)
            setattr(module, f"{layers}max_seq_len_cached", module.original_max_seq_len)

"""What a model's anatomy is: where a decoder writes to its residual stream, and how it reads it.

A layer is a chain of steps. Most only add to the residual stream (``Write``); in some families
the stream itself is normalised or scaled between two writes (``StreamTransform``), which is as
linear as the final norm once its scale is frozen; in others there are several streams, mixed
between the writes (``Mix``) and joined behind the last layer (``StreamJoin``; ``streams`` has their
algebra). ``find`` finds the anatomy on the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from compread.components import Kind, LayerShape
from compread.model.activations import Activations


@dataclass(frozen=True)
class Computed:
    """Numbers that the model computes for each token: [B, ...] of a activations."""

    modules: tuple[nn.Module, ...]
    """The modules whose outputs they are read off."""
    of: Callable[[Activations], Tensor]


@dataclass(frozen=True)
class Write:
    """One block's write to the residual stream: ``scale`` · ``norm``(output of ``module``)."""

    kind: Kind
    """``head`` (attention, split by head), ``mixer`` (a token mixer that is not) or ``mlp``."""
    module: nn.Module
    """The module whose output is written; for heads, the output projection."""
    norm: nn.Module | None
    scale: Tensor | float
    """A number or [D]."""
    heads: int = 0
    """H, where the kind is ``head``."""
    width: int = 0
    """H·E, what the output projection reads."""
    attention: nn.Module | None = None
    """The module in which the heads' attention is computed, where that was seen."""
    reader: nn.Module | None = None
    """The module that reads the heads, where that is not ``module``."""
    chain: nn.Module | None = None
    """All that is between the heads and the write, where that is more than ``module``."""
    into: Computed | None = None
    """With which weight each residual stream takes the write, where there are several."""

    @property
    def source(self) -> nn.Module:
        """The module whose output, up to the scale, is added to the residual stream."""
        return self.norm or self.module

    @property
    def reads(self) -> nn.Module:
        """The module whose input is the heads, side by side."""
        return self.reader or self.module

    @property
    def projection(self) -> nn.Module:
        """The affine map from the heads, side by side, to the write."""
        return self.chain or self.module


@dataclass(frozen=True)
class StreamTransform:
    """What happens to the whole residual stream between writes: x -> ``factor`` · x + ``shift``.

    Where there is a ``norm``, as in stacks that normalise the stream itself, it is x -> norm(x).
    """

    norm: nn.Module | None = None
    factor: Tensor | float = 1.0
    """A number or [D]."""
    shift: Tensor | None = None
    """[D]"""

    def apply(self, x: Tensor) -> Tensor:
        """Transform a stream [..., D] that meets no norm."""
        moved = self.scale_only(x)
        return moved if self.shift is None else moved + like(self.shift, x)

    def scale_only(self, x: Tensor) -> Tensor:
        """The factor without the shift; it is its own transpose."""
        return x * like(self.factor, x)


@dataclass(frozen=True)
class Mix:
    """A step of a layer that mixes the streams: X -> A X."""

    matrix: Computed
    """A [B, M, M]"""


Step: TypeAlias = Write | StreamTransform | Mix


@dataclass(frozen=True)
class Layer:
    """One layer: its block and what the block does to the residual stream, step by step.

    Writes that no transform divides stand in the order of the component axis.
    """

    block: nn.Module
    steps: tuple[Step, ...]

    @property
    def writes(self) -> tuple[Write, ...]:
        """What is added to the residual stream."""
        return tuple(step for step in self.steps if isinstance(step, Write))

    @property
    def transforms(self) -> tuple[StreamTransform, ...]:
        """What changes the residual stream as a whole."""
        return tuple(step for step in self.steps if isinstance(step, StreamTransform))

    @property
    def shape(self) -> LayerShape:
        """What this layer puts on the component axis."""
        kinds = [write.kind for write in self.writes]
        heads = sum(write.heads for write in self.writes)
        return LayerShape(heads, mixer="mixer" in kinds, mlp="mlp" in kinds)


@dataclass(frozen=True)
class StreamJoin:
    """How the streams behind the last layer become the one that the final norm reads."""

    weights: Computed
    """W [B, M, N]"""
    maps: tuple[nn.Module | None, ...]
    """P_n; None is the identity."""
    axis: int
    """Where a layer's [.., D] output has its M streams."""


@dataclass(frozen=True)
class Anatomy:
    """Everything that ``decompose`` knows about a model."""

    layers: tuple[Layer, ...]
    final_norm: nn.Module | None
    unembedding: nn.Module
    logit_scale: float
    soft_cap: float | None
    width: int
    """D, the width of the residual stream."""
    join: StreamJoin | None = None
    """How several residual streams are joined behind the last layer, where there are several."""

    def cap(self, logits: Tensor) -> Tensor:
        """The model's own last step: scaled logits -> returned logits."""
        if self.soft_cap is None:
            return logits
        return torch.tanh(logits / self.soft_cap) * self.soft_cap


def like(value: Tensor | float, x: Tensor) -> Tensor | float:
    """A number, or a vector in the type and on the device of ``x``."""
    return value.detach().to(x) if isinstance(value, Tensor) else value

"""Steps that change the residual stream, or several, around a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from compread.model.anatomy import Step, StreamTransform, Write
from compread.model.streams import (
    all_but_first,
    altup_correct,
    altup_predict,
    hyper_connection,
)

Changed = tuple[list[Step], dict[str, Any]]
"""Steps before a write, and fields of the writes behind them."""


def _norm(norm: Any) -> Changed:
    return ([] if norm is None else [StreamTransform(norm=norm)]), {}


def _times(factor: Any) -> Changed:
    return ([] if factor is None else [StreamTransform(factor=factor)]), {}


def _plus(shift: Any) -> Changed:
    return ([] if shift is None else [StreamTransform(shift=shift)]), {}


def _depth(n: int) -> Changed:
    """Beam: √(1 - 1/n) of the stream and √(1/n) of the n-th write."""
    return [StreamTransform(factor=((n - 1) / n) ** 0.5)], {"scale": n**-0.5}


def _affine(scaling: Any) -> Changed:
    """Zaya: (write + b) ∘ s + (stream + b') ∘ s'."""
    shift = scaling.hidden_states_bias * scaling.hidden_states_scale
    shift = shift + scaling.residual_bias * scaling.residual_scale
    transform = StreamTransform(factor=scaling.residual_scale, shift=shift.detach())
    return [transform], {"scale": scaling.hidden_states_scale.detach()}


def _hyper(connection: nn.Module) -> Changed:
    mix, into = hyper_connection(connection)
    return [mix], {"into": into}


def _altup(altup: nn.Module) -> Changed:
    return [altup_predict(altup)], {}


STREAM_VERBS: dict[str, Callable[[Any], Changed]] = {
    "norm": _norm,
    "times": _times,
    "plus": _plus,
    "depth": _depth,
    "affine": _affine,
    "hyper": _hyper,
    "altup": _altup,
}


def altup_steps(block: Any, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Gemma-3n's: predict, correct, attention and LAuReL at 1/√2, the MLP, the token's own."""
    half = 0.5**0.5
    predict, *writes = steps
    correct, early = altup_correct(block.altup, kept=half, share=half)
    _, late = altup_correct(block.altup, kept=half, share=1.0)
    intos = [early, early, late, all_but_first(block.altup)]
    found = [
        replace(write, into=into)
        for write, into in zip(writes, intos, strict=True)
        if isinstance(write, Write)
    ]
    return (predict, correct, *found)

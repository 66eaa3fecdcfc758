"""What changes the residual stream between the writes, and several streams that are mixed there.

``STREAM_VERBS`` are the steps of ``facts`` that change it around a write.

Hyper-connections and AltUp carry M copies of the residual stream. Each layer mixes them with a
matrix and adds each write to each stream with a weight of its own; matrix and weights are computed
from the streams. Frozen at the values they took, as the norms' scales are, all of it is linear:
with streams X [M, D],

    X -> A X            (``Mix``: A [M, M] of this token)
    X -> X + c wᵀ       (a write w [D] with weights c [M] of this token)
    x  = Σ_n W[m, n] P_n x_m                                     (``StreamJoin``)

so the logits read a write through N fixed maps P_n, each with a number of this token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from compread.model.activations import Activations
from compread.model.anatomy import (
    Anatomy,
    Computed,
    Layer,
    Mix,
    Step,
    StreamJoin,
    StreamTransform,
    Write,
)

_LEAST_SQUARE = 1e-5
"""What AltUp takes for the mean square of a stream with less."""


def hyper_connection(module: nn.Module) -> tuple[Mix, Computed]:
    """What a hyper-connection does around one write: the mix before it, and the write's weights.

    It returns the weights, in some families the matrix (read transposed), and the block's input.
    """
    into = Computed((module,), lambda activations: activations.values[module][0])

    def matrix(activations: Activations) -> Tensor:
        post, *rest = activations.values[module]
        if len(rest) < 2:
            one = torch.eye(post.shape[-1], dtype=post.dtype, device=post.device)
            return one.expand(len(post), -1, -1)
        return rest[0].transpose(1, 2)

    return Mix(Computed((module,), matrix)), into


def hyper_join(head: Any) -> StreamJoin:
    """The weighted sum of the streams behind the last layer, its weights from their whole norm."""

    @torch.no_grad()
    def weights(activations: Activations) -> Tensor:
        flat = activations.final_streams.flatten(1).float()
        mean = flat.square().mean(-1, keepdim=True)
        normed = flat * torch.rsqrt(mean + head.input_norm.eps)
        mixes = functional.linear(normed, head.hc_fn.to(normed))
        pre = torch.sigmoid(mixes * head.hc_scale.to(mixes) + head.hc_base.to(mixes)) + head.eps
        found: Tensor = pre[..., None].to(activations.dtype)
        return found

    return StreamJoin(Computed((), weights), (None,), axis=2)


def altup_predict(altup: Any) -> Mix:
    """Each stream is what it was and a mix of all."""
    coefficients = altup.prediction_coefs

    def matrix(activations: Activations) -> Tensor:
        (out,) = activations.values[coefficients]
        count = int(out.shape[-1] ** 0.5)
        return out.reshape(-1, count, count) + torch.eye(count, dtype=out.dtype, device=out.device)

    return Mix(Computed((coefficients,), matrix))


def altup_correct(altup: Any, kept: float, share: float) -> tuple[Mix, Computed]:
    """What the active stream's block changes in it, given to each stream with a weight of its own.

    Of the active stream the block keeps ``kept``; the write's weights are ``share`` of the
    coefficients.
    """
    coefficients, active = altup.correction_coefs, altup.config.altup_active_idx

    def given(activations: Activations) -> Tensor:
        (out,) = activations.values[coefficients]
        return out + 1

    def matrix(activations: Activations) -> Tensor:
        weights = given(activations)
        mixed = torch.zeros(*weights.shape, weights.shape[-1]).to(weights)
        mixed[:] = torch.eye(weights.shape[-1])
        mixed[:, :, active] += weights * (kept - 1)
        return mixed

    into = Computed((coefficients,), lambda activations: given(activations) * share)
    return Mix(Computed((coefficients,), matrix)), into


def all_but_first(altup: Any) -> Computed:
    """A write to every stream but the first."""
    count = altup.config.altup_num_inputs

    def weights(activations: Activations) -> Tensor:
        one = torch.ones(len(activations.answer), count).to(activations.final_streams)
        one[:, 0] = 0
        return one

    return Computed((), weights)


def altup_join(model: Any) -> StreamJoin:
    """The mean of the streams, all but the first projected and brought to its length."""
    projections = tuple(model.altup_unembed_projections)

    def weights(activations: Activations) -> Tensor:
        outs = [activations.values[projection][0] for projection in projections]
        length = activations.final_streams[:, 0].square().mean(-1).sqrt()
        ratios = [length / out.square().mean(-1).clamp(min=_LEAST_SQUARE).sqrt() for out in outs]
        shares = torch.stack([torch.ones_like(length), *ratios], -1) / (1 + len(outs))
        return torch.diag_embed(shares)

    return StreamJoin(Computed(projections, weights), (None, *projections), axis=0)


def modules_to_hook(anatomy: Anatomy) -> list[nn.Module]:
    """The modules whose outputs the mixing is read off."""
    found: list[nn.Module] = []
    for layer in anatomy.layers:
        for step in layer.steps:
            if isinstance(step, Mix):
                found += step.matrix.modules
            elif isinstance(step, Write) and step.into is not None:
                found += step.into.modules
    return [*found, *(anatomy.join.weights.modules if anatomy.join else ())]


def coefficients_of_writes(
    anatomy: Anatomy, activations: Activations
) -> tuple[list[list[Tensor]], Tensor]:
    """With which numbers the N maps read each write, [B, N], and each first stream, [B, M, N].

    Writes stand by layer, as in the anatomy.
    """
    assert anatomy.join is not None
    reading = anatomy.join.weights.of(activations)
    found: list[list[Tensor]] = []
    for layer in reversed(anatomy.layers):
        own = []
        for step in reversed(layer.steps):
            if isinstance(step, Mix):
                reading = torch.einsum("bij,bin->bjn", step.matrix.of(activations), reading)
            elif isinstance(step, Write):
                own.append(torch.einsum("bm,bmn->bn", _into(step, activations), reading))
        found.append(own[::-1])
    return found[::-1], reading


def after_layer(layer: Layer, streams: Tensor, activations: Activations) -> Tensor:
    """The streams [B, M, D] that a layer makes of those it reads."""
    for step in layer.steps:
        if isinstance(step, Mix):
            streams = step.matrix.of(activations) @ streams
        elif isinstance(step, Write):
            wrote = activations.output_of(step.source) * step.scale
            streams = streams + _into(step, activations)[..., None] * wrote[:, None]
    return streams


@torch.no_grad()
def joined(join: StreamJoin, streams: Tensor, activations: Activations) -> Tensor:
    """What the final norm reads, [B, D]."""
    weights = join.weights.of(activations)
    out = torch.zeros_like(streams[:, 0])
    for n, module in enumerate(join.maps):
        mapped = streams if module is None else module(streams)
        out = out + torch.einsum("bm,bmd->bd", weights[..., n], mapped)
    return out


def _into(write: Write, activations: Activations) -> Tensor:
    assert write.into is not None  # ``find`` refuses the others
    return write.into.of(activations)


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

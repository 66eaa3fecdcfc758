"""Several residual streams that are mixed between the writes, and joined behind the last layer.

Hyper-connections and AltUp carry M copies of the residual stream. Each layer mixes them with a
matrix and adds each write to each stream with a weight of its own; matrix and weights are computed
from the streams. Frozen at the values they took, as the norms' scales are, all of it is linear:
with streams X [M, D],

    X -> A X            (``Mix``: A [M, M] of this token)
    X -> X + c wᵀ       (a write w [D] with weights c [M] of this token)
    x  = Σ_n W[m, n] P_n x_m                                     (``Exit``)

so the logits read a write through N fixed maps P_n, each with a number of this token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from compread.model.activations import Sighting
from compread.model.anatomy import Anatomy, Computed, Exit, Layer, Mix, Write

_LEAST_SQUARE = 1e-5
"""What AltUp takes for the mean square of a stream with less."""


def hyper_connection(module: nn.Module) -> tuple[Mix, Computed]:
    """What a hyper-connection does around one write: the mix before it, and the write's weights.

    It returns the weights, in some families the matrix (read transposed), and the block's input.
    """
    into = Computed((module,), lambda sighting: sighting.values[module][0])

    def matrix(sighting: Sighting) -> Tensor:
        post, *rest = sighting.values[module]
        if len(rest) < 2:
            one = torch.eye(post.shape[-1], dtype=post.dtype, device=post.device)
            return one.expand(len(post), -1, -1)
        return rest[0].transpose(1, 2)

    return Mix(Computed((module,), matrix)), into


def hyper_exit(head: Any) -> Exit:
    """The weighted sum of the streams behind the last layer, its weights from their whole norm."""

    @torch.no_grad()
    def weights(sighting: Sighting) -> Tensor:
        flat = sighting.final_streams.flatten(1).float()
        mean = flat.square().mean(-1, keepdim=True)
        normed = flat * torch.rsqrt(mean + head.input_norm.eps)
        mixes = functional.linear(normed, head.hc_fn.to(normed))
        pre = torch.sigmoid(mixes * head.hc_scale.to(mixes) + head.hc_base.to(mixes)) + head.eps
        found: Tensor = pre[..., None].to(sighting.dtype)
        return found

    return Exit(Computed((), weights), (None,), axis=2)


def altup_predict(altup: Any) -> Mix:
    """Each stream is what it was and a mix of all."""
    coefficients = altup.prediction_coefs

    def matrix(sighting: Sighting) -> Tensor:
        (out,) = sighting.values[coefficients]
        count = int(out.shape[-1] ** 0.5)
        return out.reshape(-1, count, count) + torch.eye(count, dtype=out.dtype, device=out.device)

    return Mix(Computed((coefficients,), matrix))


def altup_correct(altup: Any, kept: float, share: float) -> tuple[Mix, Computed]:
    """What the active stream's block changes in it, given to each stream with a weight of its own.

    Of the active stream the block keeps ``kept``; the write's weights are ``share`` of the
    coefficients.
    """
    coefficients, active = altup.correction_coefs, altup.config.altup_active_idx

    def given(sighting: Sighting) -> Tensor:
        (out,) = sighting.values[coefficients]
        return out + 1

    def matrix(sighting: Sighting) -> Tensor:
        weights = given(sighting)
        mixed = torch.zeros(*weights.shape, weights.shape[-1]).to(weights)
        mixed[:] = torch.eye(weights.shape[-1])
        mixed[:, :, active] += weights * (kept - 1)
        return mixed

    into = Computed((coefficients,), lambda sighting: given(sighting) * share)
    return Mix(Computed((coefficients,), matrix)), into


def all_but_first(altup: Any) -> Computed:
    """A write to every stream but the first."""
    count = altup.config.altup_num_inputs

    def weights(sighting: Sighting) -> Tensor:
        one = torch.ones(len(sighting.answer), count).to(sighting.final_streams)
        one[:, 0] = 0
        return one

    return Computed((), weights)


def altup_exit(model: Any) -> Exit:
    """The mean of the streams, all but the first projected and brought to its length."""
    projections = tuple(model.altup_unembed_projections)

    def weights(sighting: Sighting) -> Tensor:
        outs = [sighting.values[projection][0] for projection in projections]
        length = sighting.final_streams[:, 0].square().mean(-1).sqrt()
        ratios = [length / out.square().mean(-1).clamp(min=_LEAST_SQUARE).sqrt() for out in outs]
        shares = torch.stack([torch.ones_like(length), *ratios], -1) / (1 + len(outs))
        return torch.diag_embed(shares)

    return Exit(Computed(projections, weights), (None, *projections), axis=0)


def listened(anatomy: Anatomy) -> list[nn.Module]:
    """The modules whose outputs the mixing is read off."""
    found: list[nn.Module] = []
    for layer in anatomy.layers:
        for step in layer.steps:
            if isinstance(step, Mix):
                found += step.matrix.modules
            elif isinstance(step, Write) and step.into is not None:
                found += step.into.modules
    return [*found, *(anatomy.exit.weights.modules if anatomy.exit else ())]


def weights_of_writes(anatomy: Anatomy, sighting: Sighting) -> tuple[list[list[Tensor]], Tensor]:
    """With which numbers the N maps read each write, [B, N], and each first stream, [B, M, N].

    Writes stand by layer, as in the anatomy.
    """
    assert anatomy.exit is not None
    reading = anatomy.exit.weights.of(sighting)
    found: list[list[Tensor]] = []
    for layer in reversed(anatomy.layers):
        own = []
        for step in reversed(layer.steps):
            if isinstance(step, Mix):
                reading = torch.einsum("bij,bin->bjn", step.matrix.of(sighting), reading)
            elif isinstance(step, Write):
                own.append(torch.einsum("bm,bmn->bn", _into(step, sighting), reading))
        found.append(own[::-1])
    return found[::-1], reading


def after_layer(layer: Layer, streams: Tensor, sighting: Sighting) -> Tensor:
    """The streams [B, M, D] that a layer makes of those it reads."""
    for step in layer.steps:
        if isinstance(step, Mix):
            streams = step.matrix.of(sighting) @ streams
        elif isinstance(step, Write):
            wrote = sighting.wrote(step.source) * step.scale
            streams = streams + _into(step, sighting)[..., None] * wrote[:, None]
    return streams


@torch.no_grad()
def joined(exit: Exit, streams: Tensor, sighting: Sighting) -> Tensor:
    """What the final norm reads, [B, D]."""
    weights = exit.weights.of(sighting)
    out = torch.zeros_like(streams[:, 0])
    for n, module in enumerate(exit.maps):
        mapped = streams if module is None else module(streams)
        out = out + torch.einsum("bm,bmd->bd", weights[..., n], mapped)
    return out


def _into(write: Write, sighting: Sighting) -> Tensor:
    assert write.into is not None  # ``find`` refuses the others
    return write.into.of(sighting)

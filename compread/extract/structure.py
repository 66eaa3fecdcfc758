"""The identities that show on a model's own weights that each block and head is read rightly.

A row's parts add up to its logits also where two heads are mixed up, so three more things are
compared with what the model writes:

1. heads = block: the heads of a layer, each pushed alone through the output projection and the
   frozen post-norm, add up to what the block writes to the residual stream;
2. writes = residual: the embedding and all writes add up to the final residual;
3. each head = its write: a head's contribution is that of its own write in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from compread.extract.engine import Engine
from compread.model.activations import Activations
from compread.model.anatomy import StreamTransform, Write
from compread.model.decompose import BatchParts, Fold
from compread.model.linear import bias_of, run_precisely
from compread.model.streams import after_layer, joined


@dataclass(frozen=True)
class Proof:
    """One identity: its worst relative error, where that was, and what is allowed."""

    name: str
    error: float | None
    """None where the proof could not be made."""
    bound: float
    where: str = ""
    needed: bool = True
    """Whether the family is read wrongly where this fails; if not, extract does without."""

    @property
    def holds(self) -> bool:
        """Whether the error is within the bound; a NaN is not."""
        return self.error is not None and self.error <= self.bound

    @property
    def state(self) -> str:
        """``holds``, ``fails``, or ``not shared`` where extract runs whole prompts instead."""
        return "holds" if self.holds else "fails" if self.needed else "not shared"


def prove_structure(
    engine: Engine, activations: Activations, whole: BatchParts, bound: float
) -> tuple[Proof, Proof, Proof]:
    """Prove what the rows' own sums do not show: that each block is read rightly.

    Heads = block, writes = residual and each head = its write, with the weights as they are.

    Args:
        engine: the model.
        activations: whole prompts, seen with every block's write.
        whole: their contributions.
        bound: the largest relative error allowed.
    """
    folds = _folds_error(engine, activations, whole.parts)
    return (
        _heads_proof(engine, activations, bound),
        _writes_proof(engine, activations, bound),
        Proof("each head = its write", folds, bound),
    )


def _heads_proof(engine: Engine, activations: Activations, bound: float) -> Proof:
    errors = {"": 0.0}
    for index, _, first, fold in _split_folds(engine):
        heads, bias = _frozen_heads(fold, activations)
        written = activations.output_of(fold.write.source) * fold.write.scale
        misfit = (heads.sum(1) + bias - written).abs().max() / written.abs().max()
        errors[f"layer {index}, head {first} on"] = float(misfit)
    worst = max(errors, key=errors.__getitem__)
    return Proof("heads = block's write", errors[worst], bound, worst)


def _writes_proof(engine: Engine, activations: Activations, bound: float) -> Proof:
    anatomy = engine.decomposer.anatomy
    if anatomy.join is not None:
        streams = activations.embedding
        for layer in anatomy.layers:
            streams = after_layer(layer, streams, activations)
        total = joined(anatomy.join, streams, activations)
    else:
        total = _written_in_all(engine, activations)
    residual = activations.norm_input.to(total.device)
    misfit = (total - residual).abs().max() / residual.abs().max()
    return Proof("writes = residual", float(misfit), bound)


def _folds_error(engine: Engine, activations: Activations, parts: Tensor) -> float:
    """Worst difference between a head's folded contribution and that of its write in full."""
    decomposer = engine.decomposer
    weights, _ = decomposer.write_coefficients(activations)
    worst = 0.0
    for index, place, first, fold in _split_folds(engine):
        heads, _ = _frozen_heads(fold, activations)
        stream = fold.directions / fold.write.scale
        expected = decomposer.apply_coefficients(heads @ stream.T, weights[index][place])
        wanted = range(first, first + fold.write.heads)
        rows = [
            i
            for i, component in enumerate(decomposer.components)
            if component.layer == index and component.kind == "head" and component.head in wanted
        ]
        worst = max(worst, float((parts[:, rows] - expected).abs().max()))
    return worst / float(parts.abs().max())


def _written_in_all(engine: Engine, activations: Activations) -> Tensor:
    """The embedding and all writes, brought to the final norm."""
    norms = dict(engine.decomposer.stream_norms)
    total = activations.embedding.clone()
    for step in (s for layer in engine.decomposer.anatomy.layers for s in layer.steps):
        if isinstance(step, Write):
            total = total + (activations.output_of(step.source) * step.scale).to(total.device)
        elif isinstance(step, StreamTransform) and step.norm is None:
            total = step.apply(total)
        elif isinstance(step, StreamTransform) and step.norm is not None:
            norm = norms[step.norm]
            scale = norm.scale(activations.input_of(step.norm), activations.output_of(step.norm))
            total = norm.linear(total, scale) + norm.shift
    return total


def _frozen_heads(fold: Fold, activations: Activations) -> tuple[Tensor, Tensor]:
    """Each head's write to the residual stream [B, H, D] and the constant beside them [B, D]."""
    write, norm = fold.write, fold.norm
    heads, bias = _heads_alone(write, activations.input_of(write.reads))
    bias = bias.expand(len(heads), -1)
    if norm is not None and write.norm is not None:
        scale = norm.scale(activations.input_of(write.norm), activations.output_of(write.norm))
        heads = norm.linear(heads, scale[:, None])
        bias = norm.linear(bias, scale) + norm.shift
    return heads * write.scale, bias * write.scale


def _heads_alone(write: Write, z: Tensor) -> tuple[Tensor, Tensor]:
    """Each head alone through the output projection, [B, H, D], and the projection's bias [D]."""
    bias = bias_of(write.projection, write.width, z)
    each = write.width // write.heads
    alone = z.new_zeros(len(z), write.heads, write.width)
    for head in range(write.heads):
        own = slice(head * each, (head + 1) * each)
        alone[:, head, own] = z[:, own]
    with torch.no_grad():
        out = run_precisely(write.projection, alone.reshape(-1, write.width))
    return out.reshape(len(z), write.heads, -1) - bias, bias


def _split_folds(engine: Engine) -> Iterator[tuple[int, int, int, Fold]]:
    """The folds split by head: their layer, place in it, and number of their first head there."""
    for layer, folds in enumerate(engine.decomposer.folds):
        first = 0
        for place, fold in enumerate(folds):
            if fold.heads is not None:
                yield layer, place, first, fold
                first += fold.write.heads

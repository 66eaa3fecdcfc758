"""The identities that show that a model is read rightly, each with its worst error.

1. heads = block: the heads of a layer, each pushed alone through the output projection and the
   frozen post-norm, add up to what the block writes to the residual stream;
2. writes = residual: the embedding and all writes add up to the final residual;
3. parts = logits: the contributions add up to the model's own label logits (and the final
   soft-cap of that sum is what the model returned), and each head's contribution is that of its
   own write;
4. head = attention's: what the anatomy calls a head is what one head of the attention fills;
5. shared = whole: running the shared prefix once changes no contribution. Where it does, or where
   a family's cache cannot be handed on, extract runs whole prompts, so this may be ``not shared``;
6. alone = in a batch: a row's contributions are the same alone, beside other rows and after them,
   with rows on both sides of every length at which the model begins to compute otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from compread.extract.alone import Company, company_of
from compread.extract.engine import Engine
from compread.extract.prefix import CannotShareError
from compread.extract.splits import split_misfit
from compread.model.anatomy import Carry, Write
from compread.model.decompose import BatchParts, Fold
from compread.model.linear import bias_of, run_precisely
from compread.model.streams import after_layer, joined
from compread.model.taps import Sighting

EXACT = 1e-9
"""Bound, relative, where the family's norms compute in float64 when asked to."""
ROUNDED = 1e-6
"""Bound where transformers computes the norms in float32 whatever the model's type."""

_PREFIX = 10
_OWN = (1, 4, 7, 12)


@dataclass(frozen=True)
class _Prompt:
    tokens: list[int]
    shared: int
    """How many of them begin the longer prompts too."""


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


def prove(engine: Engine) -> tuple[Proof, ...]:
    """Prove the six identities on a model.

    Raises:
        ModelError: the model's anatomy is not found, or its forward takes another way.
    """
    prompts = _prompts(engine)
    rows = [prompt.tokens for prompt in prompts]
    company = company_of(engine, rows)
    bound = EXACT if _norms_are_exact(engine, rows) else ROUNDED
    sighting = engine.watch(rows, all_writes=True)
    whole = engine.decomposer.decompose(sighting)
    scale = whole.scale[:, None]
    returned = engine.decomposer.anatomy.cap(whole.parts.sum(1))
    heads, writes, folds = prove_structure(engine, sighting, whole, bound)
    return (
        heads,
        _splits_proof(engine),
        writes,
        folds,
        Proof("parts = logits", float((whole.sum_error / whole.scale).max()), bound),
        Proof("capped sum = output", float(((returned - whole.full).abs() / scale).max()), bound),
        _alone_proof(company),
        _shared_proof(engine, prompts),
    )


def prove_structure(
    engine: Engine, sighting: Sighting, whole: BatchParts, bound: float
) -> tuple[Proof, Proof, Proof]:
    """Prove what the rows' own sums do not show: that each block is read rightly.

    Heads = block, writes = residual and each head = its write, with the weights as they are.

    Args:
        engine: the model.
        sighting: whole prompts, seen with every block's write.
        whole: their contributions.
        bound: the largest relative error allowed.
    """
    folds = _folds_error(engine, sighting, whole.parts)
    return (
        _heads_proof(engine, sighting, bound),
        _writes_proof(engine, sighting, bound),
        Proof("each head = its write", folds, bound),
    )


def _splits_proof(engine: Engine) -> Proof:
    misfits = {"": 0.0, **split_misfit(engine)}
    worst = max(misfits, key=misfits.__getitem__)
    # A column is with its head or is not, so none may be elsewhere.
    return Proof("heads = attention's", misfits[worst], 0.0, worst)


def _alone_proof(company: Company) -> Proof:
    # Attention's softmax is float32 in many families whatever the model's type.
    worst = max(company.beside, company.after)
    return Proof("row alone = in a batch", worst, ROUNDED, company.where)


def _shared_proof(engine: Engine, prompts: list[_Prompt]) -> Proof:
    """Each stretch's rows behind a prefix that lies in it too, against the rows alone.

    Where sharing changes the numbers, extract finds that out too and runs whole prompts.
    """
    name, start = "shared prefix = whole", engine.switches.start
    worst = 0.0
    try:
        for shared in sorted({prompt.shared for prompt in prompts}):
            alike = [p.tokens for p in prompts if p.shared == shared]
            rows = [row for row in alike if start(len(row)) == start(shared)]
            if not rows:
                continue
            prefix = engine.share(rows[0][:shared])
            behind = engine.run([row[shared:] for row in rows], prefix)
            for i, row in enumerate(rows):
                alone = engine.run([row])
                misfit = (behind.parts[i] - alone.parts[0]).abs().max() / alone.scale[0]
                worst = float(torch.maximum(misfit, misfit.new_tensor(worst)))
    except CannotShareError as error:
        return Proof(name, None, ROUNDED, str(error), needed=False)
    return Proof(name, worst, ROUNDED, needed=False)


def _prompts(engine: Engine) -> list[_Prompt]:
    """Prompts of different lengths, some on each side of the model's switches."""
    marks = engine.switches.marks
    first = max(1, min([_PREFIX, *(mark - 3 for mark in marks)]))
    cuts = [(first, first + own) for own in _OWN]
    for mark in marks:
        cuts += [(first, mark), (first, mark + 1), (first, mark + 4)]
        cuts += [(mark + 1, mark + 2), (mark + 1, mark + 4)]
    vocabulary = engine.model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    longest = max(length for _, length in cuts)
    tokens = torch.randint(1, vocabulary, (len(cuts), longest), generator=draw)
    for row, (shared, _) in zip(tokens, cuts, strict=True):
        row[:shared] = tokens[0, :shared]
    return [_Prompt(row[:n].tolist(), at) for row, (at, n) in zip(tokens, cuts, strict=True)]


def _norms_are_exact(engine: Engine, rows: list[list[int]]) -> bool:
    """Whether the final norm computes in the model's own float64."""
    norm = engine.decomposer.anatomy.final_norm
    if norm is None:
        return True
    sighting = engine.watch(rows)
    x, y, frozen = sighting.norm_input, sighting.norm_output, engine.decomposer.final_norm
    seen = frozen.linear(x, frozen.scale(x, y)) + frozen.shift
    return float((seen - y).abs().max() / y.abs().max()) < EXACT / 100


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


def _frozen_heads(fold: Fold, sighting: Sighting) -> tuple[Tensor, Tensor]:
    """Each head's write to the residual stream [B, H, D] and the constant beside them [B, D]."""
    write, norm = fold.write, fold.norm
    heads, bias = _heads_alone(write, sighting.read(write.reads))
    bias = bias.expand(len(heads), -1)
    if norm is not None and write.norm is not None:
        scale = norm.scale(sighting.read(write.norm), sighting.wrote(write.norm))
        heads = norm.linear(heads, scale[:, None])
        bias = norm.linear(bias, scale) + norm.shift
    return heads * write.scale, bias * write.scale


def _split_folds(engine: Engine) -> Iterator[tuple[int, int, int, Fold]]:
    """The folds split by head: their layer, place in it, and number of their first head there."""
    for layer, folds in enumerate(engine.decomposer.folds):
        first = 0
        for place, fold in enumerate(folds):
            if fold.heads is not None:
                yield layer, place, first, fold
                first += fold.write.heads


def _heads_proof(engine: Engine, sighting: Sighting, bound: float) -> Proof:
    errors = {"": 0.0}
    for index, _, first, fold in _split_folds(engine):
        heads, bias = _frozen_heads(fold, sighting)
        written = sighting.wrote(fold.write.source) * fold.write.scale
        misfit = (heads.sum(1) + bias - written).abs().max() / written.abs().max()
        errors[f"layer {index}, head {first} on"] = float(misfit)
    worst = max(errors, key=errors.__getitem__)
    return Proof("heads = block's write", errors[worst], bound, worst)


def _writes_proof(engine: Engine, sighting: Sighting, bound: float) -> Proof:
    anatomy = engine.decomposer.anatomy
    if anatomy.exit is not None:
        streams = sighting.embedding
        for layer in anatomy.layers:
            streams = after_layer(layer, streams, sighting)
        total = joined(anatomy.exit, streams, sighting)
    else:
        total = _carried(engine, sighting)
    residual = sighting.norm_input.to(total.device)
    misfit = (total - residual).abs().max() / residual.abs().max()
    return Proof("writes = residual", float(misfit), bound)


def _carried(engine: Engine, sighting: Sighting) -> Tensor:
    """The embedding and all writes, brought to the final norm."""
    norms = dict(engine.decomposer.carried)
    total = sighting.embedding.clone()
    for step in (s for layer in engine.decomposer.anatomy.layers for s in layer.steps):
        if isinstance(step, Write):
            total = total + (sighting.wrote(step.source) * step.scale).to(total.device)
        elif isinstance(step, Carry) and step.norm is None:
            total = step.apply(total)
        elif isinstance(step, Carry) and step.norm is not None:
            norm = norms[step.norm]
            scale = norm.scale(sighting.read(step.norm), sighting.wrote(step.norm))
            total = norm.linear(total, scale) + norm.shift
    return total


def _folds_error(engine: Engine, sighting: Sighting, parts: Tensor) -> float:
    """Worst difference between a head's folded contribution and that of its write in full."""
    decomposer = engine.decomposer
    weights, _ = decomposer.weights(sighting)
    worst = 0.0
    for index, place, first, fold in _split_folds(engine):
        heads, _ = _frozen_heads(fold, sighting)
        stream = fold.directions / fold.write.scale
        expected = decomposer.weigh(heads @ stream.T, weights[index][place])
        wanted = range(first, first + fold.write.heads)
        rows = [
            i
            for i, component in enumerate(decomposer.components)
            if component.layer == index and component.kind == "head" and component.head in wanted
        ]
        worst = max(worst, float((parts[:, rows] - expected).abs().max()))
    return worst / float(parts.abs().max())

"""The identities that show that a model is read rightly, each with its worst error.

1. heads = block: the heads of a layer, each pushed alone through the output projection and the
   frozen post-norm, add up to what the block writes to the residual stream;
2. writes = residual: the embedding and all writes add up to the final residual;
3. parts = logits: the contributions add up to the model's own label logits (and the final
   soft-cap of that sum is what the model returned), and each head's contribution is that of its
   own write;
4. head = attention's: what the anatomy calls a head is what one head of the attention fills;
5. shared = whole: running the shared prefix once changes no contribution. Where it does, or where
   a family's cache cannot be reused, extract runs whole prompts, so this may be ``not shared``;
6. alone = in a batch: a row's contributions are the same alone, beside other rows and after them,
   with rows on both sides of every length at which the model begins to compute otherwise;
7. the same of answers of several tokens, see ``answer_proofs``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compread.check.answer_proofs import prove_answers
from compread.check.splits import split_misfit
from compread.extract.engine import Engine
from compread.extract.prefix import CannotShareError
from compread.extract.row_wise import RowDependence, row_dependence
from compread.extract.structure import Proof, prove_structure

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


def prove(engine: Engine) -> tuple[Proof, ...]:
    """Prove the identities on a model.

    Raises:
        ModelError: the model's anatomy is not found, or its forward takes another way.
    """
    prompts = _prompts(engine)
    rows = [prompt.tokens for prompt in prompts]
    dependence = row_dependence(engine, rows)
    bound = EXACT if _norms_are_exact(engine, rows) else ROUNDED
    activations = engine.record(rows, all_writes=True)
    whole = engine.decomposer.decompose(activations)
    scale = whole.scale[:, None]
    returned = engine.decomposer.anatomy.cap(whole.parts.sum(1))
    heads, writes, folds = prove_structure(engine, activations, whole, bound)
    return (
        heads,
        _splits_proof(engine),
        writes,
        folds,
        Proof("parts = logits", float((whole.sum_error / whole.scale).max()), bound),
        Proof("capped sum = output", float(((returned - whole.full).abs() / scale).max()), bound),
        _row_wise_proof(dependence),
        _shared_proof(engine, prompts),
        *prove_answers(engine, [(p.tokens, p.shared) for p in prompts], bound, ROUNDED),
    )


def _splits_proof(engine: Engine) -> Proof:
    misfits = {"": 0.0, **split_misfit(engine)}
    worst = max(misfits, key=misfits.__getitem__)
    # A column is with its head or is not, so none may be elsewhere.
    return Proof("heads = attention's", misfits[worst], 0.0, worst)


def _row_wise_proof(dependence: RowDependence) -> Proof:
    # Attention's softmax is float32 in many families whatever the model's type.
    worst = max(dependence.in_batch, dependence.after_others)
    return Proof("row alone = in a batch", worst, ROUNDED, dependence.where)


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
    activations = engine.record(rows)
    x, y, frozen = activations.norm_input, activations.norm_output, engine.decomposer.final_norm
    seen = frozen.linear(x, frozen.scale(x, y)) + frozen.shift
    return float((seen - y).abs().max() / y.abs().max()) < EXACT / 100

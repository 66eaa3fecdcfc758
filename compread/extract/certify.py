"""Proof that a model family is read rightly, on a tiny loud twin in float64 (``compread check``).

Four identities, each with its worst error over layers, rows and labels:

1. heads = block: the heads of a layer, each pushed alone through the output projection and the
   frozen post-norm, add up to what the block writes to the residual stream;
2. writes = residual: the embedding and all writes add up to the final residual;
3. parts = logits: the contributions add up to the model's own label logits (and the final
   soft-cap of that sum is what the model returned), and each head's contribution is that of its
   own write;
4. shared = whole: running the shared prefix once changes no contribution. Where it does, or where
   a family's cache cannot be handed on, extract runs whole prompts, so this may be ``not shared``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compread.errors import ModelError
from compread.extract.engine import Engine
from compread.extract.prefix import CannotShareError
from compread.model import facts
from compread.model.anatomy import Write
from compread.model.decompose import BatchParts, Fold
from compread.model.find import find_anatomy
from compread.model.linear import bias_of, run_precisely
from compread.model.taps import Sighting
from compread.model.trace import CausalLM
from compread.model.twin import build_twin

EXACT = 1e-9
"""Bound, relative, where the family's norms compute in float64 when asked to."""
ROUNDED = 1e-6
"""Bound where transformers computes the norms in float32 whatever the model's type."""

_LABELS = (3, 9, 17)
_PREFIX = 10
_OWN = (1, 4, 7, 12)


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


@dataclass(frozen=True)
class Certificate:
    """The verdict on one family: ``certified``, ``refused`` or ``not applicable``."""

    model_type: str
    verdict: str
    reason: str = ""
    proofs: tuple[Proof, ...] = ()
    layers: int | None = None
    """Layers of the twin."""
    components: int | None = None
    """C of the twin."""
    died: bool = False
    """Whether the check itself crashed or had to be ended."""

    @property
    def worst_error(self) -> float | None:
        """The largest error of the proofs that are needed; None where none was made."""
        errors = (proof.error for proof in self.proofs if proof.needed or proof.holds)
        return max((error for error in errors if error is not None), default=None)

    @property
    def certified(self) -> bool:
        """Whether every identity was tested and held."""
        return self.verdict == "certified"


def certify(config: Any) -> Certificate:
    """Build the twin of the model that a config describes and prove the identities on it."""
    kind = str(config.get_text_config(decoder=True).model_type)
    if getattr(config, "is_encoder_decoder", False):
        return Certificate(kind, "not applicable", "encoder-decoder")
    if reason := facts.REFUSED.get(config.model_type, facts.REFUSED.get(kind)):
        return Certificate(kind, "refused", reason)
    try:
        with _float64_by_default():
            return _certify_twin(kind, build_twin(config))
    except ModelError as error:
        return Certificate(kind, "refused", str(error))
    except Exception as error:  # a family's own code may fail in any way on a model this small
        reason = " ".join(str(error).split())[:200]
        reason = f"its own code fails on the twin: {type(error).__name__}: {reason}"
        return Certificate(kind, "refused", reason)


def _certify_twin(kind: str, model: CausalLM) -> Certificate:
    if not _is_causal(model):
        return Certificate(kind, "not applicable", "encoder-only: later tokens are seen")
    engine = Engine(model, find_anatomy(model), _LABELS)
    proofs = prove(engine)
    size = len(engine.decomposer.folds), len(engine.decomposer.components)
    failed = [proof for proof in proofs if proof.needed and not proof.holds]
    if failed:
        worst = failed[0]
        at = f" at {worst.where}" if worst.where else ""
        reason = f"{worst.name} fails{at}: off by {worst.error:.1e}, {worst.bound:.0e} allowed"
        return Certificate(kind, "refused", reason, proofs, *size)
    return Certificate(kind, "certified", "", proofs, *size)


@contextmanager
def _float64_by_default() -> Iterator[None]:
    """Some families make constants of the default type and add them to the model's own."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def prove(engine: Engine) -> tuple[Proof, ...]:
    """Prove the four identities on a model.

    Raises:
        ModelError: the model's anatomy is not found, or its forward takes another way.
    """
    rows = _prompts(engine.model)
    bound = EXACT if _norms_are_exact(engine, rows) else ROUNDED
    sighting = engine.watch(rows, all_writes=True)
    whole = engine.decomposer.decompose(sighting)
    scale = whole.scale[:, None]
    returned = engine.decomposer.anatomy.cap(whole.parts.sum(1))
    return (
        _heads_proof(engine, sighting, bound),
        _writes_proof(engine, sighting, bound),
        Proof("each head = its write", _folds_error(engine, sighting, whole.parts), bound),
        Proof("parts = logits", float((whole.sum_error / whole.scale).max()), bound),
        Proof("capped sum = output", float(((returned - whole.full).abs() / scale).max()), bound),
        _shared_proof(engine, rows, whole),
    )


def _shared_proof(engine: Engine, rows: list[list[int]], whole: BatchParts) -> Proof:
    name = "shared prefix = whole"
    try:
        prefix = engine.share(rows[0][:_PREFIX])
        shared = engine.run([row[_PREFIX:] for row in rows], prefix)
    except CannotShareError as error:
        return Proof(name, None, ROUNDED, str(error), needed=False)
    misfit = (shared.parts - whole.parts).abs().amax((1, 2)) / whole.scale
    # Attention's softmax is float32 in many families whatever the model's type. Where sharing
    # changes the numbers, extract finds that out too and runs whole prompts.
    return Proof(name, float(misfit.max()), ROUNDED, needed=False)


def _prompts(model: CausalLM) -> list[list[int]]:
    """Prompts of different lengths behind one prefix."""
    vocabulary = model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, vocabulary, (len(_OWN), _PREFIX + max(_OWN)), generator=draw)
    tokens[:, :_PREFIX] = tokens[0, :_PREFIX]
    return [row[: _PREFIX + own].tolist() for row, own in zip(tokens, _OWN, strict=True)]


def _is_causal(model: CausalLM) -> bool:
    """Whether a later token leaves an earlier position's logits alone."""
    # Far from the special tokens, some of which are masked out.
    tokens = torch.arange(20, 27)[None]
    other = tokens.clone()
    other[0, -1] = 50
    with torch.inference_mode():
        first, second = (model(input_ids=t, use_cache=False).logits[0, 2] for t in (tokens, other))
    return bool(torch.allclose(first, second, rtol=1e-6, atol=1e-9 * float(first.abs().max())))


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
    bias = bias_of(write.module, write.width, z)
    each = write.width // write.heads
    alone = torch.zeros(len(z), write.heads, write.width, dtype=z.dtype)
    for head in range(write.heads):
        own = slice(head * each, (head + 1) * each)
        alone[:, head, own] = z[:, own]
    with torch.no_grad():
        out = run_precisely(write.module, alone.reshape(-1, write.width))
    return out.reshape(len(z), write.heads, -1) - bias, bias


def _frozen_heads(fold: Fold, sighting: Sighting) -> tuple[Tensor, Tensor]:
    """Each head's write to the residual stream [B, H, D] and the constant beside them [B, D]."""
    write, norm = fold.write, fold.norm
    heads, bias = _heads_alone(write, sighting.read(write.module))
    bias = bias.expand(len(heads), -1)
    if norm is not None and write.norm is not None:
        scale = norm.scale(sighting.read(write.norm), sighting.wrote(write.norm))
        heads = norm.linear(heads, scale[:, None])
        bias = norm.linear(bias, scale) + norm.shift
    return heads * write.scale, bias * write.scale


def _split_folds(engine: Engine) -> Iterator[tuple[int, int, Fold]]:
    """The folds that are split by head: their layer, and the number of their first head there."""
    for layer, folds in enumerate(engine.decomposer.folds):
        first = 0
        for fold in folds:
            if fold.heads is not None:
                yield layer, first, fold
                first += fold.write.heads


def _heads_proof(engine: Engine, sighting: Sighting, bound: float) -> Proof:
    errors = {"": 0.0}
    for index, first, fold in _split_folds(engine):
        heads, bias = _frozen_heads(fold, sighting)
        written = sighting.wrote(fold.write.source) * fold.write.scale
        misfit = (heads.sum(1) + bias - written).abs().max() / written.abs().max()
        errors[f"layer {index}, head {first} on"] = float(misfit)
    worst = max(errors, key=errors.__getitem__)
    return Proof("heads = block's write", errors[worst], bound, worst)


def _writes_proof(engine: Engine, sighting: Sighting, bound: float) -> Proof:
    decomposer = engine.decomposer
    norms = dict(decomposer.carried)
    total = sighting.embedding.clone()
    for step in (step for layer in decomposer.anatomy.layers for step in layer.steps):
        if isinstance(step, Write):
            total = total + sighting.wrote(step.source) * step.scale
        elif step.norm is None:
            total = step.apply(total)
        else:
            norm = norms[step.norm]
            scale = norm.scale(sighting.read(step.norm), sighting.wrote(step.norm))
            total = norm.linear(total, scale) + norm.shift
    residual = sighting.norm_input
    misfit = (total - residual).abs().max() / residual.abs().max()
    return Proof("writes = residual", float(misfit), bound)


def _folds_error(engine: Engine, sighting: Sighting, parts: Tensor) -> float:
    """Worst difference between a head's folded contribution and that of its write in full."""
    decomposer = engine.decomposer
    scales = decomposer.scales(sighting)
    worst = 0.0
    for index, first, fold in _split_folds(engine):
        heads, _ = _frozen_heads(fold, sighting)
        stream = fold.directions / fold.write.scale
        expected = heads @ stream.T * scales[fold.norms_after][:, None, None]
        wanted = range(first, first + fold.write.heads)
        rows = [
            i
            for i, component in enumerate(decomposer.components)
            if component.layer == index and component.kind == "head" and component.head in wanted
        ]
        worst = max(worst, float((parts[:, rows] - expected).abs().max()))
    return worst / float(parts.abs().max())

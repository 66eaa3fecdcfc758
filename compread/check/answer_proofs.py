"""The identities of answers of several tokens, at each answer's first, second and later positions.

1. answers = log p: an answer's parts add up to its log-probability, and that is what the model
   itself says of the answer's tokens in a forward of their own that nothing watches;
2. answers shared = whole: several answers behind one prompt, and that behind a shared
   prefix, have the parts that each has behind a whole prompt of its own. Where a family's attention
   is not plain, each is proved behind the prefix with a prompt of its own, as extract runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from compread.extract.answer_engine import AnswerEngine
from compread.extract.answer_rows import AnswerRow
from compread.extract.batches import pad_right
from compread.extract.engine import Engine
from compread.extract.prefix import CannotShareError
from compread.extract.structure import Proof
from compread.model.linear import device_of

_ANSWERS = (((5,), (5, 21), (33, 8, 8, 13)), ((40, 7, 26), (6,)))
"""One that another begins with, a token twice, and rows with another number of them."""
_LONGEST = max(len(answer) for answers in _ANSWERS for answer in answers)
_MOST = max(map(len, _ANSWERS))


def prove_answers(
    engine: Engine, prompts: Sequence[tuple[Sequence[int], int]], bound: float, rounded: float
) -> tuple[Proof, Proof]:
    """Prove the two identities on a model.

    Args:
        engine: the model.
        prompts: tokens, and how many of them prompts behind one prefix share.
        bound: the largest error allowed of a sum, as a share of the logits' scale.
        rounded: the same of answers behind a shared prefix.

    Raises:
        ModelError: the model's unembedding cannot be read for all tokens.
    """
    anatomy = engine.decomposer.anatomy
    of_answers = AnswerEngine(engine.model, anatomy, engine.decomposer.label_ids, _MOST)
    rows = []
    for n, (tokens, shared) in enumerate(prompts):
        row = AnswerRow(_within(engine, tokens), _ANSWERS[n % len(_ANSWERS)], apart=True)
        rows.append((row, min(shared, len(row.prompt) - 1)))
    whole = [row for row, _ in rows]
    return _sum_proof(of_answers, whole, bound), _shared_proof(of_answers, rows, rounded)


def _within(engine: Engine, tokens: Sequence[int]) -> tuple[int, ...]:
    """A prompt cut where its answers would go across a switch, since extract refuses such rows."""
    start, most = engine.switches.start, len(tokens)
    fitting = (n for n in range(most, 0, -1) if start(n) == start(n + _LONGEST - 1))
    return tuple(tokens[: next(fitting, 1)])


def _sum_proof(engine: AnswerEngine, rows: Sequence[AnswerRow], bound: float) -> Proof:
    found = engine.run(rows)
    said = _log_p(engine, rows)
    off = torch.maximum(found.sum_error, (found.full - said).abs().amax(1)) / found.scale
    at = int(off.argmax())
    return Proof("answers = log p", float(off[at]), bound, f"{len(rows[at].prompt)} tokens")


def _log_p(engine: AnswerEngine, rows: Sequence[AnswerRow]) -> Tensor:
    """What the model says of each answer's tokens, [B, K] with zeros where a row has none.

    In one batch: attention's softmax is float32 in some families, and rounds as rows lie in it.
    """
    asked = [(n, k) for n, row in enumerate(rows) for k in range(len(row.answers))]
    pieces = [(*rows[n].prompt, *rows[n].answers[k][:-1]) for n, k in asked]
    tokens, _ = pad_right(pieces, device_of(engine.model))
    with torch.inference_mode():
        log_p: Tensor = engine.model(input_ids=tokens, use_cache=False).logits.log_softmax(-1)
    said = log_p.new_zeros(len(rows), engine.most)
    for own, (n, k) in zip(log_p, asked, strict=True):
        for at, token in enumerate(rows[n].answers[k], len(rows[n].prompt) - 1):
            said[n, k] += own[at, token]
    return said


def _shared_proof(
    engine: AnswerEngine, rows: Sequence[tuple[AnswerRow, int]], bound: float
) -> Proof:
    name = "answers shared = whole"
    proof, why = Proof(name, None, bound, needed=False), ""
    for apart in (False, True):
        if proof.holds:
            break
        where = f"each apart: {why}" if apart else "side by side"
        try:
            proof = replace(proof, error=_misfit(engine, rows, apart), where=where)
            why = "side by side they change"
        except CannotShareError as error:
            why = str(error)
            proof = replace(proof, error=None, where=why)
    return proof


def _misfit(engine: AnswerEngine, rows: Sequence[tuple[AnswerRow, int]], apart: bool) -> float:
    """Largest change of a part behind the shared prefixes, as a share of the logits' scale."""
    start, worst = engine.switches.start, [0.0]
    for shared in sorted({at for _, at in rows}):
        alike = [r for r, at in rows if at == shared and start(len(r.prompt)) == start(shared)]
        if not alike:
            continue
        prefix = engine.share(alike[0].prompt[:shared])
        whole = engine.run(alike)
        behind = engine.run([replace(row, apart=apart)[shared:] for row in alike], prefix)
        off = (whole.parts - behind.parts).abs().amax((1, 2)) / whole.scale
        worst.append(float(off.max()))
    return max(worst)

"""What a model would say after a prompt, before it is run over all of them.

Label words that the model hardly considers have logits all the same; their share of the probability
tells, and so do the words that it would say instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from compread.errors import ModelError
from compread.model import LoadedModel
from compread.model.finite import why_not_finite
from compread.model.linear import device_of
from compread.model.switches import RotationTables
from compread.prompts import AnswerIds
from compread.prompts.encoder import shown_each

LIKELIEST = 3


@dataclass(frozen=True)
class Preview:
    """The next token's distribution after one prompt."""

    label_mass: float
    """Probability of all label words together."""
    likeliest: tuple[tuple[str, float], ...]
    """The most probable tokens, in quotes as the vocabulary spells them, with their probabilities;
    a row of the unembedding beyond the vocabulary is said to be unused."""

    def __str__(self) -> str:
        said = ", ".join(f"{token} {share:.1%}" for token, share in self.likeliest)
        return f"the label words have {self.label_mass:.1%} of the probability; likeliest: {said}"


@dataclass(frozen=True)
class AnswerPreview:
    """What a model says after one prompt whose answers are whole texts."""

    log_probs: tuple[tuple[str, float], ...]
    """Each answer with its log-probability in nats."""
    likeliest: tuple[tuple[str, float], ...]
    """The most probable next tokens, as in ``Preview``."""

    def __str__(self) -> str:
        each = ", ".join(f"{text!r} {log_p:.2f}" for text, log_p in self.log_probs)
        said = ", ".join(f"{token} {share:.1%}" for token, share in self.likeliest)
        return f"log-probabilities of the answers: {each}; likeliest next tokens: {said}"


@torch.inference_mode()
def preview(loaded: LoadedModel, ids: Sequence[int], label_ids: Sequence[int]) -> Preview:
    """Run one prompt through the model.

    Args:
        loaded: the model.
        ids: [T] the prompt's tokens.
        label_ids: [K] the token of each label.

    Raises:
        ModelError: the model's numbers are not finite.
    """
    shares = _log_probs(loaded, ids, 1)[-1].exp()  # [vocabulary]
    return Preview(float(shares[list(label_ids)].sum()), _likeliest(loaded, shares))


@torch.inference_mode()
def preview_answers(
    loaded: LoadedModel, ids: Sequence[int], answers: AnswerIds, texts: Sequence[str]
) -> AnswerPreview:
    """Run one prompt through the model with each of its answers.

    Args:
        loaded: the model.
        ids: [T] the prompt's tokens.
        answers: [K] the tokens of each answer.
        texts: [K] the answers.

    Raises:
        ModelError: the model's numbers are not finite.
    """
    found = []
    for text, answer in zip(texts, answers, strict=True):
        said = _log_probs(loaded, [*ids, *answer[:-1]], len(answer))
        found.append((text, float(said[range(len(answer)), list(answer)].sum())))
    return AnswerPreview(tuple(found), _likeliest(loaded, said[0].exp()))


def _log_probs(loaded: LoadedModel, ids: Sequence[int], last: int) -> torch.Tensor:
    """[last, vocabulary] what the model says behind each of the last tokens."""
    RotationTables(loaded.model).reset()
    tokens = torch.tensor([list(ids)], device=device_of(loaded.model))  # [1, T]
    logits = loaded.model(input_ids=tokens, use_cache=False).logits[0, -last:]
    log_probs: torch.Tensor = logits.float().log_softmax(-1)
    if bool(log_probs.isnan().any()):
        raise ModelError(f"a prompt of {len(ids)} tokens: {why_not_finite(loaded.model, ids)}")
    return log_probs


def _likeliest(loaded: LoadedModel, shares: torch.Tensor) -> tuple[tuple[str, float], ...]:
    best = shares.topk(min(LIKELIEST, len(shares)))
    names = shown_each(loaded.tokenizer, best.indices.tolist())
    return tuple(zip(names, best.values.tolist(), strict=True))

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
    RotationTables(loaded.model).reset()
    tokens = torch.tensor([list(ids)], device=device_of(loaded.model))  # [1, T]
    logits = loaded.model(input_ids=tokens, use_cache=False).logits[0, -1]  # [vocabulary]
    shares = logits.float().softmax(-1)
    if not bool(torch.isfinite(shares).all()):
        raise ModelError(f"a prompt of {len(ids)} tokens: {why_not_finite(loaded.model, ids)}")
    best = shares.topk(min(LIKELIEST, len(shares)))
    names = shown_each(loaded.tokenizer, best.indices.tolist())
    return Preview(
        float(shares[list(label_ids)].sum()),
        tuple(zip(names, best.values.tolist(), strict=True)),
    )

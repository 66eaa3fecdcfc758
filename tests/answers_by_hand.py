"""The contributions to an answer's log-probability by hand, a position at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from by_hand import parts_by_hand
from loud import Family, V
from torch import Tensor


def answer_by_hand(
    model: Any, family: Family, prompt: Sequence[int], answer: Sequence[int]
) -> tuple[dict[str, Tensor], Tensor]:
    """Each component's contribution by name, ``normalizer`` last, and the answer's log p.

    Every token is a label behind a prompt of its own, which is run whole. What a component says of
    a token is its logit there, less its mean over the whole vocabulary.
    """
    parts: dict[str, Tensor] = {}
    log_p = torch.zeros((), dtype=torch.float64)
    for i, token in enumerate(answer):
        found = parts_by_hand(model, family, [*prompt, *answer[:i]], range(V))
        logits = found.pop("logits").double()
        pre_cap = sum(found.values(), torch.zeros(V, dtype=torch.float64))
        own = {name: part[token] - part.mean() for name, part in found.items()}
        own["normalizer"] = pre_cap.mean() - logits.logsumexp(-1)
        parts = {name: parts.get(name, 0) + part for name, part in own.items()}
        log_p = log_p + logits.log_softmax(-1)[token]
    return parts, log_p

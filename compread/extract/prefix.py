"""The tokens that all prompts share are run once.

A few-shot prompt set repeats its demonstrations in front of every row. Their keys and values are
computed on one row and handed to each batch, so a row costs only the tokens of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from compread.model.trace import CausalLM

# Below this a prefix saves less than handing it on costs.
_WORTH_SHARING = 4


def shared_length(ids: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all rows share, each keeping at least its last token for itself.

    ``shared_length([[5, 6, 7], [5, 6, 8, 9]])`` is 2.
    """
    # What the least and the greatest row share, in dictionary order, all rows share.
    least, greatest = min(map(list, ids)), max(map(list, ids))
    pairs = enumerate(zip(least, greatest, strict=False))
    common = next((i for i, (a, b) in pairs if a != b), min(len(least), len(greatest)))
    length = min(common, min(map(len, ids)) - 1)
    return length if length >= _WORTH_SHARING else 0


class SharedPrefix:
    """The keys and values of a prefix, computed once."""

    def __init__(self, model: CausalLM, tokens: Sequence[int]) -> None:
        """Run the prefix as one row."""
        self.tokens = tuple(tokens)
        row = torch.tensor([self.tokens], device=model.device)
        with torch.inference_mode():
            # The base model has no unembedding, whose logits nobody would read.
            self._cache = model.base_model(input_ids=row, use_cache=True).past_key_values

    def for_rows(self, count: int) -> Any:
        """A cache for a batch of ``count`` rows; the forward adds its own tokens to this copy."""
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(count)
        return cache


def pad_right(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] padded at the right, and the position of each row's last token [B].

    Under causal attention a pad to the right of the answer is never seen by it, so no mask is
    needed and positions stay those of a row run alone.
    """
    longest = max(len(row) for row in rows)
    padded = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = torch.tensor(row)
    answer = torch.tensor([len(row) - 1 for row in rows])
    return padded.to(device), answer.to(device)

"""The tokens that all prompts share are run once.

A few-shot prompt set repeats its demonstrations in front of every row. Their keys and values are
computed on one row and handed to each batch, so a row costs only the tokens of its own.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from compread.errors import ModelError
from compread.extract.lending import can_lend, lent
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


class CannotShareError(ModelError):
    """A family's cache cannot be handed from one row to a batch; whole prompts must be run."""


class SharedPrefix:
    """What a model remembers of a prefix (keys, values, states), computed once."""

    def __init__(self, model: CausalLM, tokens: Sequence[int]) -> None:
        """Run the prefix as one row.

        Raises:
            CannotShareError: the model keeps nothing that could be handed on.
        """
        self.tokens = tuple(tokens)
        self.lends = True
        """Whether rows may still borrow the prefix; a family that cannot is tried only once."""
        self._model = model
        self._argument = cache_argument(model)
        row = torch.tensor([self.tokens], device=model.device)
        with handing_on(), torch.inference_mode():
            # The base model has no unembedding, whose logits nobody would read.
            output = model.base_model(input_ids=row, use_cache=True)
        self._cache = getattr(output, self._argument, None)
        if self._cache is None:
            raise CannotShareError(f"{type(model).__name__} returns no `{self._argument}`")

    def forward(self, tokens: Tensor) -> Any:
        """Run rows [B, T] behind the prefix: borrowing it where they can, else on copies of it.

        Raises:
            CannotShareError: the family cannot go on from a prefix.
        """
        longest = len(self.tokens) + tokens.shape[1]
        if self.lends and can_lend(self._model, self._cache, longest):
            try:
                with lent(self._model, self._cache) as cache:
                    return self._run(tokens, cache)
            except torch.OutOfMemoryError:
                raise
            except Exception:  # a family's own code meets a cache that it never saw
                self.lends = False
        with handing_on():
            return self._run(tokens, self._copies(len(tokens)))

    def _run(self, tokens: Tensor, cache: Any) -> Any:
        return self._model(input_ids=tokens, **{self._argument: cache})

    def _copies(self, count: int) -> Any:
        """A cache for a batch of ``count`` rows; the forward adds its own tokens to it."""
        cache: Any = copy.deepcopy(self._cache)
        if _every_layer(cache, "batch_repeat_interleave"):
            cache.batch_repeat_interleave(count)
        else:  # states of linear attention can only be reordered: row 0, count times
            cache.reorder_cache(torch.zeros(count, dtype=torch.long))
        return cache


def cache_argument(model: CausalLM) -> str:
    """What the forward calls its cache: `cache` since transformers 5.24, which warns otherwise."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _every_layer(cache: Any, method: str) -> bool:
    return all(hasattr(layer, method) for layer in cache.layers)


@contextmanager
def handing_on() -> Iterator[None]:
    """Turn whatever a family's cache raises into the one signal that it cannot be shared."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # caches are as various as families
        reason = " ".join(str(error).split())[:200]
        raise CannotShareError(f"{type(error).__name__}: {reason}") from error


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

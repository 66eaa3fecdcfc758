"""The tokens that all prompts share are run once.

A few-shot prompt set repeats its demonstrations in front of every row. Their keys and values are
computed on one row and handed to each batch, so a row costs only the tokens of its own.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from compread.errors import ModelError
from compread.extract.branches import Branches
from compread.extract.lending import can_lend, lent
from compread.extract.memory import is_out_of_memory
from compread.extract.packed import PackedRows
from compread.model.linear import device_of
from compread.model.trace import CausalLM
from compread.text import one_line


class CannotShareError(ModelError):
    """A family's cache cannot be handed from one row to a batch; whole prompts must be run."""


class SharedPrefix:
    """What a model remembers of a prefix (keys, values, states), computed once."""

    def __init__(self, model: CausalLM, tokens: Sequence[int]) -> None:
        """Run the prefix as one row.

        Raises:
            CannotShareError: the model keeps nothing that could be reused.
        """
        self.tokens = tuple(tokens)
        self.lends = True
        """Whether rows may still borrow the prefix; a family that cannot is tried only once."""
        self._model = model
        self._argument = cache_argument(model)
        # The base model has no unembedding, whose logits nobody would read.
        base: Any = model.base_model
        self._cache = None
        if _takes(base.forward, "use_cache"):
            row = torch.tensor([self.tokens], device=device_of(model))
            with cache_errors_as_cannot_share(), torch.inference_mode():
                self._cache = getattr(base(input_ids=row, use_cache=True), self._argument, None)
        if self._cache is None:
            raise CannotShareError(f"{type(model).__name__} returns no `{self._argument}`")

    def held(self, longest: int) -> int:
        """Tokens of keys and values that each row of a batch holds: none where it borrows them.

        ``longest`` is the number of tokens of the longest whole prompt.
        """
        lends = self.lends and can_lend(self._model, self._cache, longest)
        return 0 if lends else len(self.tokens)

    def forward(self, tokens: Tensor) -> Any:
        """Run rows [B, T] behind the prefix: borrowing it where they can, else on copies of it.

        Raises:
            CannotShareError: the family cannot go on from a prefix.
        """
        if not self.held(len(self.tokens) + tokens.shape[1]):
            with trying(self, "lends"), lent(self._model, self._cache) as cache:
                return self._run(tokens, cache)
        with cache_errors_as_cannot_share():
            return self._run(tokens, self._copies(len(tokens)))

    def packed(self, rows: PackedRows) -> Any:
        """Run rows one behind the other behind the prefix, which they borrow.

        Raises:
            Exception: whatever the family's own code raises where it cannot do that.
        """
        position = rows.position + len(self.tokens)
        with lent(self._model, self._cache, rows) as cache:
            return self._run(rows.tokens, cache, position_ids=position)

    def branch(self, tokens: Tensor, branches: Branches) -> Any:
        """Run rows [B, T] behind the prefix, each of which is a prompt and several answers.

        Raises:
            CannotShareError: the family cannot go on from a prefix, or not so.
        """
        shared = len(self.tokens)
        position = branches.position + shared
        if not self.held(int(position.max()) + 1):
            seen = branches.seen
            with trying(self, "lends"), lent(self._model, self._cache, seen) as cache:
                return self._run(tokens, cache, position_ids=position)
        with cache_errors_as_cannot_share():
            cache = {self._argument: self._copies(len(tokens))}
        return run_branches(self._model, tokens, branches, shared, cache)

    def _run(self, tokens: Tensor, cache: Any, **more: Any) -> Any:
        return self._model(input_ids=tokens, **{self._argument: cache}, **more)

    def _copies(self, count: int) -> Any:
        """A cache for a batch of ``count`` rows; the forward adds its own tokens to it."""
        cache: Any = copy.deepcopy(self._cache)
        if _every_layer(cache, "batch_repeat_interleave"):
            cache.batch_repeat_interleave(count)
        else:  # states of linear attention can only be reordered: row 0, count times
            cache.reorder_cache(torch.zeros(count, dtype=torch.long))
        return cache


@contextmanager
def trying(owner: object, switch: str) -> Iterator[None]:
    """Where a family cannot do what is inside, go on behind it, and turn its switch off for good.

    Args:
        owner: of the switch.
        switch: its attribute that says whether to try.
    """
    try:
        yield
    except Exception as error:  # a family's own code meets a cache or positions it never saw
        if is_out_of_memory(error):
            raise
        setattr(owner, switch, False)


def run_branches(
    model: CausalLM,
    tokens: Tensor,
    branches: Branches,
    shared: int = 0,
    cache: Mapping[str, Any] | None = None,
) -> Any:
    """Run rows [B, T], each a prompt and several answers, with a mask in four dimensions.

    Args:
        model: what is run.
        tokens: padded at their right.
        branches: who sees whom.
        shared: how many tokens of a prefix ``cache`` holds for each row.
        cache: the argument that holds them; None: there is no prefix.

    Raises:
        CannotShareError: the family takes no such mask, or sees only so many tokens back.
    """
    position = branches.position + shared
    window = shortest_window(model.config)
    if window is not None and int(position.max()) >= window:
        raise CannotShareError(f"its attention sees {window} tokens at most")
    mask = branches.mask(shared, model.dtype)
    more = {"use_cache": False} if cache is None else cache
    with cache_errors_as_cannot_share():
        return model(input_ids=tokens, attention_mask=mask, position_ids=position, **more)


def shortest_window(config: Any) -> int | None:
    """How many tokens the narrowest attention sees at most; None where each sees all.

    A window that a config names and no layer uses counts too: rows are then run apart.
    """
    text = config.get_text_config(decoder=True)
    named = (getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return min((size for size in named if isinstance(size, int) and size > 0), default=None)


def cache_argument(model: CausalLM) -> str:
    """What the forward calls its cache: `cache` since transformers 5.24, which warns otherwise."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _takes(forward: Any, argument: str) -> bool:
    parameters = inspect.signature(forward).parameters
    return argument in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _every_layer(cache: Any, method: str) -> bool:
    return all(hasattr(layer, method) for layer in cache.layers)


@contextmanager
def cache_errors_as_cannot_share() -> Iterator[None]:
    """Turn whatever a family's cache raises into the one signal that it cannot be shared."""
    try:
        yield
    except Exception as error:  # caches are as various as families
        if is_out_of_memory(error):
            raise
        reason = one_line(error)
        raise CannotShareError(f"{type(error).__name__}: {reason}") from error

"""Keys and values of a shared prefix, lent to every row of a batch instead of copied for each.

A cache that is repeated for B rows holds B copies of one prefix, and every layer writes them anew
with the rows' own keys behind them. Here each layer of the cache hands the model only the keys of
the tokens that are run, and an attention function of ours attends to both: to the lent prefix, one
large product for all rows, and to the row itself (``joined``). Where no kernel can do that, the
prefix is repeated for one layer at a time.

The function stands behind the name ``LENDING`` among transformers' attention implementations and
computes what its ``sdpa`` does; what ``sdpa`` would need a mask or another term for is refused
here, and the cache is then repeated instead (``prefix``).
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from compread.extract.branches import branching
from compread.extract.joined import CannotLendError, joined, kernel_for
from compread.extract.packed import PackedRows, within_rows
from compread.model.trace import CausalLM

LENDING = "compread_lending"
_PLAIN_LAYERS = ("DynamicLayer", "DynamicSlidingWindowLayer")
# What a model's forward passes on to every attention function, and none of them reads.
_HARMLESS = ("position_ids", "cache_position", "position_embeddings")


class _Loan:
    """One layer's prefix, and the keys of the batch that is borrowing it."""

    def __init__(self, layer: Any) -> None:
        self.keys, self.values = layer.keys, layer.values  # [1, KV heads, P, E]
        self.own: Any = lambda: None
        self.read = False
        self.layer = copy.copy(layer)
        self.layer.update = self.update

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """In place of the layer's own: hand the rows' keys and values back, and keep none."""
        # Weakly: a strong reference would keep every layer's keys until the forward ends.
        self.own = weakref.ref(key_states)
        return key_states, value_states


def can_lend(model: CausalLM, cache: Any, longest: int) -> bool:
    """Whether all layers hold plain keys and values that each of the ``longest`` tokens sees."""
    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return False
    layers = getattr(cache, "layers", None) or []
    for layer in layers:
        window = getattr(layer, "sliding_window", None)
        if type(layer).__name__ not in _PLAIN_LAYERS or not isinstance(layer.keys, Tensor):
            return False
        if layer.keys.ndim != 4 or layer.keys.shape[:-1] != layer.values.shape[:-1]:
            return False
        if window is not None and longest > window:
            return False
    return bool(layers)


@contextmanager
def lent(model: CausalLM, cache: Any, seen: Tensor | PackedRows | None = None) -> Iterator[Any]:
    """A cache to call the model with, whose prefix every row borrows.

    Args:
        model: what is run.
        cache: with the prefix.
        seen: [B, T, T] which of a row's own tokens each of them sees, or the rows that are run
            one behind the other; None: all up to itself.

    Raises:
        CannotLendError: an attention asks for what cannot be lent, or does not ask at all.
    """
    from transformers import AttentionInterface

    loans = [_Loan(layer) for layer in cache.layers]
    borrowed = copy.copy(cache)
    borrowed.layers = [loan.layer for loan in loans]

    def attention(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        return _attend(loans, module, *args, **{**kwargs, "seen": seen}), None

    AttentionInterface.register(LENDING, attention)
    # Every module asks its config; a shell's language model has one of its own.
    configs = {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}
    before = [(c, c._attn_implementation_internal) for c in configs.values() if _is_sdpa(c)]
    try:
        for config, _ in before:
            config._attn_implementation_internal = LENDING
        yield borrowed
    finally:
        for config, name in before:
            config._attn_implementation_internal = name
    unread = [i for i, loan in enumerate(loans) if not loan.read]
    if unread:
        raise CannotLendError(f"layer {unread[0]} attends in a way of its own")


def _is_sdpa(config: Any) -> bool:
    return getattr(config, "_attn_implementation_internal", None) == "sdpa"


def _attend(
    loans: list[_Loan],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    seen: Tensor | PackedRows | None = None,
    **kwargs: Any,
) -> Tensor:
    """What a module's attention returns: query [B, H, T, E] -> [B, T, H, E]."""
    more = [k for k, v in kwargs.items() if isinstance(v, Tensor) and k not in _HARMLESS]
    if attention_mask is not None or more or kwargs.get("softcap") is not None:
        raise CannotLendError(f"attention takes {', '.join(more) or 'a mask or a soft-cap'}")
    if kwargs.get("is_causal") is False or not getattr(module, "is_causal", True):
        raise CannotLendError("attention is not causal")
    loan = next((loan for loan in loans if loan.own() is key), None)
    if loan is None:
        raise CannotLendError("attention reads other keys than its cache returned")
    loan.read = True
    window = kwargs.get("sliding_window")
    if window is not None and window < loan.keys.shape[-2] + query.shape[-2]:
        raise CannotLendError("the window is shorter than the prompts")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    kernel = kernel_for(query, value)
    if isinstance(seen, PackedRows):
        kernel = within_rows(kernel, seen)
        return joined(kernel, query, key, value, (loan.keys, loan.values), scale)
    if kernel is not None:
        kernel = kernel if seen is None else branching(kernel, seen)
        return joined(kernel, query, key, value, (loan.keys, loan.values), scale)
    return _at_once(query, key, value, loan.keys, loan.values, scale, seen)


def _at_once(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    own: Tensor | None,
) -> Tensor:
    """One ``sdpa`` over the prefix and the row, repeated for this layer and no longer."""
    batch, heads, tokens, _ = query.shape
    group = heads // keys.shape[1]
    seen = torch.ones(1, 1, tokens, keys.shape[-2] + tokens, dtype=torch.bool, device=query.device)
    seen = seen.tril(keys.shape[-2])
    if own is not None:
        seen = seen.repeat(batch, 1, 1, 1)
        seen[..., keys.shape[-2] :] = own[:, None]
    out = scaled_dot_product_attention(
        query,
        _repeat(torch.cat([keys.expand(batch, -1, -1, -1), key], -2), group),
        _repeat(torch.cat([values.expand(batch, -1, -1, -1), value], -2), group),
        attn_mask=seen,
        scale=scale,
    )
    return out.transpose(1, 2)


def _repeat(states: Tensor, group: int) -> Tensor:
    """Keys or values [B, KV heads, T, E] for each of the heads that share them."""
    return states if group == 1 else states.repeat_interleave(group, dim=1)

"""CPU stand-ins for CUDA's attention kernels, behind the very operators that a GPU has them behind.

Each asserts what the CUDA kernel demands of its arguments, and returns what it returns: the same
layout of the output, and the lse in its type and with its padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

CALLS: list[tuple[str, bool]] = []
"""The name of each kernel that was called, and whether causally."""


def flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """Flash attention: half precision, E a multiple of 8 up to 256, fewer heads of keys allowed."""
    assert query.dtype == key.dtype == value.dtype
    assert query.dtype in (torch.float16, torch.bfloat16)
    width = query.shape[-1]
    assert width == key.shape[-1] == value.shape[-1]
    assert width % 8 == 0 and width <= 256
    assert query.shape[1] % key.shape[1] == 0 and key.shape == value.shape
    assert dropout_p == 0.0 and not return_debug_mask
    _shapes(query, key, is_causal)
    group = query.shape[1] // key.shape[1]
    out, lse = _attention(query, key, value, group, is_causal, scale)
    # The CUDA kernel writes [B, T, H, E], whatever it reads.
    out = out.transpose(1, 2).contiguous().transpose(1, 2)
    CALLS.append(("flash", is_causal))
    empty = torch.empty(0)
    return out, lse, None, None, query.shape[2], key.shape[2], empty, empty, empty


def flash_by_rows(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cum_seq_q: Tensor | None,
    cum_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
    return_debug_mask: bool,
    *,
    scale: float | None = None,
    **kwargs: Any,
) -> tuple[Any, ...]:
    """Flash attention of rows [T, H, E] that begin where ``cum_seq_q`` says, lse [H, T]."""
    assert query.dtype == key.dtype == value.dtype
    assert query.dtype in (torch.float16, torch.bfloat16)
    assert query.ndim == 3 and query.shape[0] == key.shape[0] and key.shape == value.shape
    assert query.shape[-1] % 8 == 0 and query.shape[1] % key.shape[1] == 0
    assert all(states.stride(-1) == 1 for states in (query, key, value))
    assert is_causal and dropout_p == 0.0 and not return_debug_mask
    assert cum_seq_q is not None and cum_seq_k is not None
    assert cum_seq_q.dtype is torch.int32 and torch.equal(cum_seq_q, cum_seq_k)
    starts = cum_seq_q.tolist()
    lengths = [end - start for start, end in pairwise(starts)]
    assert starts[0] == 0 and starts[-1] == len(query) and min(lengths) > 0
    assert max_q == max_k == max(lengths)
    group = query.shape[1] // key.shape[1]
    rows = [
        _attention(*(x[start:end].transpose(0, 1)[None] for x in (query, key, value)), group,
                   True, scale)
        for start, end in pairwise(starts)
    ]  # fmt: skip
    out = torch.cat([out[0].transpose(0, 1) for out, _ in rows])
    CALLS.append(("flash by rows", True))
    empty = torch.empty(0)
    return out, torch.cat([lse[0] for _, lse in rows], -1), empty, empty, empty


def efficient(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """Memory-efficient attention: equal heads, 16-byte rows, an lse padded to 32 queries."""
    assert query.dtype == key.dtype == value.dtype
    assert query.shape[1] == key.shape[1] == value.shape[1]
    assert query.shape[-1] * query.element_size() % 16 == 0
    assert attn_bias is None and compute_log_sumexp and dropout_p == 0.0
    _shapes(query, key, is_causal)
    out, lse = _attention(query, key, value, 1, is_causal, scale)
    pad = -query.shape[2] % 32
    lse = torch.nn.functional.pad(lse, (0, pad), value=float("inf"))
    out = out.transpose(1, 2).contiguous().transpose(1, 2)
    CALLS.append(("efficient", is_causal))
    empty = torch.empty(0, dtype=torch.long)
    return out, lse, empty, empty


def _shapes(query: Tensor, key: Tensor, causal: bool) -> None:
    assert query.ndim == key.ndim == 4 and query.shape[0] == key.shape[0]
    assert key.shape[2] > 0, "the lse of an empty prefix is +inf"
    # The kernels align a mask at different corners where lengths differ.
    assert not causal or query.shape[2] == key.shape[2]
    for states in (query, key):
        assert states.stride(-1) == 1
        size = states.element_size()
        assert all(stride * size % 16 == 0 for stride in states.stride()[:-1])


def _attention(
    query: Tensor, key: Tensor, value: Tensor, group: int, causal: bool, scale: float | None
) -> tuple[Tensor, Tensor]:
    key, value = (states.repeat_interleave(group, 1).float() for states in (key, value))
    scores = query.float() @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    if causal:
        scores = scores.masked_fill(~torch.ones_like(scores[0, 0], dtype=bool).tril(), -torch.inf)
    out = (scores.softmax(-1) @ value).to(query.dtype)
    return out, scores.logsumexp(-1)


@contextmanager
def stand_ins() -> Iterator[list[tuple[str, bool]]]:
    """Have the stand-ins behind torch's operators for tensors on a CPU; gives their calls."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("_scaled_dot_product_flash_attention", flash, "CPU")
    library.impl("_flash_attention_forward", flash_by_rows, "CPU")
    library.impl("_scaled_dot_product_efficient_attention", efficient, "CPU")
    CALLS.clear()
    try:
        yield CALLS
    finally:
        library._destroy()

"""Attention to a lent prefix and to a row's own keys, two softmaxes joined into one.

A kernel that also gives the logarithm of each query's summed exponentials (lse) runs once over the
prefix, for all rows as one long query, and once over each row itself. Then, exactly,

    out = out_own + σ(lse_prefix - lse_own) · (out_prefix - out_own)

and the prefix is read where it lies, whatever the number of rows (Hydragen, Juravsky et al. 2024).
``kernel_for`` says which kernel the tensors may have: torch's own for a CPU, flash attention for
half precision on CUDA, memory-efficient attention for float32 there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)
# What flash attention's and CUTLASS' kernels for CUDA are built for.
_WIDEST_FLASH = 256
_FLASH_CAPABILITY = (8, 0)
_ALIGNED_BYTES = 16


class CannotLendError(Exception):
    """No kernel does it, or a family's attention needs more than its own keys and the prefix's."""


@dataclass(frozen=True)
class Kernel:
    """An attention kernel that tells its lse."""

    call: Callable[[Tensor, Tensor, Tensor, bool, float], tuple[Tensor, Tensor]]
    """(query [B, H, T, E], key, value [B, H, S, E], causal, scale) -> [B, H, T, E], lse [B, H, T].

    The lse is natural and float32 (float64 where the query is). S is never 0, and T where causal.
    """
    shares_heads: bool
    """Whether keys may have fewer heads than queries, each for as many of them in a row."""
    by_rows: (
        Callable[[Tensor, Tensor, Tensor, Tensor, int, float], tuple[Tensor, Tensor]] | None
    ) = None
    """Causal attention within rows one behind the other (``packed``), where there is a kernel.

    (query [1, H, T, E], key, value, starts [B + 1], tokens of the longest row, scale) -> output
    [1, H, T, E], lse [1, H, T].
    """


def kernel_for(query: Tensor, value: Tensor) -> Kernel | None:
    """The kernel for a query [B, H, T, E] and values; None where there is none to rely on."""
    width = query.shape[-1]
    if width != value.shape[-1]:
        return None
    if query.device.type == "cpu":
        return CPU
    # ROCm calls its devices cuda as well, and has other kernels behind the same operators.
    if query.device.type != "cuda" or torch.version.hip is not None:
        return None
    if width * query.element_size() % _ALIGNED_BYTES:
        return None
    if query.dtype is torch.float32:
        return EFFICIENT
    capable = torch.cuda.get_device_capability(query.device) >= _FLASH_CAPABILITY
    return FLASH if query.dtype in _HALF and capable and width <= _WIDEST_FLASH else None


def joined(
    kernel: Kernel, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor],
    scale: float,
) -> Tensor:  # fmt: skip
    """What whole attention over the prefix and the row returns, [B, T, H, E].

    Args:
        kernel: what attends.
        query: [B, H, T, E].
        key: the rows' own keys [B, KV heads, T, E], under a causal mask.
        value: their values, of the same shape.
        prefix: keys and values [1, KV heads, P, E] that every token sees; P is not 0.
        scale: of the scores.
    """
    batch, heads, tokens, width = query.shape
    group = 1 if kernel.shares_heads else heads // key.shape[1]
    shared = heads // group
    # The heads that share keys, and all rows, are one long query against one prefix. A copy only
    # where a group's heads must be brought together.
    by_token = query.transpose(1, 2).reshape(batch * tokens, shared, group, width)
    rows = by_token.transpose(0, 1).reshape(1, shared, batch * tokens * group, width)
    far, far_lse = kernel.call(rows, *prefix, False, scale)
    far = far[0].reshape(shared, batch, tokens, group, width).permute(1, 2, 0, 3, 4)
    far_lse = far_lse.reshape(shared, batch, tokens, group).permute(1, 2, 0, 3)
    if group > 1:
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    near, near_lse = kernel.call(query, key, value, True, scale)
    # Two long rows of heads: the layout of flash attention, so nothing is copied.
    near, far = near.transpose(1, 2).reshape(-1, width), far.reshape(-1, width)
    near_lse, far_lse = near_lse.transpose(1, 2).reshape(-1), far_lse.reshape(-1)
    return join(near, far, near_lse, far_lse).reshape(batch, tokens, heads, width)


def join(near: Tensor, far: Tensor, near_lse: Tensor, far_lse: Tensor) -> Tensor:
    """Two softmaxes' outputs [n, E] as one's, by their lse [n]; ``--compile`` fuses it."""
    share = torch.sigmoid(far_lse - near_lse)[..., None]
    # In the lse's type: a share rounded to half precision costs as much as a whole attention does.
    if near.is_cuda and near.dtype in _HALF:
        # Its kernels widen what they read and narrow what they write, where lerp asks for copies.
        return torch.addcmul(far * share, near, 1 - share, out=torch.empty_like(near))
    return near.to(share.dtype).lerp_(far.to(share.dtype), share).to(near.dtype)


def _on_cpu(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, lse = flash(query, key, value, 0.0, causal, scale=scale)
    return out, lse


def _flash(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    out, lse = flash(query, key, value, 0.0, causal, False, scale=scale)[:2]
    return out, lse


def _flash_by_rows(
    query: Tensor, key: Tensor, value: Tensor, starts: Tensor, longest: int, scale: float
) -> tuple[Tensor, Tensor]:
    flash = torch.ops.aten._flash_attention_forward
    by_token = (states[0].transpose(0, 1) for states in (query, key, value))
    out, lse = flash(
        *by_token, starts, starts, longest, longest, 0.0, True, False, scale=scale
    )[:2]  # fmt: skip
    # Older kernels pad the lse to the longest row, [B, H, T], which nothing here reads.
    if lse.shape != query.shape[1:3]:
        raise CannotLendError(f"flash attention's lse has the shape {tuple(lse.shape)}")
    return out.transpose(0, 1)[None], lse[None]


def _efficient(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    efficient = torch.ops.aten._scaled_dot_product_efficient_attention
    out, lse = efficient(query, key, value, None, True, 0.0, causal, scale=scale)[:2]
    return out, lse[..., : query.shape[-2]]  # padded to a multiple of 32 queries


CPU = Kernel(_on_cpu, shares_heads=False)
FLASH = Kernel(_flash, shares_heads=True, by_rows=_flash_by_rows)
EFFICIENT = Kernel(_efficient, shares_heads=False)

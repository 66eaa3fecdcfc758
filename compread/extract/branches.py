"""Several answers behind one prompt in one row, each blind to the others.

A row is its prompt and then its answers, one behind the other. Each token stands at the position
that it has behind the prompt alone, and sees the prompt and its own answer up to itself: a tree of
three levels, with the prefix that all rows share before it. So a prompt is run once, however many
answers it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compread.extract.joined import Kernel


@dataclass(frozen=True)
class Branches:
    """Who sees whom in a batch of B rows, padded to T tokens."""

    position: Tensor
    """[B, T] each token's place behind what all rows share."""
    seen: Tensor
    """[B, T, T] which tokens of its row a token sees."""

    def mask(self, shared: int, dtype: torch.dtype) -> Tensor:
        """What is added to attention's scores, [B, 1, T, shared + T]; all see what is shared."""
        seen = torch.nn.functional.pad(self.seen, (shared, 0), value=True)
        least = torch.finfo(dtype).min  # an infinity makes NaN where families add masks up
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, least)[
            :, None
        ]

    @classmethod
    def of(
        cls, prompts: Sequence[int], answers: Sequence[Sequence[int]], device: torch.device
    ) -> Branches:
        """The branches of rows with prompts of these lengths and answers of those.

        >>> Branches.of([2], [[1, 2]], torch.device("cpu")).position.tolist()
        [[0, 1, 2, 2, 3]]
        """
        width = max(own + sum(lengths) for own, lengths in zip(prompts, answers, strict=True))
        position = torch.arange(width).repeat(len(prompts), 1)
        branch = torch.zeros(len(prompts), width, dtype=torch.long)
        for n, (own, lengths) in enumerate(zip(prompts, answers, strict=True)):
            at = own
            for k, length in enumerate(lengths, 1):
                position[n, at : at + length] = own + torch.arange(length)
                branch[n, at : at + length] = k
                at += length
        position, branch = position.to(device), branch.to(device)
        alike = branch[:, :, None] == branch[:, None, :]
        return cls(position, ((branch == 0)[:, None, :] | alike).tril())


def branching(kernel: Kernel, seen: Tensor) -> Kernel:
    """The kernel with a mask [B, T, T] in the place of the causal one."""

    def call(
        query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float
    ) -> tuple[Tensor, Tensor]:
        if not causal:
            return kernel.call(query, key, value, False, scale)
        group = query.shape[1] // key.shape[1]
        if group > 1:
            key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
        masked = _on_cpu if query.device.type == "cpu" else _by_products
        return masked(query, key, value, seen[:, None], scale)

    return Kernel(call, kernel.shares_heads)


def _on_cpu(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    bias = torch.zeros(seen.shape, dtype=query.dtype).masked_fill(~seen, -torch.inf)
    out, lse = flash(query, key, value, 0.0, False, attn_mask=bias, scale=scale)
    return out, lse


def _by_products(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """A softmax written out; the rows' own tokens are few."""
    scores = (query @ key.transpose(-1, -2)).to(torch.promote_types(query.dtype, torch.float32))
    scores = (scores * scale).masked_fill(~seen, -torch.inf)
    lse = scores.logsumexp(-1)
    return (scores - lse[..., None]).exp().to(value.dtype) @ value, lse

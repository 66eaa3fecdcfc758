"""Which rows run together: sorted by length, cut by a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Where a prefix is copied for each row of a batch, this many tokens of keys and values may be held
# for each token that is computed.
_HELD_PER_COMPUTED = 4
# Logits over the whole vocabulary that a batch makes at most: 128 MiB of them in float32.
_MOST_LOGITS = 2**25


def most_rows(vocabulary: int) -> int:
    """Rows of a batch at most, so that its logits stay within a constant size."""
    return max(1, _MOST_LOGITS // vocabulary)


def plan_batches(
    lengths: Sequence[int], budget: int, prefix: int = 0, rows: int | None = None
) -> list[list[int]]:
    """Rows grouped into batches, longest first so that memory is known to suffice from the start.

    The plan depends on nothing but its arguments: a resumed run has the same batches, and so the
    same numbers to the last bit.

    Args:
        lengths: tokens of each row beyond the shared prefix.
        budget: largest number of tokens in a batch, padding included; a row that alone has more
            is a batch of its own.
        prefix: tokens that are held for each row besides, as copies of a shared prefix are.
        rows: rows of a batch at most.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    batches: list[list[int]] = []
    for row in order:
        if batches:
            width, size = lengths[batches[-1][0]], len(batches[-1]) + 1
            held = size * (prefix + width) <= budget * _HELD_PER_COMPUTED or not prefix
            if size * width <= budget and held and (rows is None or size <= rows):
                batches[-1].append(row)
                continue
        batches.append([row])
    return batches


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
    if device.type == "cuda":
        # From pinned memory the copy does not wait for the batch before.
        padded, answer = padded.pin_memory(), answer.pin_memory()
    return padded.to(device, non_blocking=True), answer.to(device, non_blocking=True)

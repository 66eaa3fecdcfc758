"""Which rows run together: sorted by length, cut where the fewest pads are needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Where a prefix is copied for each row of a batch, this many tokens of keys and values may be held
# for each token that is computed.
_HELD_PER_COMPUTED = 4
BATCH_COST = 1 / 16
"""What a batch costs besides its tokens, as a share of the budget: small products are slower."""
# Logits over the whole vocabulary that a batch makes at most: 256 MiB of them in float32; on a CPU,
# whose batches are smaller anyhow, 16 MiB.
_MOST_LOGITS, _MOST_LOGITS_ON_CPU = 2**26, 2**22


def most_rows(vocabulary: int, device: torch.device) -> int:
    """Rows of a batch at most, so that its logits stay within a constant size."""
    most = _MOST_LOGITS_ON_CPU if device.type == "cpu" else _MOST_LOGITS
    return max(1, most // vocabulary)


def plan_batches(
    lengths: Sequence[int],
    budget: int,
    prefix: int = 0,
    rows: int | None = None,
    each: float | None = None,
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
        each: what a batch costs besides its tokens, in tokens; a sixteenth of the budget.
    """
    order = _longest_first(lengths)
    widths = np.array([lengths[row] for row in order], dtype=np.int64)
    sizes = budget // widths
    if prefix:
        sizes = np.minimum(sizes, budget * _HELD_PER_COMPUTED // (prefix + widths))
    if rows is not None:
        sizes = np.minimum(sizes, rows)
    each = budget * BATCH_COST if each is None else each
    return _cut(order, _cheapest_cuts(widths, np.maximum(sizes, 1), each))


def pack_batches(lengths: Sequence[int], budget: int, rows: int | None = None) -> list[list[int]]:
    """Rows grouped into batches without pads: the fewest that there can be, about equally large.

    Longest first, and the same for the same arguments, as in ``plan_batches``.

    Args:
        lengths: tokens of each row beyond the shared prefix.
        budget: largest number of tokens in a batch; a row that alone has more is a batch of its
            own.
        rows: rows of a batch at most.
    """
    order = _longest_first(lengths)
    ends = np.cumsum([lengths[row] for row in order], dtype=np.int64)
    most = rows or max(1, len(order))
    fewest = len(_filled(ends, budget, most))
    too_few, enough = 0, budget
    while too_few + 1 < enough:
        tokens = (too_few + enough) // 2
        if len(_filled(ends, tokens, most)) > fewest:
            too_few = tokens
        else:
            enough = tokens
    return _cut(order, _filled(ends, enough, most))


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))


def _cut(order: list[int], starts: list[int]) -> list[list[int]]:
    """Rows in batches that begin at ``starts``."""
    return [order[start:end] for start, end in pairwise([*starts, len(order)])]


def _filled(ends: npt.NDArray[np.int64], tokens: int, rows: int) -> list[int]:
    """Where batches begin that each take as many rows as they may; rows end at [N] ``ends``."""
    starts: list[int] = []
    at = 0
    while at < len(ends):
        starts.append(at)
        begun = int(ends[at - 1]) if at else 0
        full = int(np.searchsorted(ends, begun + tokens, side="right"))
        at = max(at + 1, min(full, at + rows))
    return starts


def _cheapest_cuts(
    widths: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], each: float
) -> list[int]:
    """Where batches begin, so that their tokens, pads among them, and ``each`` a batch are fewest.

    The cheapest way to the first j rows is a cheapest way to some i < j and one more batch.

    Args:
        widths: [N] tokens of each row, longest first.
        sizes: [N] rows at most of a batch whose longest row this is, never fewer further on.
        each: what a batch costs besides, in tokens.
    """
    n = len(widths)
    # Of a batch from row i on: what it and all before it cost, but for widths[i] times its end.
    begun = np.zeros(n)
    first = np.searchsorted(np.arange(n) + sizes, np.arange(n + 1)).tolist()
    before = [0] * (n + 1)
    cost = 0.0
    for j in range(1, n + 1):
        begun[j - 1] = cost + each - widths[j - 1] * (j - 1)
        through = begun[first[j] : j] + widths[first[j] : j] * j
        best = int(through.argmin())
        cost, before[j] = float(through[best]), first[j] + best
    starts: list[int] = []
    j = n
    while j:
        j = before[j]
        starts.append(j)
    return starts[::-1]


def pad_right(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] padded at the right, and the position of each row's last token [B].

    Under causal attention a pad to the right of the answer is never seen by it, so no mask is
    needed and positions stay those of a row run alone.
    """
    lengths = np.array([len(row) for row in rows])
    filled = np.zeros((len(rows), lengths.max()), dtype=np.int64)
    filled[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(rows)
    padded, answer = torch.from_numpy(filled), torch.from_numpy(lengths - 1)
    return to_device(padded, device), to_device(answer, device)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A copy of a CPU's tensor that does not wait for the batch before."""
    pinned = values.pin_memory() if device.type == "cuda" else values
    return pinned.to(device, non_blocking=True)

"""Which rows run together: sorted by length, cut by a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence

# Keys and values of the shared prefix are held for each row of a batch; this many tokens of them
# may be held for each token that is computed.
_HELD_PER_COMPUTED = 4


def plan_batches(lengths: Sequence[int], budget: int, prefix: int = 0) -> list[list[int]]:
    """Rows grouped into batches, longest first so that memory is known to suffice from the start.

    The plan depends on nothing but its arguments: a resumed run has the same batches, and so the
    same numbers to the last bit.

    Args:
        lengths: tokens of each row beyond the shared prefix.
        budget: largest number of tokens in a batch, padding included; a row that alone has more
            is a batch of its own.
        prefix: number of shared tokens.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    batches: list[list[int]] = []
    for row in order:
        if batches:
            width, size = lengths[batches[-1][0]], len(batches[-1]) + 1
            held = size * (prefix + width)
            if size * width <= budget and held <= budget * _HELD_PER_COMPUTED:
                batches[-1].append(row)
                continue
        batches.append([row])
    return batches

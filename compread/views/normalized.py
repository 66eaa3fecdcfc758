"""What a title says of answers that are made alike in length."""

from __future__ import annotations

from compread.options import NORMALIZATIONS


def normalized(how: str | None, before: str = ", ") -> str:
    """``, log p per token`` for ``tokens``, and nothing for ``none`` and None."""
    said = NORMALIZATIONS.get(how or "", "")
    return f"{before}log p {said}" if said else ""

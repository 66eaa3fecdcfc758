"""What is taken for the labels' shares among the rows to predict: ``--label-shares``.

A method that looks at those rows sees in them both what the prompt favours and what is frequent,
and tells the two apart by what it takes for the shares: even ones, the train rows', given ones, or
an estimate (``solvers.shares``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from compread.array_types import Floats, Ints
from compread.errors import UsageError, option
from compread.options import LABEL_SHARES
from compread.text import did_you_mean

LabelShares: TypeAlias = "str | tuple[float, ...] | None"
"""One of ``options.LABEL_SHARES``, or a share for each label in their order; None: not said."""
ROUNDING = 0.025
"""How far given shares may add up to another number than 1, as sevenths of two digits do."""


def label_shares_of(value: str | Sequence[float] | None) -> LabelShares:
    """What ``--label-shares`` says: a name, or numbers that add up to 1.

    Raises:
        UsageError: neither, or a share that is not above 0.
    """
    if value is None or value in LABEL_SHARES:
        return None if value is None else str(value)
    shown = value if isinstance(value, str) else ",".join(map(str, value))
    known = f"{', '.join(LABEL_SHARES)}, or a share for each label, such as 0.8,0.2"
    try:
        shares = np.array([float(part) for part in shown.split(",")])
    except ValueError as error:
        hint = did_you_mean(shown, LABEL_SHARES)
        raise UsageError(f"{option('label-shares', repr(shown))}: {hint}give {known}") from error
    whole = abs(shares.sum() - 1) <= ROUNDING  # false where one is NaN
    if len(shares) < 2 or not whole or not (shares > 0).all():
        raise UsageError(
            f"{option('label-shares', repr(shown))}: shares are above 0 and add up to 1; give "
            f"{known}"
        )
    return tuple(float(share) for share in shares / shares.sum())


def known_shares(value: LabelShares, gold: Ints, labels: int) -> Floats:
    """[K] what is known of the shares; 0 where they are to be estimated, or the method's own.

    Those of the train rows are of one row of each label more, so that none is 0.

    Args:
        value: of ``label_shares_of``.
        gold: [N] the train rows' labels.
        labels: K.

    Raises:
        UsageError: another number of shares than of labels.
    """
    if value is None or value == "estimate":
        return np.zeros(labels)
    if value == "balanced":
        return np.full(labels, 1 / labels)
    if value == "train":
        counts = np.bincount(gold, minlength=labels) + 1.0
        return np.asarray(counts / counts.sum())
    if len(value) != labels:
        shown = ",".join(f"{share:g}" for share in value if not isinstance(share, str))
        raise UsageError(
            f"{option('label-shares', shown)}: {len(value)} shares, and the rows have {labels} "
            "labels; give one for each, in the order of `compread show`"
        )
    return np.array(value, dtype=float)

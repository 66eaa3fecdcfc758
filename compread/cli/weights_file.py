"""Reads a weights file for the commands that use one, and says where nothing vouches for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compread.reweight.fit import Fit


def read_weights(path: Path) -> tuple[Fit, ...]:
    """The fits of a weights file; a note where the file has no checksum.

    Raises:
        StoreError: it is not one, or damaged.
    """
    from compread.cli.output import note
    from compread.reweight.weights import Weights

    weights = Weights.read(path)
    if not weights.checked:
        note(f"{path} has no checksum, so a changed number would go unnoticed")
    return weights.fits

"""Which fits are of one experiment: a mean is over templates and seeds, never over settings."""

from __future__ import annotations

from collections.abc import Sequence

from compread.reweight.fit import Fit
from compread.store.gather import setting_names


def settings(fits: Sequence[Fit]) -> dict[str, str | None]:
    """The setting of each store, such as ``24-shot`` (``compread.store.gather.setting_names``)."""
    names = setting_names([fit.run for fit in fits])
    return {fit.store: name for fit, name in zip(fits, names, strict=True)}

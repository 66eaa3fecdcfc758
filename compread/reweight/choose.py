"""Which fit of a weights file labels new rows."""

from __future__ import annotations

from collections.abc import Sequence

from compread.errors import UsageError
from compread.reweight.apply import both_forms
from compread.reweight.fit import Fit
from compread.reweight.registry import DEFAULT, METHODS


def choose(
    fits: Sequence[Fit],
    method: str | None = None,
    n_train: int | None = None,
    store: str | None = None,
) -> Fit:
    """The one fit that is asked for, in its form for rows alone.

    Args:
        fits: of a weights file.
        method: None: the default method where the file has it, else the only one there is.
        n_train: train rows; None: the most there are.
        store: (the end of) the path of the store it was fitted on, where there are several.

    Raises:
        UsageError: nothing fits, or more than one does; the message has what there is.
    """
    usable = [form for fit in fits for form in both_forms(fit) if not form.fitted.transductive]
    if method is not None and method in METHODS and METHODS[method].fitted.transductive:
        titles = ", ".join(dict.fromkeys(fit.title for fit in usable))
        raise UsageError(
            f"--method {method} looks at all rows together, and rows come one by one; the file "
            f"has {titles or 'no other'}"
        )
    wanted = method or _default(usable)
    found = [fit for fit in usable if fit.title == wanted]
    if store is not None:
        found = [fit for fit in found if fit.store.endswith(store)]
    counts = sorted({len(fit.train_ids) for fit in found})
    count = n_train if n_train is not None or not counts else counts[-1]
    found = [fit for fit in found if len(fit.train_ids) == count]
    places = list(dict.fromkeys(fit.store for fit in found))
    if not found:
        there = {(fit.title, len(fit.train_ids), fit.store) for fit in usable}
        listed = "; ".join(f"{t} on {n} rows of {s}" for t, n, s in sorted(there)[:6])
        raise UsageError(f"the weights have no such fit; they have {listed or 'none for one row'}")
    if len(places) > 1:
        raise UsageError(
            f"the weights have {wanted} of {len(places)} stores; choose one with --store, such as "
            f"{places[0]}"
        )
    return found[0]


def _default(usable: Sequence[Fit]) -> str:
    titles = list(dict.fromkeys(fit.title for fit in usable))
    for name in (f"{DEFAULT}-row", DEFAULT):
        if name in titles:
            return name
    if len(titles) != 1:
        raise UsageError(f"choose one of the weights' methods with --method: {', '.join(titles)}")
    return titles[0]

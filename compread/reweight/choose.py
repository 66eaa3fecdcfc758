"""Which fit of a weights file labels new rows, or says what a component is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compread.errors import UsageError
from compread.reweight.apply import all_forms, check_model, model_of
from compread.reweight.fit import Fit
from compread.reweight.registry import DEFAULT, METHODS
from compread.store.schema import RunInfo


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
    usable = [form for form in all_forms(fits) if not form.fitted.transductive]
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


def with_weights(
    rows: Sequence[dict[str, Any]], fits: Sequence[Fit], runs: Sequence[RunInfo]
) -> list[dict[str, Any]]:
    """Ranked components with ``weight``, the mean over the fits of one method with most rows.

    The method is the default one where the file has it, else the only one with a weight for each
    component. Rows of other things than components, such as the full model's, have None.

    Args:
        rows: with the key ``component``.
        fits: of a weights file.
        runs: of the stores that the components are ranked on.

    Raises:
        StoreError: a store is of another model than the weights.
        UsageError: no method of the file has such weights, or several have.
    """
    weighted = [fit for fit in fits if "weights" in fit.fitted.parameters()]
    titles = list(dict.fromkeys(fit.title for fit in weighted))
    named = [name for name in (DEFAULT, f"{DEFAULT}-row", "comprw") if name in titles]
    if not named and len(titles) != 1:
        raise UsageError(
            f"--weights: the file has weights for components of {', '.join(titles) or 'no method'};"
            f" save those of one, such as reweight --methods {DEFAULT} --save FILE"
        )
    chosen = [fit for fit in weighted if fit.title == (named or titles)[0]]
    most = max(len(fit.train_ids) for fit in chosen)
    chosen = [fit for fit in chosen if len(fit.train_ids) == most]
    for run in runs:
        check_model(chosen[0], run.fingerprint, f"the stores are of {model_of(run)}")
    total = np.mean([fit.fitted.parameters()["weights"] for fit in chosen], axis=0)
    names = [component.name for component in chosen[0].components]
    by_name = dict(zip(names, map(float, total), strict=True))
    return [{**row, "weight": by_name.get(row["component"])} for row in rows]


def _default(usable: Sequence[Fit]) -> str:
    titles = list(dict.fromkeys(fit.title for fit in usable))
    for name in (f"{DEFAULT}-row", DEFAULT):
        if name in titles:
            return name
    if len(titles) != 1:
        raise UsageError(f"choose one of the weights' methods with --method: {', '.join(titles)}")
    return titles[0]

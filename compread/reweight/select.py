"""Which fit of a weights file labels new rows, or says what a component is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compread.analysis.categories import COUNTED_KINDS
from compread.analysis.runs import RunStats
from compread.array_types import Floats
from compread.components import Component
from compread.errors import StoreError, UsageError, either, option
from compread.reweight.apply import all_forms, check_model, model_of
from compread.reweight.ensemble import Ensemble, forms_of
from compread.reweight.fit import Fit
from compread.reweight.registry import DEFAULT

_SAVE = either(
    f"reweight --methods {DEFAULT} --save FILE", f'reweight(runs, methods="{DEFAULT}").save(file)'
)


def choose(
    fits: Sequence[Fit],
    method: str | None = None,
    n_train: int | None = None,
    store: str | None = None,
) -> Fit:
    """The one fit that is asked for; of several forms the one for rows alone is the default.

    Args:
        fits: of a weights file.
        method: None: the default method where the file has it, else the only one there is.
        n_train: train rows; None: the most there are.
        store: (the end of) the path of the store it was fitted on, where there are several.

    Raises:
        UsageError: nothing fits, or more than one does; the message has what there is.
    """
    usable = all_forms(fits)
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
        raise UsageError(f"the weights have no such fit; they have {listed}")
    if len(places) > 1:
        raise UsageError(
            f"the weights have {wanted} of {len(places)} stores; choose one with "
            f"{option('store')}, such as {places[0]}"
        )
    return found[0]


def looking(fits: Sequence[Fit], method: str | None, told: bool) -> str | None:
    """The method that labels rows whose labels' shares are ``told``: one that looks at them.

    Raises:
        UsageError: the named method, or every one of the fits, scores each row alone.
    """
    if not told:
        return method
    titles = list(dict.fromkeys(fit.title for fit in fits if fit.fitted.transductive))
    if method is None and titles:
        return DEFAULT if DEFAULT in titles else titles[0]
    if method not in titles:
        raise UsageError(
            f"{option('label-shares')} is for methods that look at the rows together, and "
            f"{method or 'the weights are of none that does'}"
            + (
                f" scores each alone; the weights have {', '.join(titles) or 'none'}"
                if method
                else ""
            )
        )
    return method


def choose_ensemble(
    some: Sequence[Ensemble], method: str | None = None, n_train: int | None = None
) -> Ensemble:
    """The one ensemble that is asked for; the form for rows alone is the default.

    Args:
        some: of a weights file, at least one.
        method: None: the default method where there is one of it, else the only one there is.
        n_train: train rows of each store; None: the most there are.

    Raises:
        UsageError: nothing fits, or more than one does; the message has what there is.
    """
    usable = [form for one in some for form in forms_of(one)]
    wanted = method or _default([one.first for one in usable])
    found = [one for one in usable if one.first.title == wanted]
    count = max((one.n_train for one in found), default=0) if n_train is None else n_train
    found = [one for one in found if one.n_train == count]
    if not found:
        there = sorted({f"{one.first.title} on {one.n_train} rows a store" for one in usable})
        raise UsageError(f"the weights have no such ensemble; they have {'; '.join(there)}")
    if len(found) > 1:
        raise UsageError(
            f"the weights have {len(found)} ensembles of {wanted}; fit them on the stores of one, "
            f"or choose a single store's weights with {option('store')}, such as "
            f"{found[0].first.store}"
        )
    return found[0]


@dataclass(frozen=True, eq=False)
class MeanWeights:
    """One weight for each component, the mean over fits."""

    values: Floats
    """[C]"""
    components: tuple[Component, ...]
    title: str
    """The method, as ``--methods`` spells it."""
    n_train: int
    """Train rows of each fit."""
    fits: int

    def by_component(self) -> dict[Component, float]:
        """The weight of each head, mixer and MLP; embedding and biases carry none."""
        return {
            component: float(self.values[j])
            for j, component in enumerate(self.components)
            if component.kind in COUNTED_KINDS
        }


def model_weights(fits: Sequence[Fit], method: str | None = None) -> MeanWeights:
    """Weights that a model can run with, in which 1 leaves a component as it is.

    Those of ``mean_weights``. A method whose weights have no size of their own, as no prediction
    from their sum depends on it, has them brought to a mean size of 1: a model adds them to its
    embedding and its biases.

    Without a ``method`` they are CompRW's where there are some: those lie between 0 and 1 and near
    one another, so that layers still read what they were trained to read.

    Raises:
        UsageError: as in ``mean_weights``.
    """
    there = {fit.title for fit in fits}
    found = mean_weights(fits, method=method or ("comprw" if "comprw" in there else None))
    if not next(fit for fit in fits if fit.title == found.title).fitted.sizeless:
        return found
    carried = np.array([component.kind in COUNTED_KINDS for component in found.components])
    return replace(found, values=found.values / np.abs(found.values[carried]).mean())


def mean_weights(
    fits: Sequence[Fit], runs: Sequence[RunStats] = (), method: str | None = None
) -> MeanWeights:
    """The weight of each component: the mean over a method's fits on one model.

    Of several numbers of train rows the largest counts, and fits on other models than the runs'
    are passed over.

    Args:
        fits: of a weights file.
        runs: what the weights stand beside, if anything; their component axis is the answer's.
        method: as ``--methods`` spells it; None: the default one where the file has it, else
            CompRW, else the only one with a weight for each component.

    Raises:
        StoreError: the weights are of other models than a run, or of other components.
        UsageError: no method of the file has such weights, or several have; without runs, the fits
            are on several models.
    """
    weighted = [fit for fit in fits if fit.fitted.axes.get("weights") == "C"]
    title = _weighted_method(list(dict.fromkeys(fit.title for fit in weighted)), method)
    named = [fit for fit in weighted if fit.title == title]
    model = (runs[0].info if runs else named[0].run).fingerprint
    chosen = [fit for fit in named if fit.run.fingerprint == model]
    if not runs and len(chosen) < len(named):
        raise UsageError("the fits are of different models; give those of one model")
    for run in runs:
        check_model(
            (chosen or named)[0], run.info.fingerprint, f"{run.path} is of {model_of(run.info)}"
        )
    most = max(len(fit.train_ids) for fit in chosen)
    chosen = [fit for fit in chosen if len(fit.train_ids) == most]
    for fit in chosen:
        if runs and fit.components != runs[0].components:
            raise StoreError(
                f"{runs[0].path} has other components than {fit.store}, which the weights were "
                "fitted on; fit weights on stores made as this one"
            )
    mean: Floats = np.mean([fit.fitted.parameters()["weights"] for fit in chosen], axis=0)
    return MeanWeights(mean, chosen[0].components, title, most, len(chosen))


def _weighted_method(titles: Sequence[str], method: str | None) -> str:
    """Which of the methods with a weight for each component is meant."""
    there = ", ".join(titles) or "no method"
    if method is not None:
        if method not in titles:
            raise UsageError(
                f"{option('method', repr(method))}: the weights file has weights for "
                f"components of {there}"
            )
        return method
    named = [name for name in (DEFAULT, f"{DEFAULT}-row", "comprw") if name in titles]
    if named:
        return named[0]
    if len(titles) != 1:
        raise UsageError(
            f"the file has weights for components of {there}; choose one with {option('method')}, "
            f"or save those of one: {_SAVE}"
        )
    return titles[0]


def _default(usable: Sequence[Fit]) -> str:
    titles = list(dict.fromkeys(fit.title for fit in usable))
    if f"{DEFAULT}-row" in titles:
        return f"{DEFAULT}-row"
    alone = [fit.title for fit in usable if not fit.fitted.transductive]
    titles = list(dict.fromkeys(alone)) or titles
    if len(titles) != 1:
        raise UsageError(
            f"choose one of the weights' methods with {option('method')}: {', '.join(titles)}"
        )
    return titles[0]

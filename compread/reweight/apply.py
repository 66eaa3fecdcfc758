"""Weights of a file on other stores: another template, another task, another set of test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from compread.errors import StoreError
from compread.reweight.fit import Fit, Scores, test_scores
from compread.reweight.rows import check_labels
from compread.store import Store
from compread.store.schema import RunInfo


@dataclass(frozen=True)
class Applied:
    """A fit on the test rows of a store."""

    fit: Fit
    store: str
    """The store it was scored on."""
    run: RunInfo
    """That store's run."""
    test: Scores

    def row(self) -> dict[str, Any]:
        """The keys of ``Fit.row``, those of the scored store, and what the fit is from."""
        scored = replace(self.fit, store=self.store, run=self.run, test=self.test)
        return {
            **scored.row(),
            "fitted_on": self.fit.store,
            "fitted_task": self.fit.run.task,
            "fitted_template": self.fit.run.template,
            "fitted_seed": self.fit.run.seed,
        }


def apply(fits: Sequence[Fit], stores: Sequence[Store]) -> tuple[Applied, ...]:
    """Every fit on every store; a transductive one also in its form for rows alone.

    Raises:
        StoreError: a store is of another model or has other components, or a fit for another
            number of labels.
    """
    forms = all_forms(fits)
    done = []
    for store in stores:
        for fit in forms:
            check_match(fit, store)
        for fit, scores in zip(forms, test_scores(store, [f.fitted for f in forms]), strict=True):
            done.append(Applied(fit, str(store.path), store.run, scores))
    return tuple(done)


def all_forms(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """The fits, and behind each its form for rows alone where it has one; none of them twice."""
    found: dict[tuple[str, str, tuple[str, ...]], Fit] = {}
    for fit in fits:
        alone = fit.fitted.alone()
        both = [fit] if alone is None else [fit, replace(fit, method=alone[0], fitted=alone[1])]
        for form in both:
            found.setdefault((form.title, form.store, form.train_ids), form)
    return tuple(found.values())


def check_match(fit: Fit, store: Store) -> None:
    """Refuses a store that the fit's numbers say nothing about.

    Raises:
        StoreError: as in ``apply``.
    """
    name = str(store.path)
    check_labels(store.labels, name)
    check_model(fit, store.run.fingerprint, f"{name} is of {model_of(store.run)}")
    if tuple(store.components) != fit.components:
        raise StoreError(
            f"{name} has {len(store.components)} components that are not the {len(fit.components)} "
            f"of the weights; fit weights on stores of its model"
        )
    by_label = any("K" in letters for letters in fit.fitted.axes.values())
    if by_label and len(store.labels.word) != len(fit.labels.word):
        raise StoreError(
            f"{name} has {len(store.labels.word)} labels, and {fit.title} was fitted for the "
            f"{len(fit.labels.word)} of {fit.run.task}; choose a method that has no numbers for "
            "single labels, such as comprw"
        )


def check_model(fit: Fit, fingerprint: str, found: str) -> None:
    """Refuses another model than the fit's, or its weights in another type.

    ``found`` begins the message: what is there instead, and in which type.

    Raises:
        StoreError: the fingerprints differ.
    """
    if fingerprint != fit.run.fingerprint:
        raise StoreError(
            f"{found} (fingerprint {fingerprint}), and the weights are of {model_of(fit.run)} "
            f"(fingerprint {fit.run.fingerprint}); fit weights on stores of this model"
        )


def model_of(run: RunInfo) -> str:
    """A run's model as messages name it: two types of one model are two models."""
    return f"{run.model} in {run.dtype}"

"""Weights of a file on other stores: another template, another task, another set of test rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compread.errors import StoreError, UsageError, option
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL
from compread.reweight.fit import Fit
from compread.reweight.label_shares import LabelShares, known_shares
from compread.reweight.method import Transductive
from compread.reweight.registry import METHODS, check_own_answers
from compread.reweight.rows import check_labels
from compread.reweight.scoring import HeldOutAccuracy, test_scores
from compread.store import Store
from compread.store.schema import RunInfo
from compread.text import model_name


@dataclass(frozen=True)
class Applied:
    """A fit on the test rows of a store."""

    fit: Fit
    store: str
    """The store it was scored on."""
    run: RunInfo
    """That store's run."""
    test: HeldOutAccuracy

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


def apply(forms: Sequence[Fit], stores: Sequence[Store]) -> tuple[Applied, ...]:
    """Every fit on every store.

    Args:
        forms: of ``forms_named``.
        stores: opened with the pooling of ``pooling_of``.

    Raises:
        StoreError: a store is of another model, has other components or is pooled in another way,
            or a fit is for another number of labels.
    """
    done = []
    for store in stores:
        for fit in forms:
            check_match(fit, store)
        own = [same_prompt(fit.run, store.run) for fit in forms]
        fitted = [f.fitted if same else f.fitted.elsewhere()
                  for f, same in zip(forms, own, strict=True)]  # fmt: skip
        at = [fit.temperature for fit in forms]
        for fit, scores in zip(forms, test_scores(store, fitted, at), strict=True):
            done.append(Applied(fit, str(store.path), store.run, scores))
    return tuple(done)


def same_prompt(fitted_on: RunInfo, run: RunInfo) -> bool:
    """Whether rows stand behind the same words, which set the level of each label's score."""
    words = ("task", "template", "template_text", "demonstrations", "seed", "shots")
    return all(getattr(fitted_on, name) == getattr(run, name) for name in words)


def retold(fit: Fit, said: LabelShares) -> Fit:
    """A fit for rows whose labels have other shares than it was fitted for.

    The same where ``said`` is None, and where its method scores rows one by one.

    Raises:
        UsageError: another number of shares than labels, or one that the fit cannot know.
    """
    fitted = fit.fitted
    if said is None or not isinstance(fitted, Transductive):
        return fit
    own = METHODS[fit.method].own_shares
    was = fit.hyperparameters.get("label_shares", own)
    if said == was:
        return fit
    if said == "train" or (said == "estimate" and own != "estimate"):
        raise UsageError(
            f"{option('label-shares', said)}: the weights of {fit.title} lack that; fit them with "
            f"{option('label-shares', said)}"
        )
    shares = known_shares(said, np.empty(0, np.int64), len(fit.labels.word))
    kept = said if isinstance(said, str) else [*said]
    told = {**fit.hyperparameters, "label_shares": kept}
    return replace(fit, fitted=fitted.told(shares), hyperparameters=told)


def all_forms(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """The fits, and behind each its form for rows alone where it has one; none of them twice."""
    found: dict[tuple[str, str, tuple[str, ...]], Fit] = {}
    for fit in fits:
        alone = fit.fitted.row_wise()
        both = [fit] if alone is None else [fit, replace(fit, method=alone[0], fitted=alone[1])]
        for form in both:
            found.setdefault((form.title, form.store, form.train_ids), form)
    return tuple(found.values())


def forms_named(fits: Sequence[Fit], titles: Sequence[str] | None) -> tuple[Fit, ...]:
    """All forms of the fits, or those of some methods, such as ``["comprw", "blend-row"]``.

    Raises:
        UsageError: no fit is of such a method.
    """
    forms = all_forms(fits)
    if titles is None:
        return forms
    check_titles(titles, [form.title for form in forms])
    return tuple(form for form in forms if form.title in titles)


def check_titles(asked: Sequence[str] | None, there: Sequence[str], name: str = "methods") -> None:
    """Refuses methods that weights are not of; ``name`` is the option that asks for them.

    Raises:
        UsageError: as in ``forms_named``.
    """
    for title in asked or ():
        if title not in there:
            known = ", ".join(dict.fromkeys(there))
            raise UsageError(f"{option(name, repr(title))}: the weights are of {known}")


def pooling_of(fits: Sequence[Fit], asked: str | None) -> str:
    """How stores are to be pooled for the fits: as their own were, which is what they weigh.

    Args:
        fits: of a weights file.
        asked: what the user asked for; None is whatever the fits have.

    Raises:
        UsageError: they were pooled in several ways, or not as asked.
    """
    pooled = (fit.pooled_by for fit in fits if fit.pooled_by is not None)
    return _as_fitted("pool", pooled, asked) or DEFAULT_POOL


def normalization_of(fits: Sequence[Fit], asked: str | None) -> str:
    """How answers of different lengths are to be made alike for the fits: as they were for them.

    Args:
        fits: of a weights file.
        asked: what the user asked for; None is whatever the fits have.

    Raises:
        UsageError: they had it in several ways, or not as asked.
    """
    found = _as_fitted("normalize", (fit.run.normalize for fit in fits), asked)
    return found or DEFAULT_NORMALIZATION


def _as_fitted(name: str, ways: Iterable[str], asked: str | None) -> str | None:
    """What the fits have in common, or what is asked for where none of them says.

    Raises:
        UsageError: they differ, or something else is asked for.
    """
    found = list(dict.fromkeys(ways))
    if len(found) > 1:
        raise UsageError(
            f"the weights were fitted with {option(name, found[0])} and {' and '.join(found[1:])}; "
            f"choose fits of one with {option('methods')}, or apply a file of one"
        )
    if found and asked not in (None, found[0]):
        raise UsageError(
            f"{option(name, asked)}: the weights were fitted with {option(name, found[0])}; give "
            "that"
        )
    return found[0] if found else asked


def check_match(fit: Fit, store: Store) -> None:
    """Refuses a store that the fit's numbers say nothing about.

    Raises:
        StoreError: as in ``apply``.
    """
    name = str(store.path)
    check_labels(store.labels, name)
    own = store.axes.has_own_answers
    if own:
        check_own_answers([METHODS[fit.method].make(fit.recipe)], name)
    check_model(fit, store.run.fingerprint, f"{name} is of {model_of(store.run)}")
    if tuple(store.components) != fit.components:
        raise StoreError(
            f"{name} has {len(store.components)} components that are not the {len(fit.components)} "
            f"of the weights; fit weights on stores of its model"
        )
    if store.pooling is not None and fit.pooled_by not in (None, store.pooling.how):
        raise StoreError(
            f"{name} is read with labels pooled by {store.pooling.how}, and {fit.title} was fitted "
            f"with {fit.pooled_by}; open it with that"
        )
    # Where columns are positions, no number is of a label.
    by_label = not own and any("K" in letters for letters in fit.fitted.axes.values())
    if by_label and len(store.labels.word) != len(fit.labels.word):
        raise StoreError(
            f"{name} has {len(store.labels.word)} labels, and {fit.title} was fitted for the "
            f"{len(fit.labels.word)} of {fit.run.task}; choose a method that has no numbers for "
            "single labels, such as comprw"
        )
    here, there = store.labels.word, fit.labels.word
    if by_label and here != there and sorted(here) == sorted(there):
        raise StoreError(
            f"{name} has the labels {', '.join(here)} in another order than {fit.title} was fitted "
            f"for, {', '.join(there)}; make the store with its options in that order"
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
    return f"{model_name(run.model)} in {run.dtype}"

"""Ensembles of a weights file on other stores: other test rows, other demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compread.errors import StoreError
from compread.reweight.apply import (
    Applied,
    apply,
    check_match,
    check_titles,
    forms_named,
    retold,
    same_prompt,
)
from compread.reweight.ensemble import Ensemble, forms_of, score
from compread.reweight.fit import Fit
from compread.reweight.label_shares import LabelShares
from compread.reweight.matching import matched
from compread.store import Store


@dataclass(frozen=True)
class AppliedEnsemble:
    """An ensemble on the test rows that some stores share."""

    members: tuple[Applied, ...]
    """Each store's member on that store alone."""
    together: Ensemble
    """With a member for each of the stores, scored on them."""

    def rows(self) -> list[dict[str, Any]]:
        """The keys of ``Applied.row`` for each store, then for all of them, named in ``stores``."""
        alone = [{**one.row(), "ensemble": None, "stores": [one.store]} for one in self.members]
        own = {**self.together.row(), "stores": [one.store for one in self.members]}
        own |= {"n_train": own["labelled"], "fitted_task": self.together.first.run.task}
        return [*alone, {key: own.get(key) for key in alone[0]}]


def apply_ensembles(
    some: Sequence[Ensemble], stores: Sequence[Store]
) -> tuple[AppliedEnsemble, ...]:
    """Every ensemble on the stores that belong together.

    A store is scored by the member of its own prompt; behind other demonstrations, by the first
    member of its template, as weights of a single store are.

    Args:
        some: of a weights file.
        stores: opened with the pooling of ``pooling_of``.

    Raises:
        StoreError: as in ``apply`` and ``ensembles``, or a store is of another task or template, or
            a template has no store.
    """
    found: list[AppliedEnsemble] = []
    for how in dict.fromkeys(one.how for one in some):
        for group, _ in matched(stores, how):
            there = [stores[n] for n in group]
            found += _on(there, _of_task([one for one in some if one.how == how], there[0]))
    return tuple(found)


def _of_task(some: Sequence[Ensemble], store: Store) -> list[Ensemble]:
    found = [one for one in some if store.run.task in {of.run.task for of in one.members}]
    if not found:
        tasks = " and ".join(dict.fromkeys(one.first.run.task for one in some))
        raise StoreError(
            f"{store.path} is of task {store.run.task}, and the ensembles of {tasks}; weights of a "
            "single store can be applied to other tasks"
        )
    return found


def _on(stores: Sequence[Store], some: Sequence[Ensemble]) -> list[AppliedEnsemble]:
    """Ensembles on the stores of one group."""
    chosen = [[_member(one, store) for store in stores] for one in some]
    bound = [_bound(one, own, stores) for one, own in zip(some, chosen, strict=True)]
    by_store = [
        apply([one.members[own[s]] for one, own in zip(some, chosen, strict=True)], [store])
        for s, store in enumerate(stores)
    ]
    alone = zip(*by_store, strict=True)
    return [AppliedEnsemble(*both) for both in zip(alone, score(bound, stores), strict=True)]


def _member(one: Ensemble, store: Store) -> int:
    """The number of the member that scores a store."""
    numbers = range(len(one.members))
    own = [n for n in numbers if same_prompt(one.members[n].run, store.run)]
    alike = [n for n in numbers if one.members[n].run.wording == store.run.wording]
    if not own and not alike:
        there = ", ".join(dict.fromkeys(member.run.wording for member in one.members))
        raise StoreError(
            f"{store.path} is of template {store.run.wording}, and the ensemble of {there}; fit "
            "it with a store of that template, or leave this one out"
        )
    return (own or alike)[0]


def _bound(one: Ensemble, chosen: Sequence[int], stores: Sequence[Store]) -> Ensemble:
    """The ensemble with a member for each store."""
    members: list[Fit] = []
    for n, store in zip(chosen, stores, strict=True):
        member = one.members[n]
        check_match(member, store)
        if store.labels.word != member.labels.word:
            raise StoreError(
                f"{store.path} has the labels {', '.join(store.labels.word)}, and the weights of "
                f"its template {', '.join(member.labels.word)}; make it with those"
            )
        own = same_prompt(member.run, store.run)
        members.append(member if own else replace(member, fitted=member.fitted.elsewhere()))
    there = {store.run.wording for store in stores}
    for member in one.members:
        if member.run.wording not in there:
            raise StoreError(
                f"the ensemble has a member of template {member.run.wording} of {member.run.task}"
                ", and no store is of that; give one with the same test rows"
            )
    return replace(
        one,
        members=tuple(members),
        sizes=tuple(one.sizes[n] for n in chosen),
        columns=tuple(one.columns[n] for n in chosen),
    )


def named(
    fits: Sequence[Fit],
    some: Sequence[Ensemble],
    titles: Sequence[str] | None,
    shares: LabelShares = None,
) -> tuple[tuple[Fit, ...], tuple[Ensemble, ...]]:
    """What of a weights file is applied: the ensembles with their members, else all the fits.

    Behind each stands its form for rows alone.

    Args:
        fits: of the file.
        some: the file's ensembles.
        titles: the methods, such as ``["comprw", "blend-row"]``; None: all.
        shares: what transductive ones take for the labels' shares; None: what they were fitted for.

    Raises:
        UsageError: the file has no weights of such a method.
    """
    if not some:
        return tuple(retold(fit, shares) for fit in forms_named(fits, titles)), ()
    forms: dict[tuple[Any, ...], Ensemble] = {}
    for one in some:
        for form in forms_of(one):
            stores = tuple(member.store for member in form.members)
            forms.setdefault((form.first.title, form.how, form.n_train, stores), form)
    check_titles(titles, [form.first.title for form in forms.values()])
    chosen = [
        retold_ensemble(one, shares)
        for one in forms.values()
        if titles is None or one.first.title in titles
    ]
    return tuple(member for one in chosen for member in one.members), tuple(chosen)


def retold_ensemble(one: Ensemble, shares: LabelShares) -> Ensemble:
    """An ensemble whose members are told the labels' shares, as in ``retold``."""
    members = (
        retold(member, _of_member(shares, columns))
        for member, columns in zip(one.members, one.columns, strict=True)
    )
    return replace(one, members=tuple(members))


def _of_member(shares: LabelShares, columns: Sequence[int]) -> LabelShares:
    """Shares of the ensemble's labels in the order of a member's own."""
    if not isinstance(shares, tuple) or len(shares) != len(columns):
        return shares  # of another number: the member says so
    return tuple(shares[int(k)] for k in np.argsort(columns))


def applied(
    fits: Sequence[Fit], some: Sequence[Ensemble], stores: Sequence[Store]
) -> list[dict[str, Any]]:
    """The rows of ``reweight --apply``, of what ``named`` gave.

    Raises:
        StoreError: as in ``apply`` and ``apply_ensembles``.
    """
    if not some:
        return [one.row() for one in apply(fits, stores)]
    return [row for one in apply_ensembles(some, stores) for row in one.rows()]

"""The methods by name: the one place to enter a new one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from compread.errors import StoreError, UsageError, flag, option
from compread.reweight.label_shares import LabelShares
from compread.reweight.method import Method
from compread.reweight.methods.affine import Affine
from compread.reweight.methods.batch_calibration import (
    BatchLog,
    BatchProbability,
    TrainLog,
    TrainProbability,
)
from compread.reweight.methods.blend import Blend, BlendRow
from compread.reweight.methods.calib import CalibPlus
from compread.reweight.methods.centroid import NearestCentroid
from compread.reweight.methods.comprw import CompRW
from compread.reweight.methods.content_free import Contextual, DomainContext
from compread.reweight.methods.full import Full
from compread.reweight.methods.linc import LinC
from compread.reweight.methods.prototypical import Prototypical
from compread.reweight.methods.single import BestOne, TaskLearning, TaskRecognition, Vote
from compread.reweight.methods.unibias import UniBias
from compread.text import nearest

_ALL: tuple[type[Method], ...] = (
    Full, CalibPlus, BatchLog, BatchProbability, TrainLog, TrainProbability, Contextual,
    DomainContext, Prototypical, LinC, Affine, BestOne, Vote, NearestCentroid, UniBias,
    TaskRecognition, TaskLearning, CompRW, Blend, BlendRow,
)  # fmt: skip
METHODS: dict[str, type[Method]] = {method.name: method for method in _ALL}
"""In the order of the tables."""
DEFAULT = "blend"
"""The method that weights are used of where no other is named."""


def make_methods(
    names: Sequence[str], recipe: str | None = None, label_shares: LabelShares = None
) -> tuple[Method, ...]:
    """The methods of these names, each once, in the order given.

    Args:
        names: such as ``["full", "comprw", "comprw:convex"]``; a recipe after a colon goes before
            ``recipe``.
        recipe: the recipe for those methods that have it; None: each one's default.
        label_shares: what transductive methods take for the labels' shares; None: what each of
            them does of its own.

    Raises:
        UsageError: no name is given, or a method or recipe is not known.
    """
    if not names:
        raise UsageError(f"{option('methods')} names no method; there is {', '.join(METHODS)}")
    if recipe is not None:
        _check(recipe, dict.fromkeys(r for m in METHODS.values() for r in m.recipes), "recipe")
    made: dict[tuple[str, str | None], Method] = {}
    for text in names:
        name, colon, own = text.partition(":")
        _check(name, METHODS, "methods")
        recipes = METHODS[name].recipes
        if colon and not recipes:
            raise UsageError(f"{option('methods', repr(text))}: {name} has no recipes")
        if colon:
            _check(own, recipes, "methods", f"{name}:")
        method = METHODS[name].make(own or (recipe if recipe in recipes else None))
        if label_shares is not None and method.fitted.transductive:
            method = replace(cast("Any", method), label_shares=label_shares)
        made[name, method.recipe] = method
    if label_shares is not None and not any(m.fitted.transductive for m in made.values()):
        known = ", ".join(name for name, m in METHODS.items() if m.fitted.transductive)
        raise UsageError(
            f"{option('label-shares')} is for methods that look at the rows to predict together; "
            f"ask for one of {known}"
        )
    return tuple(made.values())


def without_labels_in_common() -> tuple[str, ...]:
    """The methods that take rows with answers of their own."""
    return tuple(name for name, method in METHODS.items() if method.own_answers)


def for_own_answers(methods: Sequence[Method]) -> tuple[tuple[Method, ...], str | None]:
    """Those of the default methods that take rows with answers of their own, and a note on it."""
    kept = tuple(method for method in methods if method.own_answers)
    left = ", ".join(method.title for method in methods if not method.own_answers)
    told = f"rows have answers of their own, so {left}, which need labels in common, are left out"
    return kept, told if left else None


def check_own_answers(methods: Sequence[Method], store: str) -> None:
    """Refuses methods that need labels in common.

    Raises:
        StoreError: some do; the message names those that do not.
    """
    refused = [method.title for method in methods if not method.own_answers]
    if refused:
        works = option("methods", ",".join(without_labels_in_common()))
        raise StoreError(
            f"{store}: each row has answers of its own, and {', '.join(refused)} "
            f"{'goes' if len(refused) == 1 else 'go'} by labels that all rows have; take {works}"
        )


def recipe_of(recipe: str | None, signed: bool) -> str | None:
    """The recipe that is asked for by its name, and whether weights may have any sign.

    Raises:
        UsageError: ``signed`` with another recipe than ``convex``.
    """
    if signed and recipe != "convex":
        raise UsageError(
            f"{flag('signed')} goes with {option('recipe', 'convex')}, not {recipe or 'official'}"
        )
    return "signed" if signed else recipe


def title_of(method: str, recipe: str | None) -> str:
    """A method as ``--methods`` spells it: with its recipe where that is not the default."""
    plain = recipe is None or recipe == METHODS[method].recipes[0]
    return method if plain else f"{method}:{recipe}"


def title_in(row: Mapping[str, Any]) -> str:
    """``title_of`` a result's row; that of a mean has the title as its method, and no recipe."""
    return title_of(row["method"], row.get("recipe"))


def _check(name: str, known: Collection[str], of: str, method: str = "") -> None:
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near!r}? There is" if near else "there is"
        hint = hint if name else "there is a name missing at a comma; there is"
        raise UsageError(f"{option(of, repr(method + name))}: {hint} {', '.join(known)}")

"""Component weights from Python: what the command ``reweight`` fits, scores, keeps and applies.

``reweighted`` runs a loaded model with them, and needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from compread.analysis.repeats import repeats
from compread.api.gathering import (
    check_choice,
    found_stores,
    normalization_of,
    pool_of,
    tell,
    tell_repeats,
)
from compread.api.results import Result, Results, in_python, lists_of, result_of
from compread.api.runs import StorePath, Stores
from compread.components import Component
from compread.errors import told_in_python
from compread.options import DEFAULT_METHODS, ENSEMBLES
from compread.reweight import apply as applying
from compread.reweight import fit as fitting
from compread.reweight.apply import check_model, pooling_of
from compread.reweight.ensemble import Ensemble, ensembles
from compread.reweight.ensemble_apply import applied, named
from compread.reweight.fit import Fit
from compread.reweight.label_shares import label_shares_of
from compread.reweight.matching import matched
from compread.reweight.registry import for_own_answers, make_methods, recipe_of
from compread.reweight.results import document as document_of
from compread.reweight.select import model_weights
from compread.reweight.weights_file import Weights
from compread.store import Store, open_store
from compread.views.reweight import apply_view, reweight_view


@dataclass(frozen=True, eq=False, repr=False)
class Reweighting(Results):
    """Fits and their scores: ``runs``, ``summary``, ``average``, and what was asked for beside."""

    fits: tuple[Fit, ...] = ()
    """With the fitted arrays, for ``apply_weights`` and ``rank(..., weights=...)``."""
    ensembles: tuple[Ensemble, ...] = ()
    """Those that were asked for."""

    @told_in_python
    def save(self, path: StorePath, force: bool = False) -> Path:
        """Keep the weights in a JSON file, as ``compread reweight --save`` does.

        They have temperatures, which ``compread predict`` asks for, if ``metrics`` was asked for.

        Raises:
            TargetError: the file exists and ``force`` is off, or it cannot be written.
        """
        target = Path(path).expanduser()
        Weights(self.fits, self.ensembles).write(target, force)
        return target


AnyWeights: TypeAlias = "StorePath | Reweighting"
"""A weights file, or what ``reweight`` gave."""


@told_in_python
def reweight(
    stores: Stores,
    *,
    n_train: int | Sequence[int] | None = None,
    methods: str | Sequence[str] = DEFAULT_METHODS,
    recipe: str | None = None,
    signed: bool = False,
    versus: str | None = None,
    oracle: bool = False,
    ensemble: str | None = None,
    metrics: bool = False,
    label_shares: str | Sequence[float] | None = None,
    pool: str | None = None,
    normalize: str | None = None,
) -> Reweighting:
    """Fit component weights on train rows and score them on test rows.

    The lists of ``compread reweight --format json``.

    Args:
        stores: runs, or what ``compread.open`` takes.
        n_train: fit on the first so many train rows of each store, or on each of several numbers;
            None: on all.
        methods: such as ``["full", "comprw:convex"]``.
        recipe: how methods that have recipes are trained, such as ``convex``; None: each one's own
            first.
        signed: with ``convex``, weights of any sign and size.
        versus: test each other method against this one, paired.
        oracle: also what fitting on the test rows themselves would give.
        ensemble: ``templates``, ``seeds`` or ``both``: also average the scores of each task's
            stores that differ in these; lists ``ensembles`` and ``ensemble_average``.
        metrics: fit temperatures too, which a file saved from the result then has, and show how
            far the probabilities can be trusted.
        label_shares: what methods that look at the rows to predict take for the labels' shares
            among them: ``train``, ``balanced``, ``estimate``, or a share for each label; None: each
            method's own default.
        pool: how label words of one class become one label; None: as in the runs.
        normalize: what makes answers of different lengths alike; None: as in the runs.

    Raises:
        UsageError: an unknown method or recipe, or too few train rows.
        StoreError: stores that cannot be read, or lack what a method needs.
    """
    if ensemble is not None:
        check_choice("ensemble", ensemble, ENSEMBLES)
    chosen = make_methods(_names(methods), recipe_of(recipe, signed), label_shares_of(label_shares))
    budgets = (n_train,) if n_train is None or isinstance(n_train, int) else tuple(n_train)
    with ExitStack() as opened:
        alike = normalization_of(stores, normalize)
        there = _opened(opened, stores, pool_of(stores, pool), alike)
        if ensemble is not None:
            matched(there, ensemble, budgets)  # before the fits, which may take long
        default = tuple(_names(methods)) == DEFAULT_METHODS
        if default and any(store.axes.has_own_answers for store in there):
            chosen, told = for_own_answers(chosen)
            if told:
                tell(told)
        for line in fitting.forewarn(there, chosen, budgets):
            tell(line)
        fits = fitting.reweight(there, chosen, budgets, temperatures=metrics)
        together: tuple[Ensemble, ...] = ()
        if ensemble is not None:
            together = ensembles(there, fits, chosen, budgets, ensemble)
        document = document_of(fits, versus, together)
        found: tuple[Fit, ...] = ()
        if oracle:
            found = fitting.oracles(there, chosen)
            document["oracle"] = [one.row() for one in found]
    for line in (*fitting.unsolved(fits), *fitting.unsolved(found)):
        tell(line)
    tables = in_python(reweight_view(document, metrics))
    return Reweighting(lists_of(document), tables, fits, together)


@told_in_python
def apply_weights(
    weights: AnyWeights,
    stores: Stores,
    *,
    methods: str | Sequence[str] | None = None,
    metrics: bool = False,
    label_shares: str | Sequence[float] | None = None,
    pool: str | None = None,
    normalize: str | None = None,
) -> Result:
    """Score fitted weights on the test rows of other stores of the same model.

    The rows of ``compread reweight --apply FILE --format json``.

    Args:
        weights: a weights file, or what ``reweight`` gave.
        stores: runs, or what ``compread.open`` takes.
        methods: those of them to score; None: all.
        metrics: show how far the probabilities can be trusted.
        label_shares: as in ``reweight``; None: as the fits had them.
        pool: how label words of one class become one label; None: as the fits had them.
        normalize: what makes answers of different lengths alike; None: as the fits had it.

    Raises:
        UsageError: there are no weights of such a method, or they were pooled in another way.
        StoreError: a store of another model, or one that cannot be read.
    """
    given = weights_of(weights)
    titles = None if methods is None else _names(methods)
    fits, some = named(given.fits, given.ensembles, titles, label_shares_of(label_shares))
    with ExitStack() as opened:
        alike = applying.normalization_of(fits, normalize)
        there = _opened(opened, stores, pooling_of(fits, pool), alike)
        rows = applied(fits, some, there)
    return result_of(Result, rows, apply_view(rows, metrics))


def weights_of(weights: AnyWeights) -> Weights:
    """What a weights file holds, or a result.

    Raises:
        StoreError: the file is no weights file, or damaged.
    """
    if isinstance(weights, Reweighting):
        return Weights(weights.fits, weights.ensembles)
    path = Path(weights).expanduser()
    read = Weights.read(path)
    for doubt in read.doubts(path):
        tell(doubt)
    return read


def _opened(opened: ExitStack, stores: Stores, pool: str, normalize: str) -> list[Store]:
    """The stores, open until the stack is left, with a warning of rows that stand twice."""
    paths = found_stores(stores)
    there = [opened.enter_context(open_store(path, pool, normalize)) for path in paths]
    tell_repeats([repeats(store, "test") for store in there], "test")
    return there


def _names(methods: str | Sequence[str]) -> list[str]:
    named = methods.split(",") if isinstance(methods, str) else methods
    return [name.strip() for name in named]


@contextmanager
def reweighted(model: Any, weights: AnyWeights, *, method: str | None = None) -> Iterator[None]:
    """Run a loaded model with fitted weights on its heads, mixers and MLPs, for a ``with`` block.

        with compread.reweighted(model, "weights.json"):
            model.generate(...)

    The same as ``compread reweight --export-model`` saves, by hooks: it also works where a weight
    cannot be multiplied into one matrix, as with a mixture of experts or with packed weights. The
    model is afterwards as it was. Biases of the output projections and the embedding keep weight 1.
    ``compread.extract`` refuses the model meanwhile, as the store would be told to be its own.

    Args:
        model: a causal language model of ``transformers``: the one that the weights are of.
        weights: a weights file, or what ``reweight`` gave; of several fits of a method the mean.
        method: whose weights; None: CompRW's where there are some, else Blend's, at a
            mean size of 1.

    Raises:
        StoreError: the weights are of another model, or of its weights in another type.
        UsageError: there are no weights of such a method, or of several.
        ModelError: the model cannot be read, or a norm behind its blocks would undo a weight.
    """
    chosen = _weights_for(model, weights, method)
    from compread.model.weighted import weighted

    with weighted(model, chosen):
        yield


@told_in_python
def _weights_for(model: Any, weights: AnyWeights, method: str | None) -> Mapping[Component, float]:
    """The weights, which must be of this model."""
    from compread.model.load.fingerprint import fingerprint

    fits = weights_of(weights).fits
    found = model_weights(fits, method)
    fit = next(one for one in fits if one.title == found.title)
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    check_model(fit, fingerprint(model), f"the model given is in {dtype}")
    return found.by_component()

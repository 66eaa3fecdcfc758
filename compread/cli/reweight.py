"""``compread reweight``: fit component weights and baselines, and score them on the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compread import options
from compread.cli import complete
from compread.cli.forms import FORMAT, ONE_TABLE, TABLE, TABLE_OPTIONS
from compread.cli.inputs import found_stores, read_weights_of, tell_repeats
from compread.cli.options import (
    ANY_STORES,
    AS_STORED,
    NORMALIZE,
    POOL,
    POOLED,
    Ensemble,
    named_options,
)
from compread.cli.reweight_export import check as check_export
from compread.cli.reweight_export import export
from compread.cli.values import FILE, PATH

if TYPE_CHECKING:
    from compread.reweight.method import Method
    from compread.reweight.weights_file import Weights
    from compread.views.choose import Form

EXAMPLE = """\
compread reweight stores/sst2.h5 --n-train 20 --save weights.json
compread reweight stores/ --n-train 8,20 --methods full,comprw,blend --versus comprw
compread reweight --apply weights.json other.h5"""
BESIDE_APPLY = {
    "--apply", "--label-shares", "--methods", "--metrics", "--pool", "--normalize",
    "--table", *TABLE_OPTIONS,
}  # fmt: skip
OF_EXPORT = {"--export-model", "--model", "--force"}


N_TRAIN = Annotated[
    str | None,
    typer.Option(
        metavar="N,...",
        help="Fit on the first N train rows of each store; all of them by default.",
    ),
]
METHODS = Annotated[
    str,
    typer.Option(
        metavar="M,...",
        autocompletion=complete.methods,
        help="Methods to compare, such as full,comprw:convex; --list-methods has all.",
    ),
]
RECIPE = Annotated[
    str | None,
    typer.Option(
        help="How comprw is trained: official (the paper's released code), paper (its text), "
        "convex (to the optimum, λ by cross-validation).  [default: official]",
    ),
]
SIGNED = Annotated[
    bool, typer.Option("--signed", help="With --recipe convex: let weights have any sign and size.")
]
VERSUS = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        autocompletion=complete.methods,
        help="Test each other method against this one, paired.",
    ),
]
ORACLE = Annotated[
    bool,
    typer.Option("--oracle", help="Also show the upper bound: fits on the test rows themselves."),
]
ENSEMBLE = Annotated[
    Ensemble | None,
    typer.Option(
        "--ensemble",
        help="Also combine the stores of a task that differ in this.",
    ),
]
METRICS = Annotated[
    bool,
    typer.Option(
        "--metrics", help="Also show how far probabilities can be trusted: ECE, Brier, log loss."
    ),
]
LABEL_SHARES = Annotated[
    str | None,
    typer.Option(
        "--label-shares",
        metavar="S",
        help="What methods that look at the rows to predict take for the labels' shares among "
        "them: 0.8,0.2 in the labels' order, train (those of the train rows), balanced or "
        "estimate.  [default: each method's own]",
    ),
]
APPLY = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Fit nothing: score the weights in FILE (all, or --methods) on the test rows.",
    ),
]
SAVE = Annotated[
    Path | None,
    typer.Option(help="Keep the weights in this JSON file.", **FILE),
]
EXPORT = Annotated[
    Path | None,
    typer.Option(
        help="Save a copy of the model with the weights of comprw, else blend, multiplied in.",
        **PATH,
    ),
]
MODEL = Annotated[
    str | None,
    typer.Option("--model", help="With --export-model: the model. [default: the stores']"),
]
FORCE = Annotated[
    bool, typer.Option("--force", help="Replace what --save or --export-model names.")
]
LIST_METHODS = Annotated[
    bool,
    typer.Option(
        "--list-methods",
        help="Say what each method is, and whether it can label a row alone.",
    ),
]


def reweight(
    context: typer.Context,
    stores: ANY_STORES = None,
    n_train: N_TRAIN = None,
    methods: METHODS = ",".join(options.DEFAULT_METHODS),
    recipe: RECIPE = None,
    signed: SIGNED = False,
    versus: VERSUS = None,
    oracle: ORACLE = False,
    ensemble: ENSEMBLE = None,
    metrics: METRICS = False,
    label_shares: LABEL_SHARES = None,
    apply: APPLY = None,
    save: SAVE = None,
    export_model: EXPORT = None,
    model: MODEL = None,
    force: FORCE = False,
    list_methods: LIST_METHODS = False,
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
    table: ONE_TABLE = None,
    format: FORMAT = TABLE,
) -> None:
    """Fit component weights on train rows; score them on test rows.

    Each method learns from the train rows of a store and is scored on its test rows, beside the
    full model and calibration baselines. Given several stores, the table has means and standard
    deviations over them.

    JSON has the lists `runs` (a row for each store, number of train rows and method), `summary`
    (mean and standard deviation over the stores of a task) and `average` (mean over tasks), and
    `versus`, `oracle`, `ensembles` and `ensemble_average` if asked for. In a row `epochs` is when
    training stopped, counted from 0, and `gap` how far at most a convex fit's objective is above
    its minimum, as a share of it. `ece`, `ece_adaptive`, `brier` and `log_loss` are of the softmax
    of the scores; with --metrics or --save there are also `scaled_ece` and so on, at a
    `temperature` that is fitted on train rows left out.
    """
    from compread.cli.output import emit, note
    from compread.errors import UsageError
    from compread.output_files import check_target
    from compread.reweight import registry
    from compread.reweight.label_shares import label_shares_of
    from compread.views.reweight import reweight_view

    if list_methods:
        _list_methods(format)
        return
    if not stores:
        raise UsageError("no STORE: name .h5 files, folders of them, or - for paths on stdin")
    trained = registry.recipe_of(recipe, signed)
    shares = label_shares_of(label_shares)
    names = [name.strip() for name in methods.split(",")]
    if model is not None and export_model is None:
        raise UsageError("--model goes with --export-model PATH")
    if apply is not None:
        named = _named_beside_apply(context, export_model is not None)
        titles = names if "--methods" in named else None
        how = pool.value if "--pool" in named else None
        alike = normalize.value if "--normalize" in named else None
        weights = read_weights_of(apply, titles, shares)
        if export_model is not None:
            check_export(weights.fits, export_model, force, bool(weights.ensembles))
        _apply(weights, stores, how, alike, metrics, format)
        if export_model is not None:
            export(weights.fits, export_model, model)
        return
    budgets = _budgets(n_train)
    chosen = registry.make_methods(names, trained, shares)
    if save is not None:
        check_target(save, force)
    if export_model is not None:
        check_export(chosen, export_model, force, ensemble is not None)
    calibrates = metrics or save is not None
    how = ensemble.value if ensemble is not None else None
    given = "--methods" in named_options(context)
    weights, document = _fit(
        stores, chosen, given, budgets, pool.value, normalize.value, versus, oracle, how,
        calibrates,
    )  # fmt: skip
    if save is not None:
        weights.write(save, force)
        note(f"weights: {save}")
    emit(document, reweight_view(document, metrics), format, table)
    if export_model is not None:
        export(weights.fits, export_model, model)


def _named_beside_apply(context: typer.Context, exports: bool) -> set[str]:
    """The options that are given, none of which is about fitting.

    Raises:
        UsageError: one is.
    """
    from compread.errors import UsageError

    named = named_options(context)
    if off := sorted(named - BESIDE_APPLY - (OF_EXPORT if exports else set())):
        raise UsageError(f"--apply fits nothing, so leave out {', '.join(off)}")
    return named


def _fit(
    stores: Sequence[str],
    methods: Sequence[Method],
    given: bool,
    budgets: Sequence[int | None],
    pool: str,
    normalize: str,
    versus: str | None,
    oracle: bool,
    how: str | None,
    calibrates: bool,
) -> tuple[Weights, dict[str, list[dict[str, Any]]]]:
    """The fits of all stores with their ensembles, and the document of what they show.

    Of methods that are not ``given`` by name, those that a store's rows do not take are left out.
    """
    from compread.analysis.repeats import repeats
    from compread.cli.output import note
    from compread.reweight import fit, registry, results
    from compread.reweight.ensemble import ensembles
    from compread.reweight.matching import matched
    from compread.reweight.weights_file import Weights
    from compread.store import open_store

    with ExitStack() as opened:
        paths = found_stores(stores).paths
        there = [opened.enter_context(open_store(path, pool, normalize)) for path in paths]
        tell_repeats([repeats(store, "test") for store in there], "test")
        if how is not None:
            matched(there, how, budgets)  # before the fits, which may take long
        if not given and any(store.axes.has_own_answers for store in there):
            methods, told = registry.for_own_answers(methods)
            if told:
                note(told)
        for line in fit.forewarn(there, methods, budgets) if there else ():
            note(line)
        fits = fit.reweight(there, methods, budgets, temperatures=calibrates)
        for line in fit.unsolved(fits):
            note(f"warning: {line}")
        together = () if how is None else ensembles(there, fits, methods, budgets, how)
        document = results.document(fits, versus, together)
        if oracle:
            found = fit.oracles(there, methods)
            for line in fit.unsolved(found):
                note(f"warning: oracle: {line}")
            document["oracle"] = [one.row() for one in found]
    return Weights(fits, together), document


def _list_methods(format: Form) -> None:
    from compread.cli.output import emit
    from compread.reweight.registry import METHODS
    from compread.views.tables import Column

    rows = [
        {
            "method": name,
            "about": method.about,
            "transductive": method.fitted.transductive,
            "recipes": list(method.recipes),
        }
        for name, method in METHODS.items()
    ]
    columns = [
        Column("method", justify="left"),
        Column("about", justify="left"),
        Column("alone", "row\nalone", format=lambda r: "" if r["transductive"] else "yes"),
    ]
    emit(rows, columns, format)


def _apply(
    weights: Weights,
    stores: Sequence[str],
    pool: str | None,
    normalize: str | None,
    metrics: bool,
    format: Form,
) -> None:
    from compread.analysis.repeats import repeats
    from compread.cli.output import emit
    from compread.reweight.apply import normalization_of, pooling_of
    from compread.reweight.ensemble_apply import applied
    from compread.store import open_store
    from compread.views.reweight import apply_view

    how, alike = pooling_of(weights.fits, pool), normalization_of(weights.fits, normalize)
    with ExitStack() as opened:
        paths = found_stores(stores).paths
        there = [opened.enter_context(open_store(path, how, alike)) for path in paths]
        tell_repeats([repeats(store, "test") for store in there], "test")
        rows = applied(weights.fits, weights.ensembles, there)
    emit(rows, apply_view(rows, metrics), format)


def _budgets(text: str | None) -> tuple[int | None, ...]:
    """The numbers of train rows, each once: ``"8,20"`` is ``(8, 20)``; None is all rows."""
    from compread.errors import UsageError

    if text is None:
        return (None,)
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise UsageError(f"--n-train {text!r}: give whole numbers, such as 12 or 12,24")
    return tuple(dict.fromkeys(map(int, parts)))

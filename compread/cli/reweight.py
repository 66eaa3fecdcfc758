"""``compread reweight``: fit component weights and baselines, and score them on the test rows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compread.cli.options import FORMAT, POOL, STORES, Format, Pool

if TYPE_CHECKING:
    from compread.views.tables import Table

EXAMPLE = """\
compread reweight stores/sst2.h5 --n-train 20 --save weights.json
compread reweight stores/ --n-train 8,20 --methods full,comprw --format json"""


def _list_methods(wanted: bool) -> None:
    if wanted:
        from compread.cli.output import emit
        from compread.reweight.registry import METHODS
        from compread.views.tables import Column

        rows = [
            {"method": name, "about": method.about, "transductive": method.fitted.transductive}
            for name, method in METHODS.items()
        ]
        columns = [
            Column("method", justify="left"),
            Column("about", justify="left"),
            Column("alone", "row\nalone", format=lambda r: "" if r["transductive"] else "yes"),
        ]
        emit(rows, columns, "table")
        raise typer.Exit


def reweight(
    stores: STORES,
    n_train: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]",
            help="Fit on the first N train rows of each store; all of them by default.",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            metavar="M[,M...]",
            help="Which methods; --list-methods says what they are.",
        ),
    ] = "full,calib+,comprw",
    recipe: Annotated[
        str,
        typer.Option(
            help="How comprw is trained: official (the paper's released code), paper (its text), "
            "convex (to the optimum, λ by cross-validation)."
        ),
    ] = "official",
    signed: Annotated[
        bool, typer.Option("--signed", help="With convex: weights of any sign and size.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the weights in this JSON file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    list_methods: Annotated[
        bool,
        typer.Option(
            "--list-methods",
            callback=_list_methods,
            is_eager=True,
            help="Say what each method is, and whether it can label a row alone.",
        ),
    ] = False,
    pool: POOL = Pool.logsumexp,
    format: FORMAT = Format.table,
) -> None:
    """Fit component weights on train rows; score them on test rows.

    JSON has `runs`, one row for each store, number of train rows and method, and `summary`, their
    mean and standard deviation over the stores of a task. `epochs` is the epoch at which training
    stopped, counted from 0.
    """
    from compread.cli.output import emit, note
    from compread.errors import UsageError
    from compread.reweight import fit, registry, summary, weights
    from compread.store import open_store, store_paths

    budgets = _budgets(n_train)
    if signed and recipe != "convex":
        raise UsageError(f"--signed goes with --recipe convex, not {recipe}")
    names = [name.strip() for name in methods.split(",")]
    chosen = registry.make_methods(names, "signed" if signed else recipe)
    if save is not None:
        weights.check_target(save, force)
    with ExitStack() as opened:
        paths = store_paths(stores, sys.stdin)
        fits = fit.reweight(
            [opened.enter_context(open_store(path, pool.value)) for path in paths], chosen, budgets
        )
    if save is not None:
        weights.Weights(fits).write(save, force)
        note(f"weights: {save}")
    document = {"runs": [f.row() for f in fits], "summary": summary.summarize(fits)}
    emit(document, _view(document), format.value)


def _budgets(text: str | None) -> tuple[int | None, ...]:
    """The numbers of train rows, each once: ``"8,20"`` is ``(8, 20)``; None is all rows."""
    from compread.errors import UsageError

    if text is None:
        return (None,)
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise UsageError(f"--n-train {text!r}: give whole numbers, such as 12 or 12,24")
    return tuple(dict.fromkeys(map(int, parts)))


def _view(document: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Table]:
    runs = document["runs"]
    one = len({run["store"] for run in runs}) == 1
    return [_store_table(runs) if one else _grid_table(document["summary"])]


def _store_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each method and number of train rows of one store."""
    from compread.views.tables import Column, Table

    def interval(row: Mapping[str, Any]) -> str:
        return f"{row['accuracy_low']:.3f}-{row['accuracy_high']:.3f}"

    columns = [
        Column("method", justify="left"),
        Column("n_train", "train\nrows"),
        Column("accuracy", "test\naccuracy", format=".3f"),
        Column("interval", "95 %\ninterval", format=interval),
        Column("train_accuracy", "train\naccuracy", format=".3f"),
        Column("epochs", "stopped\nat epoch"),
    ]
    blocks: dict[int, list[Mapping[str, Any]]] = {}
    for run in runs:
        blocks.setdefault(run["n_train"], []).append(run)
    first = runs[0]
    named = [first["task"]]
    named += [f"{key} {first[key]}" for key in ("template", "seed") if first[key] is not None]
    title = f"{', '.join(named)}: {first['n']} test rows"
    return Table(columns, list(blocks.values()), title=title)


def _grid_table(summary: Sequence[Mapping[str, Any]]) -> Table:
    """Tasks by methods, mean (sd) in each cell."""
    from compread.views.tables import Column, Table

    lines: dict[tuple[str, int], dict[str, Any]] = {}
    methods = list(dict.fromkeys(cell["method"] for cell in summary))
    for cell in summary:
        key = (cell["task"], cell["n_train"])
        line = lines.setdefault(key, {"task": key[0], "n_train": key[1], "runs": cell["runs"]})
        line[cell["method"]] = f"{cell['accuracy']:.3f} ({cell['accuracy_sd']:.3f})"
    columns = [
        Column("task", justify="left", shorten="end"),
        Column("n_train", "train\nrows"),
        *(Column(method) for method in methods),
        Column("runs"),
    ]
    note = (
        "Test accuracy: mean over the runs (population standard deviation). "
        "--format json or csv has every run."
    )
    return Table(columns, [list(lines.values())], note=note)

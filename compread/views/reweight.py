"""What people read of reweighting: the runs of one store, or the grid of tasks and methods.

Below the accuracies, where asked for, stands how far the probabilities can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from compread.errors import either
from compread.reweight.registry import title_in
from compread.reweight.results import FEWEST
from compread.text import base_settings
from compread.views.ensembles import (
    METHODS_A_TABLE,
    difference_column,
    ensemble_tables,
    setting_column,
    store_or_all,
)
from compread.views.rank import accuracy_interval, p_text
from compread.views.tables import MORE, Column, Row, Table, normalized

ResultRows = Sequence[Row]
GRID_NOTE = "Test accuracy in %: mean over the runs (population standard deviation). " + either(
    "--format json or csv has every run.", 'Its list "runs" has every run.'
)
GRID_BRIEF = f"Test accuracy in %: mean over the runs (standard deviation).{MORE}"


def reweight_view(document: Mapping[str, ResultRows], metrics: bool = False) -> list[Table]:
    """The tables of ``compread reweight``.

    Args:
        document: ``runs``, ``summary`` and ``average``, and where asked for ``versus`` and
            ``oracle``.
        metrics: also how far the probabilities can be trusted.
    """
    runs = document["runs"]
    if document.get("ensembles"):
        trusted = calibration_tables(document["ensemble_average"]) if metrics else []
        return [*ensemble_tables(document), *trusted, *_beside(document, one=False)]
    one = len({run["store"] for run in runs}) == 1
    tables = [_store_table(runs)] if one else _grids(document["summary"], document["average"])
    if not one:
        tables[-1] = replace(tables[-1], note=GRID_NOTE, brief=GRID_BRIEF)
    if metrics:
        tables += calibration_view(document)
    return tables + _beside(document, one)


def _beside(document: Mapping[str, ResultRows], one: bool) -> list[Table]:
    """What was asked for beside; ``one`` is whether there is a single store."""
    tables = []
    if document.get("oracle"):
        oracle = document["oracle"]
        tables += [_store_table(oracle, ORACLE)] if one else list(_oracle_grid(oracle))
    if document.get("versus"):
        tables.append(_versus_table(document["versus"]))
    return tables


ORACLE = "oracles, fitted on the test rows themselves"


def apply_view(rows: ResultRows, metrics: bool = False) -> list[Table]:
    """The tables of weights applied to other stores: a block for each store.

    ``metrics`` adds how far the probabilities can be trusted.
    """

    def fitted(row: Mapping[str, Any]) -> str:
        named = (row["fitted_task"], row["fitted_template"], row["fitted_seed"])
        return " ".join(str(name) for name in named if name is not None)

    blocks: dict[Any, list[Mapping[str, Any]]] = {}
    for n, row in enumerate(rows):
        together = sum(bool(other.get("ensemble")) for other in rows[:n])
        blocks.setdefault(together if "ensemble" in row else row["store"], []).append(row)
    columns = [
        Column("store", justify="left", shorten="start", format=store_or_all),
        Column("method", justify="left", format=title_in),
        Column("fitted", justify="left", format=fitted, shorten="end"),
        Column("n_train", "n\ntrain"),
        Column("accuracy", "accuracy\n[95 % interval]", format=accuracy_interval),
    ]
    tables = [Table(columns, list(blocks.values()))]
    return [*tables, *calibration_tables(rows)] if metrics else tables


def _store_table(runs: ResultRows, what: str = "") -> Table:
    """One line for each method and number of train rows of one store."""
    columns = [
        Column("method", justify="left", format=title_in),
        Column("n_train", "n\ntrain"),
        Column("accuracy", "accuracy\n[95 % interval]", format=accuracy_interval),
        Column("train_accuracy", "train\naccuracy", format=".3f", drop=1),
        Column("epochs", drop=1),
    ]
    blocks: dict[int, list[Mapping[str, Any]]] = {}
    for run in runs:
        blocks.setdefault(run["n_train"], []).append(run)
    first = runs[0]
    named = [first["task"]]
    named += [f"{key} {first[key]}" for key in ("template", "seed") if first[key] is not None]
    title = f"{', '.join(named)}: {what or str(first['n']) + ' test rows'}"
    title += normalized(first.get("normalize"))
    return Table(columns, list(blocks.values()), title=title)


def _cell(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} ({100 * row['accuracy_sd']:.1f})"


def _few(methods: ResultRows | Sequence[str]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(methods), METHODS_A_TABLE):
        yield methods[start : start + METHODS_A_TABLE]


def _grids(summary: ResultRows, average: ResultRows) -> list[Table]:
    """The tasks by methods, and the learning curves; of a single task these are the same numbers.

    So one task has its curves where there are several numbers of train rows, else its line.
    """
    grids: list[Table] = []
    curves: list[Table] = []
    named = base_settings(row["setting"] for row in summary)
    for setting in named:
        cells = [row for row in summary if row["setting"] == setting]
        means = [row for row in average if row["setting"] == setting]
        tasks = list(dict.fromkeys(row["task"] for row in cells))
        if len(tasks) > 1:
            grids += _grid(cells, named[setting])
            curves += _curves(means, f"Mean over {len(tasks)} tasks{_of(named[setting])}")
        elif len({row["n_train"] for row in cells}) > 1:
            curves += _curves(means, f"{tasks[0]}, {_runs(cells)}{_of(named[setting])}")
        else:
            grids += _grid(cells, named[setting])
    return grids + curves


def _runs(cells: ResultRows) -> str:
    """``3 runs``, or ``2 to 3 runs``, as the cells are of."""
    counts = sorted({cell["runs"] for cell in cells})
    runs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{runs} run{'s' * (counts[-1] > 1)}"


def _grid(summary: ResultRows, setting: str) -> Iterator[Table]:
    """Tasks by methods, mean (sd) in each cell; a table for each number of train rows."""
    methods = list(dict.fromkeys(cell["method"] for cell in summary))
    for n_train in dict.fromkeys(cell["n_train"] for cell in summary):
        cells = [cell for cell in summary if cell["n_train"] == n_train]
        title = f"{n_train} train rows, {_runs(cells)} a task{_of(setting)}"
        for some in _few(methods):
            lines: dict[str, dict[str, Any]] = {}
            for cell in cells:
                line = lines.setdefault(cell["task"], {"task": cell["task"]})
                line[cell["method"]] = _cell(cell)
            columns = [Column("task", justify="left", shorten="end"), *map(Column, some)]
            yield Table(columns, [list(lines.values())], title=title)


def _oracle_grid(oracle: ResultRows) -> Iterator[Table]:
    methods = list(dict.fromkeys(map(title_in, oracle)))
    tasks: dict[str, dict[str, list[float]]] = {}
    for row in oracle:
        tasks.setdefault(row["task"], {}).setdefault(title_in(row), []).append(row["accuracy"])
    for some in _few(methods):
        lines = [
            {"task": task, **{m: f"{100 * sum(v) / len(v):.1f}" for m, v in cells.items()}}
            for task, cells in tasks.items()
        ]
        columns = [Column("task", justify="left", shorten="end"), *map(Column, some)]
        yield Table(columns, [lines], title=ORACLE[0].upper() + ORACLE[1:])


def _curves(means: ResultRows, title: str) -> Iterator[Table]:
    """The learning curves: a line for each number of train rows."""
    for some in _few(list(dict.fromkeys(row["method"] for row in means))):
        lines: dict[int, dict[str, Any]] = {}
        for row in means:
            line = lines.setdefault(row["n_train"], {"n_train": row["n_train"]})
            line[row["method"]] = _cell(row)
        columns = [Column("n_train", "n train"), *map(Column, some)]
        yield Table(columns, [list(lines.values())], title=title)


def _of(setting: str) -> str:
    return f", {setting}" if setting else ""


def _versus_table(rows: ResultRows) -> Table:
    columns = [
        Column("method", justify="left"),
        Column("n_train", "n\ntrain"),
        *setting_column(rows),
        difference_column(),
        Column("p", format=lambda row: p_text(row["p"])),
        Column(
            "tasks_won",
            "tasks\nwon",
            drop=2,
            format=lambda row: f"{row['tasks_won']}/{row['tasks']}",
        ),
        Column(
            "units",
            drop=1,
            format=lambda row: f"{row['units']} {row['unit']}{'s' * (row['units'] > 1)}",
        ),
    ]
    note = (
        f"Accuracy less that of {rows[0]['versus']} in points, paired by run: the mean over tasks "
        "of the mean over their runs. Interval and two-sided p: Student's t over the units."
    )
    brief = f"Points of accuracy against {rows[0]['versus']}, paired by run.{MORE}"
    few = min(rows, key=lambda row: row["units"])
    if few["units"] < FEWEST:
        units = f"{few['units']} {few['unit']}{'s' * (few['units'] > 1)}"
        told = f" {units.capitalize()} give no interval and no p; give at least {FEWEST}."
        note, brief = note + told, brief + told
    return Table(columns, [rows], title=f"Versus {rows[0]['versus']}", note=note, brief=brief)


CALIBRATION_NOTE = (
    "How far probabilities are from what happens on the test rows, 0 at best. ECE: mean distance "
    "of accuracy and probability in 15 bins of equal width; ECE adaptive: of equal numbers of "
    "rows. Brier: squared error of the probabilities. log loss: -log p of what is right, in nats. "
)
CALIBRATION_BRIEF = f"0 is best. ECE: mean distance of accuracy and probability.{MORE}"
SCALED = (
    "scaled: of scores divided by the temperature, which is fitted on the train rows, each scored "
    "by a fit without it; predict prints those. The others are of the softmax of the scores, "
    "whatever their size."
)
UNSCALED = "All are of the softmax of the scores, whatever their size: no temperature was fitted."


def calibration_view(document: Mapping[str, Sequence[Row]]) -> list[Table]:
    """A line for each method and number of train rows: of one store, or the means over tasks."""
    runs, average = document["runs"], document["average"]
    one = len({run["store"] for run in runs}) == 1
    return calibration_tables(runs if one else average)


def calibration_tables(rows: Sequence[Row]) -> list[Table]:
    """The lines of rows that have the keys of ``HeldOutAccuracy.keys``, where any has a number."""
    if all(row["ece"] is None for row in rows):
        return []

    def any_has(key: str) -> bool:
        return any(row.get(key) is not None for row in rows)

    columns = [Column("method", justify="left", format=title_in)]
    if len({row.get("store") for row in rows}) > 1:
        columns.insert(0, Column("store", justify="left", shorten="start", format=store_or_all))
    columns.append(Column("n_train", "n\ntrain", drop=2))
    columns += setting_column(rows)
    columns.append(Column("accuracy", format=".3f", drop=1))
    if any_has("temperature"):
        columns.append(Column("temperature", format=".3g", drop=1))
    is_scaled = any_has("scaled_ece")
    columns += _calibration_columns("scaled_" if is_scaled else "")
    if is_scaled:
        columns.append(Column("ece", "ECE", format=".3f"))
        columns.append(Column("log_loss", "log\nloss", format=".3f"))
    blocks: dict[Any, list[Row]] = {}
    for row in rows:
        blocks.setdefault((row.get("store"), row["n_train"], row.get("setting")), []).append(row)
    note = CALIBRATION_NOTE + (SCALED if is_scaled else UNSCALED)
    told = "" if is_scaled else " No temperature was fitted."
    return [
        Table(
            columns,
            list(blocks.values()),
            title="Calibration",
            note=note,
            brief=CALIBRATION_BRIEF + told,
        )
    ]


def _calibration_columns(prefix: str) -> list[Column]:
    scaled = prefix.replace("_", "\n")
    return [
        Column(f"{prefix}ece", f"{scaled}ECE", format=".3f"),
        Column(f"{prefix}ece_adaptive", f"{scaled}ECE\nadaptive", format=".3f", drop=3),
        Column(f"{prefix}brier", f"{scaled}Brier", format=".3f"),
        Column(f"{prefix}log_loss", f"{scaled}log loss", format=".3f"),
    ]

"""What people read of ensembles: each store alone, and all of them together below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from compread.reweight.registry import title_in
from compread.text import base_settings
from compread.views.rank import p_text
from compread.views.tables import Column, Row, Table

METHODS_A_TABLE = 5
"""As many as eighty columns hold."""
NOTE = (
    "Test accuracy in %. Below the stores, each with the weights of its own train rows, what their "
    "scores predict on average."
)


def ensemble_tables(document: Mapping[str, Sequence[Row]]) -> list[Table]:
    """The tables of ``compread reweight --ensemble``.

    Args:
        document: with ``runs``, ``ensembles`` and ``ensemble_average``.
    """
    together, average = document["ensembles"], document["ensemble_average"]
    tables = [
        table
        for n_train in dict.fromkeys(row["n_train"] for row in together)
        for table in _side_by_side(
            document["runs"], [row for row in together if row["n_train"] == n_train]
        )
    ]
    return [*tables, _gains(average)]


def store_or_all(row: Row) -> str:
    """The store of a row, or how many there are where it is of an ensemble."""
    return f"all {len(row['stores'])} together" if row.get("ensemble") else str(row["store"])


def _side_by_side(runs: Sequence[Row], together: Sequence[Row]) -> Iterator[Table]:
    n_train = together[0]["n_train"]
    alone = {
        (run["store"], title_in(run)): run["accuracy"] for run in runs if run["n_train"] == n_train
    }
    of = {run["store"]: run for run in runs}
    methods = list(dict.fromkeys(title_in(row) for row in together))
    for start in range(0, len(methods), METHODS_A_TABLE):
        some = methods[start : start + METHODS_A_TABLE]
        blocks: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in together:
            stores = tuple(row["stores"])
            if stores not in blocks:
                blocks[stores] = [
                    {
                        "task": of[store]["task"],
                        "prompt": _prompt(of[store]),
                        **{m: _percent(alone[store, m]) for m in some},
                    }
                    for store in stores
                ]
                blocks[stores].append({"prompt": store_or_all(row), "task": row["task"]})
            blocks[stores][-1][title_in(row)] = _percent(row["accuracy"])
        columns = [
            Column("task", justify="left", shorten="end"),
            Column("prompt", justify="left", shorten="start"),
            *map(Column, some),
        ]
        rows = f"{n_train} train row{'s' * (n_train != 1)} a store"
        labelled = {row["labelled"] for row in together}
        if labelled != {n_train}:
            rows += f", {' or '.join(map(str, sorted(labelled)))} in all"
        yield Table(columns, list(blocks.values()), title=rows)


def _prompt(run: Row) -> str:
    """What tells a store's prompts from those of the others."""
    if run["template"] is None:
        return "prompt file"
    return f"{run['template']}, seed {run['seed']}"


def _gains(average: Sequence[Row]) -> Table:
    """What averaging gains over a store alone."""
    tasks = f"{average[0]['tasks']} task{'s' * (average[0]['tasks'] > 1)}"

    columns = [
        Column("method", justify="left"),
        Column("n_train", "n\ntrain"),
        *setting_column(average),
        Column("store_accuracy", "store\naccuracy", format=_points("store_accuracy")),
        Column("accuracy", format=_points("accuracy")),
        difference_column(),
    ]
    if any(row["p"] is not None for row in average):
        columns.append(Column("p", format=lambda row: p_text(row["p"])))
    return Table(columns, [average], title=f"Mean over {tasks}", note=NOTE)


def setting_column(rows: Sequence[Row]) -> list[Column]:
    """What runs of one task differ in beside their prompts, where they do."""
    if not any(row.get("setting") for row in rows):
        return []
    named = base_settings(row.get("setting") for row in rows)

    def text(row: Row) -> str:
        return named[row.get("setting")]

    return [Column("setting", justify="left", shorten="end", format=text)]


def difference_column() -> Column:
    """A difference in points, with its interval where there is one."""

    def text(row: Row) -> str:
        of = f"{100 * row['difference']:+.1f}"
        if row["low"] is None:
            return of
        return f"{of} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"

    return Column("difference", "difference\n[95 % interval]", format=text)


def _points(key: str) -> Callable[[Row], str]:
    return lambda row: _percent(row[key])


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.1f}"

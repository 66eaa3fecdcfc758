"""``compread predictions``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from compread.cli import complete
from compread.cli.forms import FORMAT, TABLE
from compread.cli.options import (
    AS_STORED,
    NORMALIZE,
    POOL,
    POOLED,
    SPLIT,
    STORES,
    TEST,
)
from compread.cli.output import emit
from compread.errors import UsageError, flag, option

EXAMPLE = (
    "compread predictions out.h5 --component full,L14H2 --wrong\n"
    "compread predictions out.h5 --component 'L3H*' --format csv > said.csv"
)
_SHOWN = 50


def predictions(
    stores: STORES,
    component: Annotated[
        str,
        typer.Option(
            "--component",
            metavar="NAME,...",
            autocompletion=complete.components,
            help="Who is asked: full, components, or patterns such as 'L3H*'; '*' is all.",
        ),
    ] = "full",
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Only rows that the first one named gets wrong.")
    ] = False,
    top: Annotated[
        int, typer.Option("--top", min=0, help="Lines of the table; 0 shows all.")
    ] = _SHOWN,
    split: SPLIT = TEST,
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
    format: FORMAT = TABLE,
) -> None:
    """Say what the full model and single components predict on each row.

    One line a row and component: the label (or the row's own answer) of the largest contribution,
    the right one, and the margin, how far the largest is above the next, in logits, or in log p of
    answers of several tokens. Rows are named by the ids of the prompt file or the task; of a store
    that keeps their texts (extract --keep-text) each has its own, in json, csv and parquet whole.
    """
    from compread.analysis.predictions import row_predictions
    from compread.store import open_store, store_paths
    from compread.views.predictions import prediction_rows, prediction_view

    wanted = [name.strip() for name in component.split(",") if name.strip()]
    rows = []
    for path in store_paths(stores, sys.stdin):
        with open_store(path, pool.value, normalize.value) as store:
            said = row_predictions(store, split.value, wanted)
            found = prediction_rows(store, split.value, said)
        if wrong:
            first = said.scorers[0]
            ids = {r["row"] for r in found if r["component"] == first and not r["correct"]}
            found = [r for r in found if r["row"] in ids]
        rows += found
    if any("text" in row for row in rows):  # of some stores only: the columns are those of all
        rows = [{**row, "text": row.get("text")} for row in rows]
    elif "text" in format.columns:
        raise UsageError(
            f"{option('columns', 'text')}: these stores keep no texts; extract them again with "
            f"{flag('keep-text')} and {flag('force')}"
        )
    whole = format.exact
    shown = rows if whole or not top else rows[:top]
    emit(rows if whole else shown, prediction_view(shown, len(rows) - len(shown)), format)

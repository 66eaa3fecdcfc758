"""What is said on each row, as rows and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compread.analysis.runs import normalize_key
from compread.text import brief, with_class
from compread.views.tables import Column, Row, Table, normalized

if TYPE_CHECKING:
    from compread.analysis.predictions import Predictions
    from compread.store import Store


def _titled(label: str, of: str) -> Callable[[Row], str]:
    """A label with its class, where that is called otherwise."""
    return lambda row: with_class(row[label], row.get(of))


COLUMNS = [
    Column("row", justify="left", shorten="end"),
    Column("component", justify="left"),
    Column("prediction", justify="left", shorten="end", format=_titled("prediction", "class")),
    Column("gold", justify="left", shorten="end", format=_titled("gold", "gold_class")),
    Column("correct", format=lambda row: "" if row["correct"] else "wrong"),
    Column("margin", format=".3g"),
]
TEXT = Column("text", justify="left", shorten="end")
LONGEST_TEXT = 160


def prediction_rows(store: Store, split: str, said: Predictions) -> list[dict[str, Any]]:
    """One row for each prompt and scorer: what is predicted, what is right, by how much.

    The row's text stands last where the store keeps it.
    """
    kept = store.texts(split)
    rows, labels = store.axes.splits[split], store.labels
    own = store.answers(split) if store.axes.has_own_answers else ()
    gold = store.gold(split).tolist()
    choice, margin = said.choice.tolist(), said.margin.tolist()
    found = []
    for n, id_ in enumerate(rows.id):
        texts = own[n].text if own else labels.names
        for s, name in enumerate(said.scorers):
            found.append(
                {
                    "store": str(store.path),
                    "task": store.run.task,
                    "split": split,
                    "row": id_,
                    "component": name,
                    "prediction": texts[choice[n][s]],
                    "class": None if own else labels.class_names[choice[n][s]],
                    "gold": texts[gold[n]],
                    "gold_class": None if own else labels.class_names[gold[n]],
                    "correct": choice[n][s] == gold[n],
                    "margin": margin[n][s],
                    **normalize_key(store.run.normalize),
                    **({"text": kept[n]} if kept else {}),
                }
            )
    return found


def prediction_view(rows: Sequence[Row], left_out: int) -> list[Table]:
    """A table for each store; ``left_out`` rows are told of below the last."""
    stores: dict[str, list[Row]] = {}
    for row in rows:
        stores.setdefault(str(row["store"]), []).append(row)
    tables = [
        Table(*_shown(of), title=store + normalized(of[0].get("normalize")))
        for store, of in stores.items()
    ]
    if left_out and tables:
        more = f"{left_out} more; --top 0 shows all, as json, csv and parquet do."
        tables[-1] = replace(tables[-1], note=more)
    return tables


def _shown(rows: Sequence[Row]) -> tuple[list[Column], list[list[Row]]]:
    """The columns and the block of one store's rows, the texts in one line where there are some."""
    if rows[0].get("text") is None:
        return COLUMNS, [list(rows)]
    lines = brief([row["text"] for row in rows], LONGEST_TEXT)
    return [*COLUMNS, TEXT], [
        [{**row, "text": line} for row, line in zip(rows, lines, strict=True)]
    ]

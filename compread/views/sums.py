"""What sums over some of the components predict, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from compread.text import printable
from compread.views.rank import accuracy_interval
from compread.views.tables import MORE, Column, Row, Table, normalized

NOTE = (
    "Each line is the sum of these components' logits; that of all is the full model's before its "
    "rounding and soft-cap. change: accuracy less the full model's. Direct effects alone: what a "
    "component gave to those above it stays. top share: share of the rows with the commonest "
    "prediction. agreement: with the full model's."
)
BRIEF = f"Each line is the sum of these components' logits. change: against full.{MORE}"
COLUMNS = [
    Column("sum", justify="left", shorten="end"),
    Column("components"),
    Column("accuracy", "accuracy\n[95 % interval]", format=accuracy_interval),
    Column("change", format="+.3f"),
    Column("top_share", "top\nshare", format=".2f", drop=2),
    Column("agreement", format=".2f", drop=1),
    Column("margin", format="+.2f", drop=3),
]


def sums_view(rows: Sequence[Row], split: str) -> list[Table]:
    """A table a store, the full model first; of sums up to layers a line each."""
    stores: dict[str, list[Row]] = {}
    for row in rows:
        stores.setdefault(str(row["store"]), []).append(row)
    if any(row["layer"] is not None for row in rows):
        return _early_exit(stores, split)
    tables = [_table(store, of, split) for store, of in stores.items()]
    return [*tables[:-1], replace(tables[-1], note=NOTE, brief=BRIEF)]


def _table(store: str, rows: Sequence[Row], split: str) -> Table:
    first = [row for row in rows if row["sum"] == "full"]
    others = [row for row in rows if row["sum"] != "full"]
    title = f"Sums over components, {split} rows: {printable(store)}"
    return Table(COLUMNS, [first, others], title + normalized(rows[0].get("normalize")))


EARLY_EXIT_NOTE = (
    "Accuracy of the sum of all components up to a layer, embed and bias with them (in a model "
    "without biases, what the unembedding makes of the stream there); of attention alone and of "
    "the MLPs alone up to it, without embed and bias."
)
DROPS = {"all": 0, "attention": 1, "mlp": 2}
HEADERS = {"all": "all up to it", "attention": "attention", "mlp": "MLPs"}


def _early_exit(stores: Mapping[str, Sequence[Row]], split: str) -> list[Table]:
    """A table for each store, or for their mean alone where they have one."""
    *each, last = stores
    mean = bool(each) and stores[last][0]["model"] is None
    tables = [_by_layer(store, stores[store], split) for store in ([last] if mean else stores)]
    more = f" The other formats have each of the {len(each)} stores." if mean else ""
    return [*tables[:-1], replace(tables[-1], note=EARLY_EXIT_NOTE + more)]


def _by_layer(store: str, rows: Sequence[Row], split: str) -> Table:
    through = {(row["layer"], row["sum"]): row for row in rows if row["layer"] is not None}
    layers = dict.fromkeys(layer for layer, _ in through)
    lines = [
        {"layer": layer, **{name: through.get((layer, name)) for name in HEADERS}}
        for layer in layers
    ]
    full = next(row for row in rows if row["sum"] == "full")
    columns = [Column("layer", justify="left")]
    columns += [
        Column(name, f"{header}\n[95 % interval]", format=_accuracy_of(name), drop=DROPS[name])
        for name, header in HEADERS.items()
        if any(line[name] for line in lines)
    ]
    title = f"Accuracy up to each layer, {split} rows: {printable(store)}"
    title += normalized(rows[0].get("normalize"))
    others = [row for row in rows if row["sum"] != "full"]
    single = Table([Column("layer", justify="left"), *COLUMNS], [others, [full]], title)
    blocks = [lines, [{"layer": "full model", "all": full}]]
    return Table(columns, blocks, title, line_a_row=single)


def _accuracy_of(name: str) -> Callable[[Row], str]:
    return lambda row: accuracy_interval(row[name]) if row.get(name) else ""

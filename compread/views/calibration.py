"""The table of how far the probabilities of reweighting can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compread.reweight.registry import title_in
from compread.views.ensembles import store_or_all
from compread.views.tables import MORE, Column, Row, Table

NOTE = (
    "How far probabilities are from what happens on the test rows, 0 at best. ECE: mean distance "
    "of accuracy and probability in 15 bins of equal width; ECE adaptive: of equal numbers of "
    "rows. Brier: squared error of the probabilities. log loss: -log p of the right label, in "
    "nats. "
)
BRIEF = f"0 is best. ECE: mean distance of accuracy and probability.{MORE}"
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
    if any_has("setting"):
        columns.append(Column("setting", justify="left", shorten="end"))
    columns.append(Column("accuracy", format=".3f", drop=1))
    if any_has("temperature"):
        columns.append(Column("temperature", format=".3g", drop=1))
    is_scaled = any_has("scaled_ece")
    columns += _four("scaled_" if is_scaled else "")
    if is_scaled:
        columns.append(Column("ece", "ECE", format=".3f"))
        columns.append(Column("log_loss", "log\nloss", format=".3f"))
    blocks: dict[Any, list[Row]] = {}
    for row in rows:
        blocks.setdefault((row.get("store"), row["n_train"], row.get("setting")), []).append(row)
    note = NOTE + (SCALED if is_scaled else UNSCALED)
    told = "" if is_scaled else " No temperature was fitted."
    return [
        Table(columns, list(blocks.values()), title="Calibration", note=note, brief=BRIEF + told)
    ]


def _four(prefix: str) -> list[Column]:
    scaled = prefix.replace("_", "\n")
    return [
        Column(f"{prefix}ece", f"{scaled}ECE", format=".3f"),
        Column(f"{prefix}ece_adaptive", f"{scaled}ECE\nadaptive", format=".3f", drop=3),
        Column(f"{prefix}brier", f"{scaled}Brier", format=".3f"),
        Column(f"{prefix}log_loss", f"{scaled}log loss", format=".3f"),
    ]

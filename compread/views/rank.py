"""The ranked component table."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from compread.analysis.average import row_sets
from compread.analysis.classes import classes_of
from compread.analysis.measures import MEASURES
from compread.analysis.ranking import group_key, predicted_keys
from compread.analysis.runs import RunStats
from compread.options import NORMALIZATIONS
from compread.store.answers import NO_TOKEN
from compread.text import base_settings, listed, model_name, printable
from compread.views.tables import MORE, Column, Row, Table, normalized, plain

SHARE = "predicted_"
NARROW = 10
"""Characters of a line of a header."""
NOTE = (
    "q value: how often chance alone does as well, by permutation of the right {one}s{together}, "
    "corrected for the number of components (Benjamini-Hochberg); the full model is a single test. "
    "predicted: share of the rows on which the component predicts this {label}. margin: the right "
    "{one}'s {number} less the best other's, mean over the rows, in {unit}.{classes} Interval: "
    "{interval}."
)
BRIEF = f"q value: p-value against chance, corrected for many tests.{MORE}"
LENGTH_NOTE = (
    " picks longest, picks shortest: share of the rows on which it picks the answer of most, of "
    "fewest tokens, of rows whose answers differ in that; {longest_chance:.2f} and "
    "{shortest_chance:.2f} by chance."
)
CLASSES = 8
"""Classes whose words the note says."""
MEASURE_NOTES = {
    "mcc": " MCC: Matthews' correlation of predicted and right {columns}, 0 by chance.",
    "ece": (
        " ECE: mean distance of accuracy and probability, the softmax over {among}, in 15 bins "
        "of equal width."
    ),
}
ONE_STORE = "Wilson's"
MANY_STORES = "Wilson's with the variance over rows and stores"
JOINT = ", the same one for all stores, which are over the same rows"
COMBINED = " for each set of rows, the sets combined by Cauchy's rule"


def ranking_view(rows: Sequence[Row], runs: Sequence[RunStats], by: str, split: str) -> list[Table]:
    """The rows of ``Ranking.rows`` with the full model on top, set off by a rule."""
    *ranked, full = rows
    together, interval = "", ONE_STORE
    if len(runs) > 1:
        together, interval = JOINT if len(row_sets(runs)) == 1 else COMBINED, MANY_STORES
    words = _words(runs[0])
    note = NOTE.format(together=together, interval=interval, **words)
    note += LENGTH_NOTE.format(**full) if full.get("longest_chance") is not None else ""
    note += MEASURE_NOTES.get(by, "").format(**words)
    told = _classes(runs) + _matched(runs) + _ties(ranked) + _crossfit(ranked)
    named = by.replace("_", " ") if by in MEASURES else by
    title = f"Components by {printable(named)}: {_source(runs, split)}"
    digits = decimals([row["margin"] for row in ranked])
    columns = _columns(full, digits, by, _titles(runs))
    return [Table(columns, [[full], ranked], title, note + told, BRIEF + told)]


def _words(run: RunStats) -> dict[str, str]:
    """What the notes call a column, what is scored, its number and its unit."""
    common = {"label": "label", "columns": "labels", "among": "the labels", "classes": ""}
    if NO_TOKEN not in run.labels.token_id:
        return {**common, "one": "label", "number": "logit", "unit": "logits"}
    unit = f"nats {NORMALIZATIONS[run.info.normalize]}".rstrip()
    scored = {"one": "answer", "number": "log p", "unit": unit}
    if not run.labels.are_positions:
        return {**common, **scored}
    return {
        "label": "position among a row's own answers",
        "columns": "positions",
        "among": "a row's own answers",
        "classes": " balanced accuracy, macro F1, entropy: over the positions.",
        **scored,
    }


def accuracy_interval(row: Row) -> str:
    """``0.915 [.87, .95]``, the accuracy and its 95 % interval."""
    low, high = (_short(row[key]) for key in ("accuracy_low", "accuracy_high"))
    return f"{row['accuracy']:.3f} [{low}, {high}]"


def p_text(value: Any) -> str:
    """A p-value in five characters: ``.034``, ``<.001``, ``1``; nothing for None."""
    value = plain(value)
    if value is None:
        return ""
    if value < 0.001:
        return "<.001"
    return "1" if value >= 0.9995 else f"{value:.3f}".removeprefix("0")


def decimals(values: Sequence[float]) -> int:
    """Decimals that give the middle one of the values two digits; 2 to 4.

    Contributions to the logits differ by orders of magnitude between models:
    ``decimals([0.004, -0.02])`` is 3, ``decimals([1.5])`` is 2.
    """
    sizes = sorted(abs(value) for value in values)
    middle = sizes[len(sizes) // 2] if sizes else 0.0
    return min(4, max(2, 1 - math.floor(math.log10(middle)))) if middle else 2


def _titles(runs: Sequence[RunStats]) -> dict[str, str]:
    """What heads the share of each label, by its key."""
    labels = classes_of(runs).labels(runs[0].labels.token_id)
    return dict(zip(predicted_keys(labels), labels.titles, strict=True))


def _columns(row: Row, digits: int, by: str, titles: Mapping[str, str]) -> list[Column]:
    """The columns of a row; what is sorted by stands beside the component, never left out."""
    key = "accuracy" if by == "accuracy_low" else by
    columns = _all_columns(row, digits, by, titles)
    sorted_by = [replace(c, drop=0) for c in columns if c.key == key]
    first = [c for c in columns if c.key in ("rank", "component")]
    return [*first, *sorted_by, *(c for c in columns if c.key != key and c not in first)]


def _all_columns(row: Row, digits: int, by: str, titles: Mapping[str, str]) -> list[Column]:
    columns = [
        Column("rank", drop=2),
        Column("component", justify="left"),
        *(
            [Column("metric", format=".4g", header=_wrapped(by), name=by)]
            if "metric" in row
            else []
        ),
        Column("accuracy", "accuracy\n[95 % interval]", format=accuracy_interval, drop=1),
    ]
    if row["stores"] > 1:
        columns.append(Column("accuracy_sd", "accuracy\nsd", format=".3f", drop=5))
    start = group_key(by, "")
    parts = base_settings(key.removeprefix(start) for key in row if key.startswith(start))
    for key in row:
        if key.startswith(start):
            part = printable(parts[key.removeprefix(start)])
            header, name = f"in\n{_narrow(part)}", f"in {part}"
            columns.append(Column(key, header, format=MEASURES[by].format, drop=1, name=name))
    columns.append(Column("q_value", "q\nvalue", format=lambda row: p_text(row["q_value"]), drop=1))
    for name, measure in MEASURES.items():
        if name == "entropy":
            columns += _predicted(row, titles)
        if measure.of and name in row and (measure.always or name == by):
            exact = f"+.{digits}f" if measure.scale == "logits" else measure.format
            drop = 1 if measure.answers else 6
            columns.append(Column(name, measure.header, format=exact, drop=drop))
        if name == "margin":
            columns[-1] = replace(columns[-1], drop=2)
            columns.append(Column("margin_sd", "margin\nsd", format=f".{digits}f", drop=6))
    columns.append(Column("direct_share", "direct\nshare", format="+.1%", drop=6))
    # The name says kind, layer and head too, so these make room.
    columns.append(Column("kind", justify="left", drop=3))
    columns += [Column("layer", drop=4), Column("head", drop=4)]
    if "weight" in row:
        columns.append(Column("weight", format="+.3f"))
    return [*columns, Column("category", justify="left", format=_category, drop=1)]


def _predicted(row: Row, titles: Mapping[str, str]) -> Iterator[Column]:
    """The share of each label among the predictions, and what a choice on half of the rows gets."""
    for key in row:
        if key.startswith(SHARE):
            word = printable(titles.get(key, key.removeprefix(SHARE)))
            header, name = f"predicted\n{_narrow(word)}", f"predicted {word}"
            yield Column(key, header, format=".2f", drop=2, group=SHARE, name=name)
    yield Column("crossfit_accuracy", "crossfit\naccuracy", format=".3f", drop=6)


def _narrow(name: str) -> str:
    """A long name in several lines, cut behind its slashes, at its spaces and hyphens."""
    if len(name) <= NARROW:
        return name
    words = re.split("(?<=/)", name)
    return "\n".join(line for word in words for line in textwrap.wrap(word, NARROW))


def _wrapped(expression: str) -> str:
    """An expression in lines of a column's width, cut at its blanks."""
    return "\n".join(textwrap.wrap(expression, 2 * NARROW, break_long_words=False)) or "metric"


def _category(row: Row) -> str:
    return (row["category"] or "").replace("label-biased", "biased")


def _short(share: float) -> str:
    """``.87`` for 0.87, and ``1.0`` for what rounds to 1."""
    text = f"{share:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")


def _source(runs: Sequence[RunStats], split: str) -> str:
    tasks = _distinct(run.info.task for run in runs)
    models = _distinct(model_name(run.info.model) for run in runs)
    sizes = _distinct(str(run.stats.full.n) for run in runs)
    over = f", averaged over {len(runs)} stores" if len(runs) > 1 else ""
    return f"{tasks}, {sizes} {split} rows{over}, {models}{normalized(runs[0].info.normalize)}"


def _distinct(names: Any) -> str:
    return " and ".join(dict.fromkeys(printable(name) for name in names))


def _crossfit(ranked: Sequence[Mapping[str, Any]]) -> str:
    """What the first of many is worth: it stands there by luck too."""
    first = ranked[0]
    if first["crossfit_accuracy"] is None:
        return ""
    return (
        f" {first['component']} stands first also by luck: a component picked on half of the rows "
        f"is right on {first['crossfit_accuracy']:.3f} of the other half."
    )


def _matched(runs: Sequence[RunStats]) -> str:
    """How labels correspond, where not by their words."""
    classes = classes_of(runs)
    if classes.by_name:
        return ""
    titles = classes.labels(runs[0].labels.token_id).titles
    names = ", ".join(map(printable, titles))
    return f" The stores have different label words; they are matched by their order: {names}."


def _classes(runs: Sequence[RunStats]) -> str:
    """The words of each class, where several templates have other words for it."""
    words: dict[str, dict[str, None]] = {}
    for labels in (run.labels for run in runs):
        for name, word in zip(labels.class_names, labels.names, strict=True):
            words.setdefault(name, {})[word] = None
    if classes_of(runs).names != runs[0].labels.class_names or list(words) == [
        word for of in words.values() for word in of
    ]:
        return ""
    told = [f"{name} by {'/'.join(of)}" for name, of in words.items() if list(of) != [name]]
    return f" Classes are asked for: {printable(listed(told, CLASSES))}."


def _ties(ranked: Sequence[Mapping[str, Any]]) -> str:
    most = max(ranked, key=lambda row: row["tied"])
    if most["tied"] < 0.01:
        return ""
    return (
        f" Ties go to the first label; {most['component']} has the most, on "
        f"{most['tied']:.0%} of the rows."
    )

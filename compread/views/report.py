"""Everything about some stores on one page that needs no network."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from compread.analysis.categories import DEFAULT_RULES, Rules
from compread.analysis.classes import on_common_classes
from compread.analysis.ranking import rank
from compread.analysis.runs import RunStats
from compread.analysis.study import study
from compread.errors import worded
from compread.options import DEFAULT_POOL, TOP_SET
from compread.store.gather import setting_names
from compread.store.states import StoreState
from compread.text import base_names, base_settings, model_name, printable
from compread.version import __version__
from compread.views.analyze import summary_view
from compread.views.plots import charts
from compread.views.plots.pictures import Picture
from compread.views.plots.reliability import reliability_diagram
from compread.views.plots.svg import to_svg
from compread.views.rank import ranking_view
from compread.views.tables import Column, Row, Table, as_tables, plain

WITHOUT_SCRIPT = 8
"""Components in a ranked table where the page's script does not run; it shows them all."""
FIRST = ("component", "accuracy", "accuracy_sd", "q_value", "category", "margin", "predicted_")
"""Columns of the ranked table that are shown at first, and stand first; by the key's beginning."""
IN_THE_NAME = ("rank", "kind", "layer", "head")
"""Columns that say nothing which the component's name and place do not."""


@dataclass(frozen=True)
class Figure:
    """A drawn panel."""

    caption: str
    svg: str


@dataclass(frozen=True)
class Ranked:
    """A table of every component, as texts: the page's script sorts and narrows it."""

    table: Table
    """With the first components alone, of the columns shown at first."""
    shown: int
    """How many of the columns are shown at first."""
    columns: str
    """JSON: the names of all columns, and which are set to the left."""
    data: str
    """The full model's texts, and those of every component, a line each, with bars between; packed
    by zlib, in base 64."""


@dataclass(frozen=True)
class Section:
    """A heading with figures and tables under it."""

    title: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = field(default=())
    ranked: Ranked | None = None
    note: str = ""
    """What of it is not on the page."""


@dataclass(frozen=True)
class Made:
    """How a page came to be."""

    command: str = ""
    date: str = ""
    notes: Sequence[str] = ()
    """What a reader must know of the stores, such as which were left out."""
    unfinished: Sequence[StoreState] = ()
    """Runs that are not on the page, as rows are still to come."""


def report(
    runs: Sequence[RunStats],
    split: str = "test",
    rules: Rules = DEFAULT_RULES,
    top: int = TOP_SET,
    pool: str = DEFAULT_POOL,
    made: Made | None = None,
) -> str:
    """The page: an HTML document with its figures, style and script inside.

    Args:
        runs: statistics with halves and shuffles (``read_runs(..., resample=True)``).
        split: the rows that they are of.
        rules: the thresholds between the categories.
        top: size of the top sets.
        pool: how they were read; reliability is read again.
        made: how the page came to be.

    Raises:
        StoreError: two runs of a model differ in their components.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        files("compread.views").joinpath("report.html").read_text("utf-8")
    )
    made = made or Made()
    tasks = ", ".join(dict.fromkeys(printable(run.info.task) for run in runs))
    models = ", ".join(dict.fromkeys(printable(model_name(run.info.model)) for run in runs))
    names = base_names([run.path for run in runs])
    return template.render(
        title=f"Components of {models}",
        stores=len(runs),
        tasks=tasks,
        split=split,
        sections=list(map(_safe, _sections(runs, names, split, rules, top, pool, made))),
        notes=[printable(worded(note)) for note in made.notes],
        command=printable(made.command),
        date=made.date,
        extracted=list(dict.fromkeys(printable(c) for run in runs if (c := run.info.command))),
        version=__version__,
        value=_value,
    )


def _safe(section: Section) -> Section:
    return replace(
        section,
        title=printable(section.title),
        tables=[t for one in section.tables for t in as_tables([], [one])],
    )


def _sections(
    runs: Sequence[RunStats],
    names: dict[str, str],
    split: str,
    rules: Rules,
    top: int,
    pool: str,
    made: Made,
) -> Iterator[Section]:
    document = study(runs, rules, top)
    for rows in document.values():
        for row in rows:
            row |= {"store": names.get(row["store"], row["store"])} if "store" in row else {}
    curves, transfer = document.pop("training"), document.pop("transfer")
    tables = [_parameters(runs, names), *summary_view(document, split)]
    yield Section("Runs", tables=[*tables, *_unfinished(made.unfinished)])
    if len(runs) > 1:
        tables = summary_view({"transfer": transfer}, split)
        yield Section("Transfer", _figures(charts.transfer(runs)), tables)
    if curves:
        tables = summary_view({"training": curves}, split)
        yield Section("Over training", _figures(charts.training(runs)), tables)
    groups: dict[Any, list[RunStats]] = {}
    settings = setting_names([run.info for run in runs])
    for run, setting in zip(runs, settings, strict=True):
        key = run.info.task, len(run.labels.word), run.components, run.info.fingerprint, setting
        groups.setdefault(key, []).append(run)
    named = base_settings(settings)
    for key, of in groups.items():
        yield _group(of, split, rules, pool, named[key[-1]])


def _parameters(runs: Sequence[RunStats], names: dict[str, str]) -> Table:
    """How each run was made."""
    columns = [Column(key, justify="left") for key in ("store", "model", "task", "template")]
    columns += [Column("shots"), Column("seed"), Column("demonstrations", justify="left")]
    columns += [Column("rows", "rows\nscored"), Column("dtype", justify="left")]
    columns += [Column("worst_sum_error", "worst sum error\n(logits)", format=".1e")]
    columns += [Column("date", "run on", justify="left")]
    rows = []
    for run in runs:
        info = run.info
        checkpoint = f"@{info.checkpoint}" if info.checkpoint else ""
        adapter = f" with {model_name(info.adapter)}" if info.adapter else ""
        row = {key: getattr(info, key) for key in ("task", "template", "shots", "seed", "dtype")}
        row |= {"store": names[run.path], "model": model_name(info.model) + checkpoint + adapter}
        row |= {"rows": run.stats.full.n, "worst_sum_error": info.worst_sum_error}
        chosen = info.protocol.get("prompt_selection", "fixed")
        rows.append({**row, "demonstrations": chosen, "date": info.date[:10]})
    return Table(columns, [rows], title="How the runs were made")


def _unfinished(states: Sequence[StoreState]) -> list[Table]:
    """The runs that are not on the page."""
    if not states:
        return []
    columns = [Column("store", justify="left"), Column("done", "rows done"), Column("total", "of")]
    columns += [Column("reason", "what is wrong", justify="left")]
    names = base_names([str(state.path) for state in states])
    rows = [
        {"store": names[str(s.path)], "done": s.done, "total": s.total, "reason": s.reason}
        for s in states
    ]
    columns = columns if any(s.reason for s in states) else columns[:-1]
    return [Table(columns, [rows], title="Runs that are not finished, and not on this page")]


def _group(runs: Sequence[RunStats], split: str, rules: Rules, pool: str, setting: str) -> Section:
    """The components of runs that share a task, its labels, the model and the setting."""
    few = runs[: charts.MOST_PANELS]
    figures = _figures(charts.heatmap(runs)) + _figures(charts.scatter(few, rules=rules))
    paths = [Path(run.path) for run in few]
    figures += _figures(
        reliability_diagram(paths, split, pool, runs[0].info.normalize, ()), "Reliability, "
    )
    rows = rank(runs, rules=rules).rows()
    words = " / ".join(on_common_classes(runs)[0].labels.titles)
    title = f"{runs[0].info.task}: {words}" + (f", {setting}" if setting else "")
    (table,) = as_tables([], ranking_view(rows, runs, "accuracy", split))
    left = f"Scatters and reliability are of the first {len(few)} of {len(runs)} stores."
    return Section(title, figures, (), _ranked(table), left if len(few) < len(runs) else "")


def _ranked(table: Table) -> Ranked:
    columns = [c for c in table.columns if c.key not in IN_THE_NAME]
    first = [c for start in FIRST for c in columns if _begins(c.key, start)]
    columns = first + [c for c in columns if c not in first]
    (full,), ranked = table.blocks
    names = [{"name": c.one_line, "left": c.justify == "left"} for c in columns]
    # Numbers, names of components and categories have neither bars nor lines' ends.
    lines = ["|".join(c.cell(row) for c in columns) for row in [full, *ranked]]
    few = replace(table, columns=first, blocks=[[full], ranked[:WITHOUT_SCRIPT]])
    return Ranked(few, len(first), json.dumps(names), _packed("\n".join(lines)))


def _packed(text: str) -> str:
    """A quarter of it, of letters that end no element."""
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def _begins(key: str, start: str) -> bool:
    return key.startswith(start) if start.endswith("_") else key == start


def _figures(picture: Picture, what: str = "") -> list[Figure]:
    return [
        Figure(what + printable(panel.title or picture.title or "figure"), to_svg(panel))
        for panel in picture.panels
    ]


def _value(row: Row, column: Column) -> str:
    """What a cell is sorted by: the whole number behind it, else its text."""
    value = plain(row.get(column.key))
    if column.key not in row:
        return column.cell(row)
    return "" if value is None else printable(str(value))

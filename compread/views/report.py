"""Everything about some stores on one page that needs no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

from compread.analysis.categories import DEFAULT_RULES, Rules
from compread.analysis.classes import on_common_classes
from compread.analysis.ranking import rank
from compread.analysis.runs import RunStats
from compread.analysis.study import study
from compread.errors import worded
from compread.options import TOP_SET
from compread.store.gather import setting_names
from compread.text import printable
from compread.version import __version__
from compread.views.analyze import summary_view
from compread.views.plots import charts
from compread.views.plots.draw import draw
from compread.views.plots.pictures import Picture
from compread.views.rank import ranking_view
from compread.views.tables import Column, Row, Table, as_tables, plain

RANKED = 50
"""Components in a ranked table."""


@dataclass(frozen=True)
class Image:
    """A drawn picture."""

    data: str
    """The SVG file in base 64."""
    alt: str


@dataclass(frozen=True)
class Section:
    """A heading with pictures and tables under it."""

    title: str
    pictures: Sequence[Image] = ()
    tables: Sequence[Table] = field(default=())


def report(
    runs: Sequence[RunStats],
    split: str = "test",
    rules: Rules = DEFAULT_RULES,
    top: int = TOP_SET,
    command: str = "",
    notes: Sequence[str] = (),
) -> str:
    """The page: an HTML document with its pictures, style and script inside.

    Args:
        runs: statistics with halves and shuffles (``read_runs(..., resample=True)``).
        split: the rows that they are of.
        rules: the thresholds between the categories.
        top: size of the top sets.
        command: what made the page.
        notes: what a reader must know of the stores, such as which were left out.

    Raises:
        UsageError: matplotlib is not installed.
        StoreError: two runs of a model differ in their components.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(
        files("compread.views").joinpath("report.html").read_text("utf-8")
    )
    tasks = ", ".join(dict.fromkeys(printable(run.info.task) for run in runs))
    models = ", ".join(dict.fromkeys(printable(run.info.model) for run in runs))
    return template.render(
        title=f"Components of {models}",
        about=f"{len(runs)} stores; tasks: {tasks}; scored on their {split} rows.",
        sections=[_safe(section) for section in _sections(runs, split, rules, top)],
        notes=[printable(worded(note)) for note in notes],
        command=printable(command),
        extracted=list(dict.fromkeys(printable(run.info.command) for run in runs)),
        version=__version__,
        value=_value,
    )


def _safe(section: Section) -> Section:
    return replace(section, tables=as_tables([], section.tables))


def _sections(runs: Sequence[RunStats], split: str, rules: Rules, top: int) -> list[Section]:
    document = study(runs, rules, top)
    curves, transfer = document.pop("training"), document.pop("transfer")
    sections = [Section("Runs", tables=summary_view(document, split))]
    if len(runs) > 1:
        matrix = charts.transfer(runs)
        sections.append(
            Section("Transfer", [_image(matrix)], summary_view({"transfer": transfer}, split))
        )
    if curves:
        tables = summary_view({"training": curves}, split)
        sections.append(Section("Over training", [_image(charts.training(runs))], tables))
    groups: dict[Any, list[RunStats]] = {}
    settings = setting_names([run.info for run in runs])
    for run, setting in zip(runs, settings, strict=True):
        key = run.info.task, len(run.labels.word), run.components, run.info.fingerprint, setting
        groups.setdefault(key, []).append(run)
    return sections + [_group(of, split, rules, key[-1]) for key, of in groups.items()]


def _group(runs: Sequence[RunStats], split: str, rules: Rules, setting: str | None) -> Section:
    """The components of runs that share a task, its labels, the model and the setting."""
    pictures = [charts.heatmap(runs), charts.scatter(runs[: charts.MOST_PANELS], rules=rules)]
    rows = rank(runs, top=RANKED, rules=rules).rows()
    words = " / ".join(word.strip() for word in on_common_classes(runs)[0].labels.word)
    title = printable(f"{runs[0].info.task}: {words}" + (f", {setting}" if setting else ""))
    return Section(title, list(map(_image, pictures)), ranking_view(rows, runs, "accuracy", split))


def _image(picture: Picture) -> Image:
    panels = "; ".join(dict.fromkeys(panel.title for panel in picture.panels if panel.title))
    data = base64.b64encode(draw(picture, "svg")).decode()
    return Image(data, printable(panels or picture.title or "figure"))


def _value(row: Row, column: Column) -> str:
    """What a cell is sorted by: the whole number behind it, else its text."""
    value = plain(row.get(column.key))
    if column.key not in row:
        return column.cell(row)
    return "" if value is None else printable(str(value))

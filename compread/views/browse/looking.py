"""What is looked at: which runs, what of them, and in which order; no screen is needed for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compread.analysis.measures import MEASURES
from compread.options import WEIGHT
from compread.text import model_name, printable
from compread.views.browse.heat import Map, map_of
from compread.views.browse.reading import Shown
from compread.views.browse.rows import (
    ACCURACY,
    DIFFERENCE,
    Filter,
    ordered,
    shown_columns,
    with_beside,
)
from compread.views.tables import Column, Row, plain

LOW_FIRST = ("component", "kind", "layer", "head", "q_value", "category", "beside_category")
"""Columns that one wants to read from their low end."""


@dataclass
class Looking:
    """Some runs, perhaps others beside them, and how their components are picked and ordered."""

    shown: Shown | None = None
    beside: Shown | None = None
    filter: Filter = field(default_factory=Filter)
    by: str = ACCURACY
    """The key that the table is sorted by."""
    descending: bool = True
    measure: str = ACCURACY
    """What the map shows."""
    _fitted: tuple[object, dict[Column, int]] = (None, {})

    def take(self, read: Shown, beside: bool) -> None:
        """Look at something else, or at something else beside it."""
        if beside:
            self.beside = read
        else:
            self.shown = read
        self._check()

    def alone(self) -> None:
        """Put nothing beside."""
        self.beside = None
        self._check()

    def exchange(self) -> None:
        """What is beside is shown, and the other way round, where there are both."""
        if self.shown is not None and self.beside is not None:
            self.shown, self.beside = self.beside, self.shown
            self._check()

    def sort_by(self, key: str) -> None:
        """Sort by a column; by the one that it is sorted by, turn the order round."""
        self.descending = not self.descending if key == self.by else key not in LOW_FIRST
        self.by = key

    def next_measure(self) -> None:
        """Show the next measure on the map."""
        if there := self.measures():
            self.measure = there[(there.index(self.measure) + 1) % len(there)]

    def _check(self) -> None:
        """Leave a measure that what is shown has not."""
        there = self.measures()
        self.measure = self.measure if self.measure in there else ACCURACY
        if self.by in (WEIGHT, DIFFERENCE) and self.by not in there:
            self.by, self.descending = ACCURACY, True

    def measures(self) -> list[str]:
        """What the map can show."""
        if self.shown is None:
            return []
        extra = [WEIGHT, *([DIFFERENCE] if self.beside else [])]
        first = self._compared([self.shown.rows[0]])[0]
        return [name for name in (*MEASURES, *extra) if name in first]

    def rows(self) -> list[Row]:
        """The components that the filter leaves, in order; the full model is not among them."""
        if self.shown is None:
            return []
        found = [row for row in self._compared(self.shown.rows) if self.filter.keeps(row)]
        return ordered(found, self.by, self.descending)

    def table(self) -> list[Row]:
        """The full model, then ``rows``."""
        return [] if self.shown is None else [*self._compared([self.shown.full]), *self.rows()]

    def row(self, name: str) -> tuple[Row, Row | None]:
        """A component, or ``full``, in what is shown and in what is beside."""
        sides = [
            {row["component"]: row for row in [*side.rows, side.full]} if side else {}
            for side in (self.shown, self.beside)
        ]
        return sides[0][name], sides[1].get(name)

    def columns(self, width: int) -> dict[Column, int]:
        """Those that have room for every component, whatever the filter leaves."""
        if self.shown is None:
            return {}
        now = (self.shown, self.beside, self.by, self.descending, width)
        if self._fitted[0] != now:
            rows = self._compared([self.shown.full, *self.shown.rows])
            self._fitted = (
                now,
                shown_columns(
                    self.shown.table.columns,
                    rows,
                    width,
                    self.by,
                    self.descending,
                    self.beside is not None,
                ),
            )
        return self._fitted[1]

    def map(self) -> Map:
        """The measure by layer and head."""
        if self.shown is None:
            return map_of((), {}, ())
        numbers = {
            row["component"]: float(row[self.measure])
            for row in self._compared(self.shown.rows)
            if plain(row.get(self.measure)) is not None
        }
        kept = {row["component"] for row in self.rows()}
        scale = MEASURES[self.measure].scale if self.measure in MEASURES else "logits"
        labels = len(self.shown.runs[0].labels.word)
        centre = {"accuracy": 1 / labels, "logits": 0.0}.get(scale)
        return map_of(self.shown.components, numbers, kept, centre)

    def what(self, split: str) -> str:
        """A line on what is shown."""
        if self.shown is None:
            return ""
        model = printable(model_name(self.shown.runs[0].info.model))
        beside = f", beside {self.beside.source.name}" if self.beside else ""
        full = f", full model {self.shown.full['accuracy']:.3f}"
        return f"{self.names()[0]}: {self.shown.full['n']} {split} rows{full}{beside}, {model}"

    def names(self) -> list[str]:
        """What is shown, and what is beside it."""
        return [side.source.name for side in (self.shown, self.beside) if side]

    def chosen(self, on_map: bool) -> str:
        """A line on how components are picked and ordered."""
        if self.shown is None:
            return ""
        said = f"{len(self.rows())} of {len(self.shown.rows)} components, {self.filter.said}"
        if on_map:
            ends = self.map()
            return f"{_words(self.measure)}, 0 to 9 from {ends.low:.3g} to {ends.high:.3g}; {said}"
        order = "highest first" if self.descending else "lowest first"
        return f"{said}; by {_words(self.by)}, {order}"

    def told(self, name: str | None) -> str:
        """What the map has of a component."""
        row: dict[str, Any] = next((dict(r) for r in self.rows() if r["component"] == name), {})
        if not row:
            return ""
        value = plain(row.get(self.measure))
        number = "none" if value is None else f"{value:.4g}"
        return f"{name}: {_words(self.measure)} {number}, {row['category']}"

    def _compared(self, rows: list[Row] | tuple[Row, ...]) -> list[Row]:
        if self.beside is None:
            return list(rows)
        return with_beside(rows, [*self.beside.rows, self.beside.full])


def _words(key: str) -> str:
    return key.replace("_", " ")

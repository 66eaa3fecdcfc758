"""Which rows are shown, of which columns, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from compread.analysis.categories import CATEGORIES
from compread.components import KINDS, LAYERED
from compread.views.tables import Column, Row, Table, plain
from compread.views.terminal import fit

ACCURACY, BESIDE, DIFFERENCE = "accuracy", "beside", "difference"
COMPARED = (
    Column(BESIDE, "accuracy\nbeside", format=".3f"),
    Column(DIFFERENCE, "accuracy\n- beside", format="+.3f"),
    Column("beside_category", "category\nbeside", justify="left", drop=1),
)
"""What stands in the table where something is put beside."""


@dataclass(frozen=True)
class Filter:
    """What a component must be to be shown; empty fields ask for nothing."""

    text: str = ""
    """Part of its name, or a pattern such as ``L3H*``; upper and lower case are alike."""
    kind: str = ""
    category: str = ""
    layers: tuple[range, ...] = ()

    @property
    def spelled_layers(self) -> str:
        """The layers as one types them: ``0-2,5``."""
        return ",".join(
            f"{s.start}-{s.stop - 1}" if len(s) > 1 else str(s.start) for s in self.layers
        )

    @property
    def said(self) -> str:
        """What is asked for, in words."""
        fields = {"find": self.text, "kind": self.kind, "category": self.category}
        fields["layers"] = self.spelled_layers
        return ", ".join(f"{name} {value}" for name, value in fields.items() if value) or "all"

    def keeps(self, row: Row) -> bool:
        """Whether a row of ``rank`` is shown."""
        name, wanted = str(row["component"]).lower(), self.text.strip().lower()
        return (
            (wanted in name or fnmatchcase(name, wanted))
            and self.kind in ("", row["kind"])
            and self.category in ("", row["category"])
            and (not self.layers or any(row["layer"] in span for span in self.layers))
        )


def next_of(values: Sequence[str], value: str) -> str:
    """The value behind one, and at the end none: ``next_of(["a", "b"], "b")`` is ``""``."""
    ring = ["", *values]
    return ring[(ring.index(value) + 1) % len(ring)]


def kinds_of(rows: Sequence[Row]) -> list[str]:
    """The kinds that there are, those that a layer has first."""
    there = {row["kind"] for row in rows}
    return [kind for kind in dict.fromkeys((*LAYERED, *KINDS)) if kind in there]


def categories_of(rows: Sequence[Row]) -> list[str]:
    """The categories that there are, in the order of the list."""
    there = {row["category"] for row in rows}
    return [category for category in CATEGORIES if category in there]


def with_beside(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Rows with what the components of the same names are in something else; None where absent."""
    found = {row["component"]: row for row in others}
    return [{**row, **_beside(row, found.get(row["component"]))} for row in rows]


def _beside(row: Row, other: Row | None) -> Row:
    if other is None:
        return {BESIDE: None, DIFFERENCE: None, "beside_category": None}
    return {
        BESIDE: other[ACCURACY],
        DIFFERENCE: row[ACCURACY] - other[ACCURACY],
        "beside_category": other["category"],
    }


def ordered(rows: Sequence[Row], key: str, descending: bool = True) -> list[Row]:
    """Rows by one of their values; those without stay last, equal ones in the order given."""
    present = [row for row in rows if plain(row.get(key)) is not None]
    absent = [row for row in rows if plain(row.get(key)) is None]
    return sorted(present, key=lambda row: row[key], reverse=descending) + absent


def shown_columns(
    columns: Sequence[Column],
    rows: Sequence[Row],
    width: int,
    by: str,
    descending: bool,
    compared: bool,
) -> dict[Column, int]:
    """The columns that have room, with their widths; what is sorted by is marked and never out."""
    wanted = [column for column in columns if column.key != "rank"]
    if compared:
        wanted[-1:] = [*COMPARED[:2], wanted[-1], COMPARED[2]]
    mark = " ▼" if descending else " ▲"
    wanted = [replace(c, header=c.title + mark, drop=0) if c.key == by else c for c in wanted]
    return fit(Table(wanted, [rows]), width)

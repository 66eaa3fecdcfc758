"""What a picture shows, whatever draws it.

Every plot of compread is one of four things side by side: a grid of values, points in the plane,
lines with bands, or a sum built up step by step. ``draw`` puts them on paper, ``terminal`` in a
terminal, and ``picture_rows`` gives the numbers behind them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compread.array_types import Floats


@dataclass(frozen=True, eq=False)
class Grid:
    """Values in rows and columns; NaN is an empty cell."""

    values: Floats
    """[rows, columns]"""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    what: str
    """What a value is."""
    low: float
    high: float
    centre: float | None = None
    """The value that is neither high nor low; None where colours run one way."""
    title: str = ""
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True, eq=False)
class Group:
    """Points that belong together."""

    name: str
    x: Floats
    y: Floats
    names: tuple[str, ...] = ()
    """What each point is; empty where they have no names."""
    shares: Floats | None = None
    """What share of the whole each point is of, shown by its size; None: all are alike."""


@dataclass(frozen=True, eq=False)
class Points:
    """Groups of points, the first drawn first."""

    groups: tuple[Group, ...]
    x_label: str
    y_label: str
    title: str = ""
    level: float | None = None
    """A height to compare with, drawn as a line."""
    level_name: str = ""
    unit: bool = False
    """Whether both axes are shares, from 0 to 1."""
    diagonal: bool = False
    """Whether x = y is drawn, and each group's points are joined in their order."""
    sides: tuple[str, str] | None = None
    """What points above and below x = y mean, which is drawn then."""
    named: tuple[str, ...] = ()
    """Names of the points that are labelled."""


@dataclass(frozen=True, eq=False)
class Line:
    """A curve with a band."""

    name: str
    y: Floats
    """NaN where there is no point."""
    low: Floats
    """The band's lower end; equal to ``y`` where there is none."""
    high: Floats


@dataclass(frozen=True, eq=False)
class Lines:
    """Curves over places with names, evenly apart."""

    lines: tuple[Line, ...]
    places: tuple[str, ...]
    x_label: str
    y_label: str
    title: str = ""
    level: float | None = None
    """A height to compare with, drawn as a line."""
    level_name: str = ""


@dataclass(frozen=True, eq=False)
class Steps:
    """A sum built up step by step, the first on top."""

    names: tuple[str, ...]
    changes: Floats
    """[S] what each adds."""
    ends: Floats
    """[S] the sum behind each."""
    total: float
    total_name: str
    x_label: str
    title: str = ""
    y_label: str = ""


Panel = Grid | Points | Lines | Steps


@dataclass(frozen=True, eq=False)
class Picture:
    """Panels side by side."""

    panels: Sequence[Panel]
    title: str = ""

    @property
    def counted(self) -> str:
        """How many panels there are, such as ``1 panel``."""
        return f"{len(self.panels)} panel{'s' if len(self.panels) != 1 else ''}"


def wrapped(title: str, letters: int) -> str:
    r"""A title in lines of at most so many letters, cut behind commas, colons and semicolons.

    Only a clause that is longer than a line is cut at its blanks, into lines of like length:
    ``wrapped("a, b; full model 0.5", 16)`` is ``"a, b;\nfull model 0.5"``.
    """
    lines: list[str] = []
    for clause in re.split(r"(?<=[,;:]) ", title):
        if lines and len(lines[-1]) + 1 + len(clause) <= letters:
            lines[-1] += f" {clause}"
        else:
            lines += _balanced(clause, letters)
    return "\n".join(lines)


def _balanced(clause: str, letters: int) -> list[str]:
    """As few lines as the letters allow, the longest of them as short as it can be."""

    def lines(width: int) -> list[str]:
        return textwrap.wrap(clause, width, break_on_hyphens=False) or [""]

    fewest = len(lines(letters))
    widths = range(max(1, len(clause) // fewest), letters)
    return lines(next((w for w in widths if len(lines(w)) == fewest), letters))


def picture_rows(picture: Picture) -> list[dict[str, Any]]:
    """The numbers of a picture, a row a cell or point."""
    return [{"panel": panel.title, **row} for panel in picture.panels for row in _panel_rows(panel)]


def _panel_rows(panel: Panel) -> list[dict[str, Any]]:
    if isinstance(panel, Grid):
        return [
            {"row": row, "column": column, "value": float(panel.values[i, j])}
            for i, row in enumerate(panel.rows)
            for j, column in enumerate(panel.columns)
            if not np.isnan(panel.values[i, j])
        ]
    if isinstance(panel, Points):
        return [
            {"group": g.name, "name": name, "x": float(x), "y": float(y)}
            for g in panel.groups
            for name, x, y in zip(g.names or [""] * len(g.x), g.x, g.y, strict=True)
        ]
    if isinstance(panel, Steps):
        steps = zip(panel.names, panel.changes, panel.ends, strict=True)
        rows = [{"name": n, "change": float(c), "running_sum": float(end)} for n, c, end in steps]
        return [*rows, {"name": panel.total_name, "change": None, "running_sum": panel.total}]
    return [
        {"line": line.name, "place": place, "value": float(y), "low": float(low), "high": float(up)}
        for line in panel.lines
        for place, y, low, up in zip(panel.places, line.y, line.low, line.high, strict=True)
        if not np.isnan(y)
    ]

"""A table for a paper fits its column, by the widths of the font that LaTeX itself sets it in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib import get_data_path

from compread.analysis.ranking import rank
from compread.analysis.runs import read_runs
from compread.analysis.study import study
from compread.views.analyze import summary_view
from compread.views.latex import ROOM, latex_escaped, narrowed, text_width, to_latex
from compread.views.rank import ranking_view
from compread.views.tables import Column, Table

FONT = Path(get_data_path(), "fonts", "afm", "cmr10.afm")
NAMES = {
    "zero": "0", "seven": "7", "period": ".", "comma": ",", "plus": "+", "bracketleft": "[",
    "parenleft": "(", "percent": "%", "hyphen": "-", "bracketright": "]", "slash": "/",
}  # fmt: skip


def font_widths() -> dict[str, float]:
    """Points of characters at 10 points, as the file of Computer Modern has them."""
    lines = FONT.read_text("latin-1")
    found = re.findall(r"^C -?\d+ ; WX ([\d.]+) ; N (\w+) ", lines, re.MULTILINE)
    named = {NAMES.get(name, name): float(width) / 100 for width, name in found}
    return {name: width for name, width in named.items() if len(name) == 1} | {" ": 3.33}


def points(text: str, widths: dict[str, float]) -> float:
    """The width of what LaTeX prints of a cell."""
    text = text.replace("\\dots{}", "...").replace("$-$", "+").replace("{[}", "[")
    text = re.sub(r"\\textless\{\}", "+", text.replace("\\_", "n")).replace("\\", "")
    return sum(widths.get(c, 5.0) for c in text.strip())


def test_widths_are_those_of_the_font() -> None:
    """Each character is as wide as the font's file says, to a hundredth of a point."""
    for character, width in font_widths().items():
        assert text_width(character) == pytest.approx(width, abs=0.011), character
    assert text_width("-1 x-y") == pytest.approx(text_width("1 x-y") + 7.78, abs=0.01)


@pytest.mark.parametrize("by", ["accuracy", "margin", "ece"])
def test_the_tables_of_rank_and_analyze_fit_a_column(stores: Path, by: str) -> None:
    """Measured by the font's file from what is printed, no table is wider than a paper's column."""
    runs = read_runs(sorted(stores.glob("*.h5")), resample=True)
    tables = ranking_view(rank(runs, by).rows(), runs, by, "test")
    tables += summary_view(study(runs), "test")
    widths = font_widths()
    for table in tables:
        lines = to_latex(narrowed(table)).splitlines()
        body = lines[next(n for n, x in enumerate(lines) if "toprule" in x) :]
        cells = [line.removesuffix(" \\\\").split(" & ") for line in body if " & " in line]
        columns = list(zip(*cells, strict=True))
        total = sum(max(points(c, widths) for c in column) for column in columns)
        assert total + 8 * (len(columns) - 1) <= ROOM
        assert len(columns) >= 4
    heads = table_heads(tables[0])
    assert heads[heads.index("component") + 1] == by


def table_heads(table: Table) -> list[str]:
    """The keys of a narrowed table's columns."""
    return [column.key for column in narrowed(table).columns]


def test_paths_are_names(tmp_path: Path) -> None:
    """A store is called by its last name, cut at the start where that is long."""
    column = Column("store", justify="left", shorten="start")

    def shown(name: str, **row: Any) -> str:
        rows = [{"store": f"{tmp_path}/{name}.h5", **row}]
        wide = [Column(key) for key in row]
        text = to_latex(narrowed(Table([column, *wide], [rows])))
        return text.partition("midrule\n")[2].split(" & ")[0].split(" \\")[0]

    assert shown("sst2-k4-s0") == "sst2-k4-s0"
    cut = shown("sst2-review-sentiment-k4-s0", wide="x" * 30)
    assert cut.startswith("\\dots{}") and cut.endswith("k4-s0")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-0.5 [-1.0, +2.0]", "$-$0.5 {[}$-$1.0, +2.0]"),
        ("cross-fit, 2-3", "cross-fit, 2-3"),
        ("[95 %", "{[}95 \\%"),
        ("...s0", "\\dots{}s0"),
    ],
)
def test_what_a_paper_would_print_otherwise(text: str, wanted: str) -> None:
    """A minus is no hyphen, and no cell begins an argument of the line's end."""
    assert latex_escaped(text) == wanted

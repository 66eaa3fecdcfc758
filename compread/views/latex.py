"""A table in LaTeX that fits one column of a paper of two.

Widths are those of Computer Modern at 10 points, so that what is printed as it is fits without a
look at the page: a column of the ACL's and of NeurIPS' or ICML's styles has about 220 to 240
points, a page of LaTeX's own ``article`` 345.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from compread.text import base_names
from compread.views.fit import fit, shortened
from compread.views.tables import Column, Row, Table, without_absent

ROOM = 240.0
"""Points of a paper's column."""
GAP = 8.0
"""Points between two columns: twice ``\\tabcolsep`` as it is set here."""
SHORTEST = 62.0
"""Points that a shortened text keeps: about twelve characters."""
PACKAGES = "% needs \\usepackage{booktabs}"
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "−": "$-$", "×": r"$\times$",
    "[": "{[}",  # behind the end of a row it would begin an argument
}  # fmt: skip
_WIDTHS = {
    2.78: "!',.:;[]il|", 3.06: "fj", 3.33: "- ", 3.61: "I", 3.89: "()t", 3.92: "r", 3.94: "s",
    4.44: "cez", 4.72: "?", 5.14: "J", 5.28: "kqvxy", 5.56: "Sbdhnpu", 6.11: "Z", 6.25: "L",
    6.53: "F", 6.81: "EP", 7.08: "B", 7.22: "CTw", 7.36: "R", 7.5: "AHNUVXY", 7.64: "D",
    7.78: "&+<=>@KOQ−×±", 7.85: "G", 8.33: "#%m", 9.17: "M", 10.28: "W",
}  # fmt: skip
_WIDTH_OF = {character: width for width, all_of in _WIDTHS.items() for character in all_of}
_DIGIT = 5.0
_NEGATIVE = re.compile(r"(?<![\w.,)])-(?=[\d.])")


def text_width(text: str) -> float:
    """The width of a text in points, kerning aside; ten for a character of no Latin font."""
    points = sum(_WIDTH_OF.get(c, _DIGIT if c < "\u0250" else 10.0) for c in text)
    # A minus is wider than the hyphen that stands for it here, an ellipsis than three dots.
    return points + 4.45 * len(_NEGATIVE.findall(text)) + 5 * text.count("...")


def narrowed(table: Table) -> Table:
    """The table with the columns that fit a paper's, its long texts shortened.

    A path keeps as many of its last names as tell it from the others, without a store's ending.
    The note is on what is shown.
    """
    rows = [row for block in table.blocks for row in block]
    columns = [replace(c, format=_last_name(c, rows)) if c.shorten == "start" else c for c in
               table.columns]  # fmt: skip
    sizes = fit(replace(table, columns=columns), ROOM, text_width, GAP, SHORTEST)
    cut = [replace(c, format=_shortened(c, size, rows)) if c.shorten else c for c, size in
           sizes.items()]  # fmt: skip
    return replace(table, columns=cut, note=without_absent(table.note, columns, cut))


def to_latex(table: Table, label: str = "", left_out: str = "") -> str:
    r"""A ``table`` environment in booktabs' style, its blocks apart by a rule.

    Args:
        table: its title is the caption.
        label: what ``\ref`` finds it by; none where empty.
        left_out: of which columns the table is less, said in a comment.
    """
    if not table.columns:
        return "".join(f"{latex_escaped(text)}\n" for text in (table.title, table.note) if text)
    aligned = "".join("r" if column.justify == "right" else "l" for column in table.columns)
    lines = [
        "\\begin{table}",
        PACKAGES,
        "\\centering",
        f"\\setlength{{\\tabcolsep}}{{{GAP / 2:g}pt}}",
    ]
    lines[2:2] = [f"% {left_out}"] if left_out else []
    if table.title:
        lines.append(f"\\caption{{{latex_escaped(table.title)}}}")
    if label:
        lines.append(f"\\label{{{label}}}")
    lines += [f"\\begin{{tabular}}{{@{{}}{aligned}@{{}}}}", "\\toprule", *_head(table.columns)]
    for block in table.blocks:
        if block:
            lines.append("\\midrule")
            lines += [_line([c.cell(row) for c in table.columns]) for row in block]
    lines += ["\\bottomrule", "\\end{tabular}"]
    if table.note:
        lines.append(f"\\par\\smallskip\\footnotesize {latex_escaped(table.note)}")
    return "\n".join([*lines, "\\end{table}"]) + "\n"


def latex_escaped(text: str) -> str:
    """The text with what LaTeX reads as commands spelt out, as a backslash before ``%``."""
    escaped = "".join(_ESCAPES.get(c, c) for c in _NEGATIVE.sub("−", text))
    return escaped.replace("...", r"\dots{}")


def _head(columns: Sequence[Column]) -> list[str]:
    """The headings, of as many rows as the highest has lines; the others end on the last."""
    stacks = [column.title.split("\n") for column in columns]
    height = max(map(len, stacks))
    filled = [[""] * (height - len(stack)) + stack for stack in stacks]
    return [_line(row) for row in zip(*filled, strict=True)]


def _line(cells: Iterable[str]) -> str:
    return " & ".join(latex_escaped(cell) for cell in cells) + r" \\"


def _last_name(column: Column, rows: Sequence[Row]) -> Callable[[Row], str]:
    names = base_names([column.cell(row) for row in rows])
    return lambda row: names[column.cell(row)]


def _shortened(column: Column, size: float, rows: Sequence[Row]) -> Callable[[Row], str]:
    short = shortened([column.cell(row) for row in rows], size, column.shorten, text_width)
    return lambda row: short[column.cell(row)]

"""A table for a paper: LaTeX with the booktabs package."""

from __future__ import annotations

from compread.views.tables import Table

ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "−": "$-$", "×": r"$\times$",
}  # fmt: skip


def to_latex(table: Table) -> str:
    """A ``table`` environment with every column, blocks apart by a rule, the title its caption."""
    if not table.columns:
        return "".join(f"{escape(text)}\n" for text in (table.title, table.note) if text)
    aligned = "".join("r" if column.justify == "right" else "l" for column in table.columns)
    head = " & ".join(escape(column.one_line) for column in table.columns)
    blocks = [
        "".join(" & ".join(escape(c.cell(row)) for c in table.columns) + " \\\\\n" for row in block)
        for block in table.blocks
        if block
    ]
    lines = ["\\begin{table}", "\\centering"]
    if table.title:
        lines.append(f"\\caption{{{escape(table.title)}}}")
    lines += [f"\\begin{{tabular}}{{{aligned}}}", "\\toprule", f"{head} \\\\", "\\midrule"]
    body = "\\midrule\n".join(blocks)
    end = ["\\bottomrule", "\\end{tabular}"]
    if table.note:
        end.append(f"\\par\\smallskip\\footnotesize {escape(table.note)}")
    return "\n".join(lines) + f"\n{body}" + "\n".join([*end, "\\end{table}"]) + "\n"


def escape(text: str) -> str:
    """The text with what LaTeX reads as commands spelt out, as a backslash before ``%``."""
    return "".join(ESCAPES.get(c, c) for c in text)

"""LaTeX and Parquet."""

import io

import pandas
import pytest

from compread.views.choose import Form, chosen
from compread.views.latex import latex_escaped
from compread.views.parquet import to_parquet
from compread.views.render import render
from compread.views.tables import Column, Table

ROWS = [
    {"component": "L0H1", "accuracy": 0.5, "layer": 0, "biased": True, "p": None},
    {"component": "a_b & 50 %", "accuracy": 1, "layer": None, "biased": False, "p": float("nan")},
]


def test_latex_has_every_cell_and_escapes():
    """The rows stand between booktabs' rules, commands of LaTeX spelt out."""
    columns = [
        Column("component", justify="left"),
        Column("accuracy", "its\naccuracy", format=".2f"),
    ]
    table = Table(columns, [ROWS[:1], ROWS[1:]], title="50 %", note="n_1")
    text = render(ROWS, [table], "latex")
    head = "\\toprule\n & its \\\\\ncomponent & accuracy \\\\\n\\midrule\n"
    assert f"\\begin{{tabular}}{{@{{}}lr@{{}}}}\n{head}" in text
    assert "L0H1 & 0.50 \\\\\n\\midrule\na\\_b \\& 50 \\% & 1.00 \\\\\n\\bottomrule" in text
    assert "\\caption{50 \\%}" in text and "\\footnotesize n\\_1" in text
    assert text.count("\\begin") == text.count("\\end")


def test_latex_escapes_each_command():
    """No character is left that LaTeX reads as a command."""
    assert latex_escaped("\\{}&%$#_~^<>") == (
        r"\textbackslash{}\{\}\&\%\$\#\_\textasciitilde{}\textasciicircum{}"
        r"\textless{}\textgreater{}"
    )


def test_parquet_has_the_rows_and_their_types():
    """Numbers are numbers, text is text, None and NaN are missing."""
    frame = pandas.read_parquet(io.BytesIO(to_parquet(ROWS)))
    assert list(frame.columns) == list(ROWS[0])
    assert frame["accuracy"].tolist() == [0.5, 1.0] and frame["biased"].tolist() == [True, False]
    assert frame["layer"].isna().tolist() == [False, True] and frame["p"].isna().all()


@pytest.mark.parametrize("values", [[1, "a"], [[1, 2], None], [{"a": 1}, 2.5]])
def test_parquet_holds_mixed_values_as_text(values):
    """A column of several types, or of lists, is text."""
    frame = pandas.read_parquet(io.BytesIO(to_parquet([{"x": value} for value in values])))
    assert [None if pandas.isna(v) else v for v in frame["x"]] == [
        None if v is None else str(v) for v in values
    ]


def test_parquet_of_several_lists_names_them():
    """Lists whose rows have the same keys are one table with the list's name."""
    frame = pandas.read_parquet(io.BytesIO(to_parquet({"a": [{"x": 1}], "b": [{"x": 2}]})))
    assert frame["table"].tolist() == ["a", "b"] and list(frame.columns) == ["table", "x"]


WIDE = [Column("component", justify="left"), Column("q_value", "q\nvalue", drop=1)]
WIDE += [Column(f"long_{n}", f"a rather long heading {n}", drop=2) for n in range(5)]
NOTE = "q value: against chance. long 1, long 2: what they are, 0.5 by chance. Said of all."


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("latex", "\n% left out: a rather long heading 1, a rather long heading 2, "),
        ("md", "\n\nq value: against chance. Said of all. Left out: a rather long heading 1, "),
    ],
)
def test_a_page_says_what_it_leaves_out(form, told):
    """By heading, and how to have it; notes on those columns go; without notes nothing is said."""
    rows = [{"component": "L0H1"}]
    text = render(rows, [Table(WIDE, [rows], note=NOTE)], form)
    assert told in text and "; --columns has any" in text and "what they are" not in text
    spoken = render(rows, [Table(WIDE, [rows], note=NOTE)], form, in_python=True)
    assert "; .to_text(columns=...) has any" in spoken and "--" not in spoken.partition("left")[2]
    bare = render(rows, [Table(WIDE, [rows], note=NOTE)], form, notes="none")
    assert "left out" not in bare.lower()
    few = render(rows, [Table(WIDE[:2], [rows], note=NOTE)], form)
    assert "left out" not in few.lower() and "q value: against chance" in few


def test_a_note_on_a_column_goes_with_it():
    """In a terminal without room, and where others are chosen; notes on anything else stay."""
    rows = [{"component": "L0H1", "q_value": 1.0}]
    table = Table(WIDE, [rows], note=NOTE)
    assert render(rows, [table], width=200).endswith("\n\n" + NOTE + "\n")
    narrow = render(rows, [table], width=40)
    assert "q value: against chance. Said of all. Not shown:" in " ".join(narrow.split())
    document, view = chosen(rows, [table], Form(columns=("component", "long_1")))
    assert render(document, view).splitlines()[-1].startswith("long 1, long 2: what they are")
    document, view = chosen(rows, [table], Form(columns=("component",)))
    assert render(document, view).splitlines()[-1] == "Said of all."

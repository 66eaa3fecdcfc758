"""Columns, one table of several, captions and notes, as a user has chosen them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas
import pytest

from compread.errors import UsageError
from compread.views.choose import Form, chosen, column_of
from compread.views.parquet import to_parquet
from compread.views.render import render
from compread.views.tables import MORE, Column, Table

ROWS = [
    {"component": "L0H1", "accuracy": 0.51234, "q_value": 1e-7, "stores": ["a", "b"], "n": 3},
    {"component": "full", "accuracy": 0.25, "q_value": None, "stores": [], "n": 4},
]
COLUMNS = [
    Column("component", justify="left"),
    Column("accuracy", "its\naccuracy", format=".2f", drop=1),
]
VIEW = [Table(COLUMNS, [ROWS[1:], ROWS[:1]], "Title", f"All of it.{MORE}", f"Some of it.{MORE}")]


def shown(form: Form, document: Any = ROWS, view: Any = VIEW, **kwargs: Any) -> str:
    """What is printed of a document in a form."""
    document, view = chosen(document, view, form)
    return render(document, view, form.format, notes=form.notes, label=form.label, **kwargs)


@pytest.mark.parametrize(
    "names",
    [
        ("q_value", "component", "accuracy"),
        ("q value", "Component", "its accuracy"),
        ("q", "component", "its-accuracy"),
    ],
)
def test_columns_are_named_by_key_heading_or_beginning(names: tuple[str, ...]) -> None:
    """Their order is the user's in every form, with the view's own digits where it has some."""
    wanted = ["q_value", "component", "accuracy"]
    out = shown(Form("json", names))
    assert [list(row) for row in json.loads(out)] == [wanted] * 2
    assert next(csv.reader(io.StringIO(shown(Form("csv", names))))) == wanted
    document, _ = chosen(ROWS, VIEW, Form("parquet", names))
    assert list(pandas.read_parquet(io.BytesIO(to_parquet(document)))) == wanted
    lines = shown(Form("table", names), width=40).splitlines()
    assert lines[2].split() == ["q", "value", "component", "accuracy"]
    assert lines[4].split() == ["full", "0.25"] and lines[6].split() == ["1e-07", "L0H1", "0.51"]
    for form, apart in (("md", "|"), ("latex", "&")):
        heads = [line for line in shown(Form(form, names)).splitlines() if "component" in line]
        assert [part.split()[-1] for part in heads[0].rstrip("\\ ").strip("| ").split(apart)] == [
            "value", "component", "accuracy",
        ]  # fmt: skip


def test_a_chosen_column_is_never_left_out() -> None:
    """One that the view may drop stays where it was asked for, whatever the width."""
    narrow = shown(Form("table", ("component", "accuracy", "n", "stores")), width=20)
    assert {"component", "accuracy", "n", "stores"} <= set(narrow.split())
    assert "Not shown" not in narrow and "a, b" in narrow


def test_an_unknown_column_is_named() -> None:
    """With the nearest there is, and all there are; what may be two is none."""
    with pytest.raises(UsageError) as error:
        shown(Form("csv", ("component", "acuracy")))
    assert str(error.value) == (
        "--columns component,acuracy: there is no column 'acuracy'; expected names of component, "
        "accuracy, q_value, stores, n; did you mean accuracy?"
    )
    two = [{"best_a": 1, "best_b": 2}]
    with pytest.raises(UsageError, match="it may be best_a or best_b"):
        shown(Form("json", ("best",)), two, [Column("best_a")])


def test_columns_of_one_of_several_lists() -> None:
    """Tables and lists that have all of them are shown, each row in one table alone."""
    lists = {"runs": [{"store": "s", "a": 1.0, "b": 2}], "mean": [{"a": 3.0}]}
    runs = [lists["runs"]]
    view = [Table([Column("store")], runs), Table([Column("b")], runs), Table([], [lists["mean"]])]
    assert shown(Form("table", ("b", "store")), lists, view).split()[-2:] == ["2", "s"]
    assert json.loads(shown(Form("json", ("b",)), lists, view)) == {"runs": [{"b": 2}]}
    assert shown(Form("csv", ("a",)), lists, view) == "table,a\nruns,1.0\nmean,3.0\n"


def test_cells_of_the_view_s_own_making_give_way_to_the_lists() -> None:
    """Where the view is a grid, chosen columns are laid over the document's lists."""
    grid = [Table([Column("task"), Column("full")], [[{"task": "t", "full": "50.0 (1.0)"}]])]
    document = {"runs": [{"task": "t", "method": "full", "accuracy": 0.5}], "mean": []}
    out = shown(Form("table", ("method", "accuracy")), document, grid)
    assert out.split()[:1] == ["runs"] and out.split()[-2:] == ["full", "0.500"]


def test_one_list_of_several() -> None:
    """It is shown alone in every form; another name is answered with those there are."""
    lists = {"runs": [{"a": 1}], "mean": [{"b": 2}]}
    for form in ("table", "json", "csv", "md", "latex"):
        document, view = chosen(lists, [], Form(form), "mean")
        assert "b" in render(document, view, form) and "a" not in (document, view)
    with pytest.raises(UsageError, match="'men': expected one of runs, mean; did you mean mean"):
        chosen(lists, [], Form(), "men")
    with pytest.raises(UsageError, match="this result is a single table"):
        chosen(ROWS, VIEW, Form(), "mean")


def test_captions_and_labels() -> None:
    """They stand where a paper wants them, escaped, and are refused where there is no place."""
    out = shown(Form("latex", caption="50 % of A_B", label="tab:a"))
    assert "\\caption{50 \\% of A\\_B}\n\\label{tab:a}\n" in out and "Title" not in out
    assert shown(Form("md", caption="Mine")).startswith("**Mine**\n")
    two = shown(Form("latex", label="tab:a"), view=VIEW * 2)
    assert "\\label{tab:a}" in two and "\\label{tab:a-2}" in two
    for form in (Form("csv", caption="a"), Form("json", caption="a"), Form("md", label="a")):
        with pytest.raises(UsageError, match="format latex"):
            form.check()


@pytest.mark.parametrize("form", ["table", "md", "latex"])
def test_as_much_of_the_notes_as_is_asked_for(form: str) -> None:
    """In brief, whole or none; a paper's table does not say how to have more of them."""
    brief, whole, none = (
        shown(Form(form, notes=notes))
        for notes in ("brief", "whole", "none")  # type: ignore[arg-type]
    )
    assert "Some of it." in brief and "All of it." in whole
    assert "of it" not in none and ("--explain" in brief) == (form == "table")


@pytest.mark.parametrize(
    ("values", "cells", "justify"),
    [
        ([0.5, -0.001, None], ["0.500", "-0.001", ""], "right"),
        ([0.5, 1000.0], ["0.5", "1e+03"], "right"),
        ([0.5, 0.0009, 0.0], ["0.5", "0.0009", "0"], "right"),
        ([999.9, 0.0], ["999.900", "0.000"], "right"),
        ([True, False, 3], ["yes", "no", "3"], "right"),
        ([["a", "b"], []], ["a, b", ""], "left"),
        (["a", None], ["a", ""], "left"),
    ],
)
def test_a_column_that_no_view_has_suits_its_values(
    values: list[Any], cells: list[str], justify: str
) -> None:
    """Three digits, behind the point where all numbers have some there; texts at the left."""
    rows = [{"some_long_key_of_it": value} for value in values]
    column = column_of("some_long_key_of_it", rows)
    assert [column.cell(row) for row in rows] == cells and column.justify == justify
    assert column.one_line == "some long key of it" and "\n" in column.header


def test_a_column_of_models_has_their_base_names() -> None:
    """A folder's path would take the table's room."""
    rows = [{"model": "/models/tiny.gguf"}, {"model": "org/big"}, {"model": None}]
    column = column_of("model", rows)
    assert [column.cell(row) for row in rows] == ["tiny.gguf", "org/big", ""]

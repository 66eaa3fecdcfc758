"""One document in four forms, each read back by another program's rules."""

import csv
import io
import json

import numpy as np
import pytest

from compread.views.render import render
from compread.views.tables import Column, Table, other_lists

ROWS = [
    {"name": "L0H0", "accuracy": 1 / 3, "head": 0, "none": None, "word": ' naïve, "好"'},
    {"name": "L|x", "accuracy": float("nan"), "head": np.int64(3), "none": None, "word": "a\nb"},
]
COLUMNS = [
    Column("name", justify="left"),
    Column("accuracy", "accuracy\nin words", format=".3f"),
    Column("word", justify="left"),
]


def test_json_has_full_precision_and_nulls():
    """Floats come back bit for bit, NaN as null, text unescaped, in one document."""
    text = render(ROWS, COLUMNS, "json")
    first, second = json.loads(text)
    assert first["accuracy"] == 1 / 3 and second["accuracy"] is None
    assert (second["head"], first["none"]) == (3, None)
    assert "naïve" in text and "好" in text
    assert list(first) == list(ROWS[0])


@pytest.mark.parametrize("value", [np.float32(0.1), np.float64(0.1), np.bool_(True), float("inf")])
def test_json_unwraps_numpy(value):
    """NumPy's scalars become Python's with the same value; what JSON lacks becomes null."""
    (row,) = json.loads(render([{"x": value}], COLUMNS, "json"))
    assert row["x"] == (value.item() if np.isfinite(value) else None)


def test_csv_reads_back():
    """Commas, quotes and line breaks survive; missing values are empty; floats are exact."""
    first, second = csv.DictReader(io.StringIO(render(ROWS, COLUMNS, "csv"), newline=""))
    assert float(first["accuracy"]) == 1 / 3 and second["accuracy"] == ""
    assert (first["word"], second["word"]) == (ROWS[0]["word"], ROWS[1]["word"])
    assert list(first) == list(ROWS[0])


def test_csv_of_lists_that_agree_is_one_table():
    """Lists with the same keys stand one after the other under one header, named."""
    document = {"runs": [{"a": 1, "b": 2}], "summary": [{"b": 4, "a": 3}]}
    assert render(document, [], "csv") == "table,a,b\nruns,1,2\nsummary,3,4\n"


def test_csv_of_lists_that_differ_is_the_first():
    """A list with other keys is left out, and can be told of: no column is empty by its making."""
    document = {"none": [], "runs": [{"a": 1}], "summary": [{"b": True}], "mean": [{"a": 2}]}
    assert render(document, [], "csv") == "table,a\nruns,1\nmean,2\n"
    assert other_lists(document) == ["summary"]


@pytest.mark.parametrize("document", [[], {"runs": []}])
def test_nothing_is_still_a_document(document):
    """Without rows JSON is empty lists, CSV is empty."""
    assert json.loads(render(document, COLUMNS, "json")) == document
    assert render(document, COLUMNS, "csv") == ""


def test_json_of_several_lists_is_one_document():
    """A dictionary of lists comes back as it went in."""
    document = {"runs": [{"a": 1}, {"a": 2}], "summary": [], "more": [{"b": [1, {"c": None}]}]}
    assert json.loads(render(document, [], "json")) == document


def test_markdown_is_a_github_table():
    """Pipes and line breaks in cells are escaped, and every line has the same columns."""
    lines = render(ROWS, COLUMNS, "md").splitlines()
    assert lines[0] == "| name | accuracy in words | word |"
    assert lines[1] == "| --- | ---: | --- |"
    assert lines[2].startswith("| L0H0 | 0.333 |")
    assert lines[3] == "| L\\|x |  | a\\nb |"


def test_a_view_of_columns_shows_every_list():
    """Columns alone are laid over each list of the document, under its name."""
    text = render({"runs": ROWS, "summary": ROWS[:1]}, COLUMNS, "md")
    assert text.count("| name |") == 2
    assert "**runs**" in text and "**summary**" in text


def test_a_view_may_order_rows_otherwise():
    """The table shows its blocks in its own order; JSON keeps the document's."""
    view = [Table(COLUMNS[:1], [ROWS[1:], ROWS[:1]])]
    assert [line.strip() for line in render(ROWS, view).splitlines()][2::2] == ["L|x", "L0H0"]
    assert [row["name"] for row in json.loads(render(ROWS, view, "json"))] == ["L0H0", "L|x"]


def test_an_unknown_format_is_an_error():
    """Only the four formats exist."""
    with pytest.raises(ValueError, match="'xml' is none of table, json, csv, md"):
        render(ROWS, COLUMNS, "xml")

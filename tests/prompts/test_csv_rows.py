"""CSV files as people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compread.errors import PromptError
from compread.prompts.local_files import read_rows

ROWS = [{"text": 'a "good"\nfilm, yes', "label": 1}, {"text": "café", "label": 0}]
PLAIN = 'text,label\n"a ""good""\nfilm, yes",1\ncafé,0\n'


def rows_of(tmp_path: Path, data: bytes) -> list[Any]:
    """What is read of a file with these bytes."""
    file = tmp_path / "rows.csv"
    file.write_bytes(data)
    return read_rows(file)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace("1\n", "1\r\n").encode(),
        PLAIN.replace("1\n", "1,,\n").encode(),
        PLAIN.replace("café", "\n\ncafé").encode(),
    ],
    ids=["plain", "byte-order mark", "line ends", "spreadsheet", "blank lines"],
)
def test_ways_to_write_the_same(tmp_path: Path, data: bytes) -> None:
    """A byte-order mark, other line ends, trailing separators and blank lines change no row."""
    assert rows_of(tmp_path, data) == ROWS


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0", "1", "-2"], [0, 1, -2]),
        (["0", "1.5", ""], [0, 1.5, None]),
        (["007", "008"], ["007", "008"]),
        (["1", "x"], ["1", "x"]),
        (["True", "False", ""], [True, False, None]),
        (["null", "NA", "nan"], ["null", "NA", "nan"]),
        (["1e5", "inf"], ["1e5", "inf"]),
        (["9" * 5000], ["9" * 5000]),
        (["x" * 200_000], ["x" * 200_000]),
    ],
)
def test_values_of_a_column(tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    """A column of numbers or truth values gives those; any other cell stays as it is written."""
    text = "id,cell\n" + "".join(f"r{n},{cell}\n" for n, cell in enumerate(cells))
    found = [row["cell"] for row in rows_of(tmp_path, text.encode())]
    assert found == values and list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; expected a line of names"),
        (b"\n\n", "is empty; expected a line of names"),
        (b"text;label\na;1\n", "line 1: one name, 'text;label'; separate cells by commas"),
        (b'text;label\n"a ""b"" c";1\n', "separate cells by commas, not by ';'"),
        (b"text\tlabel\na\t1\n", "separate cells by commas, not by '.t'"),
        (b"text,label\na,b,1\n", "line 2: a row of 3 cells, where the first line has 2 names"),
        (b"text,label\na,1\nb\n", "line 3: a row of 1 cells"),
        (b"text,text\na,1\n", "line 1: two columns are called 'text'"),
        (b'text,label\n"a,1\nb,0\n', "not valid CSV: unexpected end of data"),
        (b"text,label\na,1\ncaf\xe9,0\n", "line 3: not UTF-8 text; save the file as UTF-8"),
        ("text,label\na,1\n".encode("utf-16"), "line 1: not UTF-8 text"),
        (b"text,label\na\0b,1\n", "line 2: holds a NUL"),
    ],
)
def test_faults_are_told_with_their_line(tmp_path: Path, data: bytes, message: str) -> None:
    """What cannot be read as it was meant is one line, instead of cells in other columns."""
    with pytest.raises(PromptError, match=message) as caught:
        rows_of(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_names_alone(tmp_path: Path) -> None:
    """A file of names without rows has none."""
    assert rows_of(tmp_path, b"text,label\n") == []

"""Rated snippets become rows of a task: clear ones, once each, split by their text."""

from pathlib import Path

import pytest
from hand_packages import make_tar

from compread.demo.samples import (
    INNER,
    OUTER,
    parse_snippets,
    read_snippets,
    split_snippets,
    to_json_lines,
)
from compread.errors import FetchError

LINES = (
    "1\t2.26666666667\t A café film – with  two spaces \r\n"
    "2\t-1.0\tjust clear enough\r\n"
    "3\t-0.99\tnot clear enough\n"
    "4\t1.5\ta text\twith a tab\n"
    "5\t3\tsaid twice\n"
    "6\t2\tsaid twice \n"
    "7\t2\tboth ways\n"
    "8\t-2\tboth ways\n"
)


def test_clear_snippets_become_rows() -> None:
    """|mean| >= 1 counts, outer space goes, inner stays; repeats merge and contradictions go."""
    assert parse_snippets(LINES.encode()) == [
        {"sentence": "A café film – with  two spaces", "label": 1},
        {"sentence": "just clear enough", "label": 0},
        {"sentence": "a text\twith a tab", "label": 1},
        {"sentence": "said twice", "label": 1},
    ]


@pytest.mark.parametrize("line", ["9\tgood\ta text", "9\t1.0", "9\t1.0\t ", "9"])
def test_a_line_of_another_form_is_refused(line: str) -> None:
    """A file that is not the one this was written for is not guessed at."""
    with pytest.raises(FetchError, match="line 2"):
        parse_snippets(f"1\t2.0\tfine\n{line}\n".encode())


def test_the_split_is_the_same_everywhere() -> None:
    """Every row is in one half, whichever other rows there are, and the halves are about equal."""
    rows = [{"sentence": f"text {n}", "label": n % 2} for n in range(1000)]
    halves = split_snippets(rows)
    assert sorted(map(str, [*halves["train"], *halves["test"]])) == sorted(map(str, rows))
    assert 400 < len(halves["train"]) < 600
    assert split_snippets(rows[500:])["test"] == [r for r in halves["test"] if r in rows[500:]]
    assert [r["sentence"] for r in split_snippets(rows[:4])["train"]] == ["text 0", "text 1"]


def test_json_lines_keep_the_letters() -> None:
    """One object a line, letters beyond ASCII as they are."""
    assert to_json_lines([{"sentence": "café", "label": 1}]) == '{"sentence": "café", "label": 1}\n'


def test_the_archive_in_the_archive(tmp_path: Path) -> None:
    """The snippets are found two archives deep."""
    sdist = tmp_path / "made.tar.gz"
    sdist.write_bytes(make_tar({OUTER: make_tar({INNER: LINES.encode()})}))
    assert read_snippets(sdist) == LINES.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        make_tar({"other": b""}),
        make_tar({OUTER: b"no archive"}),
        make_tar({OUTER: make_tar({INNER: bytes(9)})})[:60],
    ],
    ids=["not an archive", "no member", "inner not an archive", "cut short"],
)
def test_a_damaged_archive_is_one_line(content: bytes, tmp_path: Path) -> None:
    """The line names the file and says to delete it."""
    sdist = tmp_path / "made.tar.gz"
    sdist.write_bytes(content)
    with pytest.raises(FetchError, match=r"made.tar.gz cannot be unpacked .* delete it"):
        read_snippets(sdist)

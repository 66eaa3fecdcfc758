"""What is looked at and in which order, without a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from compread.store import gather
from compread.views.browse.looking import Looking
from compread.views.browse.reading import Asked, Reader, Shown
from compread.views.browse.rows import Filter
from compread.views.browse.sources import sources


@pytest.fixture(scope="module")
def read(stores: Path) -> list[Shown]:
    """The three planted runs, each alone."""
    found = gather([str(stores)])
    reader = Reader(Asked())
    shown = [reader.read(source) for source in sources(found.paths, found.infos)[1:]]
    return [one for one in shown if one is not None]


def test_lines_say_what_is_looked_at(read: list[Shown]) -> None:
    """Which runs on how many rows, and how components are picked and ordered."""
    looking = Looking()
    assert looking.what("test") == looking.chosen(False) == looking.told("L0H0") == ""
    looking.take(read[0], beside=False)
    assert looking.what("test") == "sst2 t1 s0: 100 test rows, full model 0.730, tiny"
    assert looking.chosen(False) == "10 of 10 components, all; by accuracy, highest first"
    assert looking.told("L0H0") == "L0H0: accuracy 0.9, good" and looking.told("L9H9") == ""
    looking.filter = Filter(kind="head", layers=(range(1), range(1, 3)))
    assert looking.chosen(True) == (
        "accuracy, 0 to 9 from 0 to 1; 4 of 10 components, kind head, layers 0,1-2"
    )
    looking.sort_by("kind")
    assert looking.chosen(False).endswith("; by kind, lowest first")
    looking.take(read[1], beside=True)
    assert ", beside sst2 t1 s1, tiny" in looking.what("test")


def test_a_column_is_first_read_from_its_better_end(read: list[Shown]) -> None:
    """Measures from their high end, names and q values from their low one; again, the other."""
    looking = Looking()
    looking.take(read[0], beside=False)
    for key, descending in (("margin", True), ("margin", False), ("q_value", False),
                            ("q_value", True), ("component", False)):  # fmt: skip
        looking.sort_by(key)
        assert (looking.by, looking.descending) == (key, descending)
    looking.sort_by("margin")
    margins = [row["margin"] for row in looking.rows()]
    assert margins == sorted(margins, reverse=True) and len(looking.table()) == len(margins) + 1


def test_columns_of_what_is_beside_stand_before_the_category(read: list[Shown]) -> None:
    """What the table is sorted by has a mark, and none is left out that is marked."""
    looking = Looking()
    looking.take(read[0], beside=False)
    alone = [column.key for column in looking.columns(400)]
    looking.take(read[1], beside=True)
    looking.sort_by("entropy")
    wide, narrow = looking.columns(400), looking.columns(60)
    compared = ["beside", "difference", "category", "beside_category"]
    assert [column.key for column in wide] == [*alone[:-1], *compared]
    for columns, descending in ((wide, "▼"), (narrow, "▼")):
        marked = [column.key for column in columns if column.title.endswith(descending)]
        assert marked == ["entropy"]
    looking.sort_by("entropy")
    assert "entropy ▲" in [column.title for column in looking.columns(60)]


def test_a_measure_that_is_gone_is_left(read: list[Shown]) -> None:
    """Without anything beside there is no difference to sort by or to show."""
    looking = Looking()
    looking.take(read[0], beside=False)
    assert "difference" not in looking.measures()
    looking.take(read[1], beside=True)
    looking.sort_by("difference")
    looking.measure = "difference"
    looking.sort_by("difference")
    looking.alone()
    assert (looking.by, looking.descending, looking.measure) == ("accuracy", True, "accuracy")
    looking.sort_by("margin")
    looking.alone()
    assert looking.by == "margin"


def test_measures_of_the_map_go_round(read: list[Shown]) -> None:
    """Each once, and back to the first."""
    looking = Looking()
    looking.next_measure()
    looking.take(read[0], beside=False)
    seen = [looking.measure]
    for _ in looking.measures():
        looking.next_measure()
        seen.append(looking.measure)
    assert seen == [*looking.measures(), "accuracy"]


@pytest.mark.parametrize(
    ("measure", "middle"), [("accuracy", 0.5), ("margin", 0.0), ("difference", 0.0)]
)
def test_a_map_is_as_wide_on_either_side_of_its_middle(
    read: list[Shown], measure: str, middle: float
) -> None:
    """One in K of an accuracy and 0 of logits and differences; an entropy has none."""
    looking = Looking()
    looking.take(read[0], beside=False)
    looking.take(read[1], beside=True)
    looking.measure = measure
    shown = looking.map()
    assert shown.centre == middle and shown.low + shown.high == pytest.approx(2 * middle)
    values = [row[measure] for row in looking.rows() if row["layer"] is not None]
    assert max(abs(v - middle) for v in values) == pytest.approx(shown.high - middle)
    looking.measure = "entropy"
    assert looking.map().centre is None


def test_what_is_beside_is_exchanged(read: list[Shown]) -> None:
    """Both of them or nothing."""
    looking = Looking()
    looking.take(read[0], beside=False)
    looking.exchange()
    assert (looking.shown, looking.beside) == (read[0], None)
    looking.take(read[1], beside=True)
    assert looking.names() == ["sst2 t1 s0", "sst2 t1 s1"]
    looking.exchange()
    assert (looking.shown, looking.beside) == (read[1], read[0])
    ours, theirs = looking.row("full")
    assert theirs and (ours["accuracy"], theirs["accuracy"]) == (
        read[1].full["accuracy"], read[0].full["accuracy"],
    )  # fmt: skip


def test_a_page_has_its_numbers_side_by_side(read: list[Shown]) -> None:
    """In two columns, or one and what stands beside, aligned."""
    pytest.importorskip("textual")
    from compread.views.browse.component import ComponentPage

    looking = Looking()
    looking.take(read[0], beside=False)
    looking.take(read[1], beside=True)
    row, other = looking.row("L0H0")
    columns = read[0].table.columns

    def lines(beside: object) -> list[str]:
        page = ComponentPage(columns, row, beside, "x", None, None)  # type: ignore[arg-type]
        return page._statistics().plain.splitlines()

    two, one = lines(None), lines(other)
    assert len(two) == (len(one) + 1) // 2
    assert two[0] == (
        "accuracy [95 % interval]  0.900 [.83, .94]   predicted negative  "
        f"{row['predicted_negative']:.2f}"
    )
    at = two[0].index("predicted")
    assert all(line[at - 3 : at] == "   " and line[at] != " " for line in two)
    assert len({line.index("|") for line in one}) == 1
    assert one[0].startswith("accuracy [95 % interval]  0.900 [.83, .94] | 0.")

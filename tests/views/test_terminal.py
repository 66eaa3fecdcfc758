"""Tables stay inside the terminal and lose the right thing first."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from compread.views.render import render
from compread.views.tables import Column, Table
from compread.views.terminal import shorten, shortened, to_terminal

PATH = "stores/a-very-long-folder-name/sst2-review-k4-s0.h5"
ROW = {"path": PATH, "component": "L12H3", "layer": 12, "head": 3, "accuracy": 0.91234}
COLUMNS = [
    Column("path", justify="left", shorten="start"),
    Column("component", justify="left"),
    Column("layer", drop=1),
    Column("head", drop=1),
    Column("accuracy", "accuracy\n(test)", format=".3f"),
]


def lines(width, columns=COLUMNS, rows=(ROW,), **kwargs):
    """The lines of a one-block table."""
    return render(list(rows), [Table(columns, [list(rows)], **kwargs)], width=width).splitlines()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_line_is_too_long(width):
    """Whatever the width, no line is longer."""
    text = lines(width, title="A title of several words " * 5, note="A note of several words " * 9)
    assert max(map(len, text)) <= width


def test_a_wide_terminal_shows_everything():
    """With room, nothing is cut and two blanks part the columns; headers end on one line."""
    header, second, rule, row = lines(120)
    assert header.split() == ["accuracy"]
    assert second.split() == ["path", "component", "layer", "head", "(test)"]
    assert row == f"{PATH}  L12H3         12     3     0.912"
    assert rule == "─" * len(row)


def test_long_texts_are_cut_before_columns_go():
    """At 60 columns the path loses its start, and every column is still there."""
    text = lines(60)
    assert text[-1].startswith("...") and "sst2-review-k4-s0.h5 L12H3" in text[-1]
    assert "layer" in text[1] and "head" in text[1]


def test_columns_that_may_go_are_named():
    """At 38 columns the last droppable column is gone, and the note says so."""
    text = lines(38)
    assert "layer" in text[1] and "head" not in text[1]
    assert " ".join(text).endswith(" Not shown: head; --columns has any.")


def test_columns_of_a_group_go_together():
    """What does not fit takes the rest of its group along; a column without a group stays."""
    columns = [
        Column("a"),
        Column("b", drop=1, group="g"),
        Column("c", drop=1),
        Column("d", "d\ne", drop=1, group="g"),
    ]
    table = Table(columns, [[dict.fromkeys("abcd", "x" * 20)]])
    out = to_terminal(table, 64, chosen_by="--columns has any")
    assert out.splitlines()[0].split() == ["a", "c"]
    assert "Not shown: b, d e; --columns has any." in out
    assert "Not shown" not in to_terminal(table, 64)


def test_a_column_left_out_beside_its_namesake_has_its_key():
    """A title that a shown column has too would name that one."""
    columns = [Column("best_chance", "by\nchance"), Column("worst_chance", "by\nchance", drop=1)]
    row = {"best_chance": "x" * 30, "worst_chance": "y" * 30}
    out = " ".join(" ".join(lines(40, columns, [row])).split())
    assert "Not shown: worst chance; " in out


def test_cells_wrap_when_nothing_else_helps():
    """A long value without a side to cut is wrapped between words, whole."""
    columns = [Column("field", justify="left"), Column("value", justify="left")]
    value = "several words that need more than one line"
    text = lines(30, columns, [{"field": "command", "value": value}])
    assert " ".join(line[8:].strip() for line in text[2:]) == value
    assert len(text) > 3


@pytest.mark.parametrize(
    ("text", "width", "side", "wanted"),
    [
        ("abcdefghij", 10, "start", "abcdefghij"),
        ("abcdefghij", 7, "start", "...ghij"),
        ("abcdefghij", 7, "end", "abcd..."),
        ("abcdefghij", 3, None, "abcdefghij"),
        ("好好好好", 7, "end", "好好..."),
    ],
)
def test_shorten(text, width, side, wanted):
    """A text too long is cut at the side named, at most to the width."""
    assert shorten(text, width, side) == wanted


def test_the_wider_text_is_cut_no_further_than_needed():
    """A text that may be cut takes all the room that the other columns leave."""
    text = lines(44, [COLUMNS[0], COLUMNS[4]])
    assert len(text[-1]) == 44 and text[-1].endswith("/sst2-review-k4-s0.h5    0.912")


def test_blocks_are_set_off_by_rules():
    """A rule under the header and between two blocks; an empty block has none."""
    blocks = [[ROW], [], [ROW, ROW], []]
    text = render([ROW], [Table(COLUMNS[1:2], blocks)]).splitlines()
    row, rule = "L12H3", "─" * len("component")
    assert text == ["component", rule, row, rule, row, row]


def test_rules_are_hyphens_where_lines_cannot_be_printed():
    """Without ``unicode`` a table of ASCII texts is ASCII."""
    view = [Table(COLUMNS, [[ROW], [ROW]], title="Title", note="A note of words. " * 20)]
    plain = render([ROW], view, width=60, unicode=False)
    assert plain.isascii() and plain == render([ROW], view, width=60).replace("─", "-")


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", ":smile:", "'a' 12 None", "\\[x]"])
def test_texts_stay_as_they_are(text, color):
    """Title, header, cells and note show rich's markup and emoji codes as any other text."""
    columns = [Column("a", text, justify="left"), Column("b", justify="left", shorten="end")]
    view = [Table(columns, [[{"a": text, "b": text}]], title=text, note=text)]
    shown = re.sub(r"\x1b\[[0-9;]*m", "", render([], view, color=color))
    assert shown.count(text) == 5


@pytest.mark.parametrize(
    "variables",
    [
        {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
        {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "20", "LINES": "3"},
        {"TTY_COMPATIBLE": "1", "COLORTERM": "truecolor"},
    ],
)
@pytest.mark.parametrize("color", [False, True])
def test_the_arguments_decide(monkeypatch, variables, color):
    """Width and styles come from the caller, whatever the environment says."""
    view = [Table(COLUMNS, [[ROW]], title="Title", note="Words. " * 30)]
    before = render([ROW], view, width=70, color=color)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert render([ROW], view, width=70, color=color) == before


def test_wide_characters_count_twice():
    """Characters of two columns each are wrapped and padded by what they take."""
    columns = [Column("a", justify="left"), Column("b")]
    text = lines(40, columns, [{"a": "好" * 30, "b": 1}])
    assert max(len(line) + line.count("好") for line in text) <= 40
    assert "".join(text).count("好") == 30


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.text(max_size=40), min_size=1, max_size=5), width=st.integers(40, 100))
def test_any_text_fits(words, width):
    """No label, however wide or wild its characters, breaks the table."""
    columns = [Column("a", justify="left"), Column("b")]
    rows = [{"a": word, "b": 1} for word in words]
    text = render(rows, columns, width=width)
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_styles_only_on_request():
    """Escape codes appear with ``color``, never without."""
    view = [Table(COLUMNS, [[ROW]], title="Title")]
    assert "\x1b" not in render([ROW], view)
    assert "\x1b[1mTitle\x1b[0m" in render([ROW], view, color=True)


@pytest.mark.parametrize(
    "paths",
    [
        ["a/cr-good-bad-k4-s0.h5", "a/cr-sentiment-k4-s0.h5", "a/cr-good-bad-k4-s1.h5"],
        ["one/run.h5", "another/run.h5", "mean"],
        [f"runs/{task}-with-a-long-template-name.h5" for task in ("sst2", "qqp", "mnli")],
    ],
)
@pytest.mark.parametrize("width", [12, 16, 24])
def test_names_that_differ_do_so_when_shortened(paths, width):
    """Cut at the start or inside, no two stores are named alike."""
    found = shortened(paths, width, "start")
    assert len(set(found.values())) == len(paths)
    assert all(len(text) <= width for text in found.values())


def test_names_that_cannot_differ_are_cut_at_the_start():
    """Where there is no room for what tells them apart."""
    paths = [f"{'x' * 20}{n}{'y' * 20}" for n in range(3)]
    assert set(shortened(paths, 12, "start").values()) == {"...yyyyyyyyy"}


@pytest.mark.parametrize(
    ("width", "line"), [(40, "one  two  three"), (15, "one  two  three"), (14, "one two three")]
)
def test_columns_stand_apart_where_there_is_room(width, line):
    """By two blanks, and by one where not all would have two."""
    columns = [Column(word) for word in ("one", "two", "three")]
    text = to_terminal(Table(columns, [[{}]]), width)
    assert text.splitlines()[0].strip() == line


@pytest.mark.parametrize("columns", [0, 4, 5, 6])
def test_four_columns_without_room_are_named(columns):
    """The others are counted."""
    gone = [Column(f"column_{n}", drop=1) for n in range(columns)]
    text = to_terminal(Table([Column("kept"), *gone], [[{}]]), 12, chosen_by="--columns has any")
    flat, names = " ".join(text.split()), ", ".join(c.key for c in gone[:4])
    more = f" and {columns - 4} more" if columns > 4 else ""
    assert (f"Not shown: {names}{more}; --columns has any." in flat) == bool(columns)

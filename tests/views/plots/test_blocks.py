"""Pictures in a terminal without colours, character by character."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from compread.views.plots.pictures import Grid, Group, Line, Lines, Picture, Points, Steps
from compread.views.plots.terminal import to_blocks

GROUPS = (
    Group("good", np.array([0.0, 1.0]), np.array([0.0, 1.0]), ("L0H0", "L0H1")),
    Group("bad", np.array([0.25]), np.array([0.9]), ("L1H0",)),
)
CHANGES = np.array([0.5, -2.0, 0.25])
Y = np.array([1.0, np.nan, 3.0])
TWELVE = tuple(map(str, range(12)))
LEVEL = """\
t
  1.00 |                   ^
       |
       |     v
       |
  0.76 |
       |
       |
       |
  0.53 |--------------------
       |
       |
       |
  0.29 |
       |
       |
       |
  0.06 |
       |^
       0.00            1.00
x: share; y: accuracy
^ good  v bad  - full
"""
SIDES = """\
  1.00 |                   ^
       |                  .
       |     v           .
       |                .
  0.76 |              ..
       |             .
       |            .
       |           .
  0.53 |          .
       |         .
       |        .
       |       .
  0.29 |      .
       |    ..
       |   .
       |  .
  0.06 | .
       |^
       0.00            1.00
x: before; y: after
^ good  v bad
. x = y; above it: up; below
best and worst: L0H1 1.000,
L0H0 0.000
"""
CURVE = """\
  3.00 |                   B
       |
       |
       |
  2.53 |
       |
       |
       |
  2.06 |--------------------
       |
       |
       |
  1.59 |
       |
       |
       |
  1.12 |
       |B
y: accuracy
B best  - full
revision: s1, s2, s3
"""
SUM = """\
        change                 sum
 embed   +0.50         ###   +0.50
    L0   -2.00 ###########   -1.50
9 more   +0.25 ##            -1.25
   all   -1.25  ########     -1.25
x: logits
"""
WIDE = """\
  0           ░░░░░░░░░░▒▒▒▒
MLP ▒▒▒▒▓▓▓▓▓▓▓▓▓▓██████████
    0 1 2 3 4 5 6 7 8 9 10
across: layer; down: head
accuracy: 0.00   ░░▒▒▓▓██ 23.00
"""
NARROW = """\
  0      ░░░░░▒▒
MLP ▒▒▓▓▓▓▓█████
    0 2 4 6 8 10
across: layer; down:
accuracy: 0.00   ░░▒▒▓▓██ 23.00
"""


def map_of(values: np.ndarray, rows: tuple[str, ...], columns: tuple[str, ...]) -> Grid:
    """A grid whose colours reach from its lowest value to its highest."""
    ends = float(np.min(values)), float(np.max(values))
    return Grid(values, rows, columns, "accuracy", *ends, None, "", "layer", "head")


@pytest.mark.parametrize(
    ("panel", "width", "drawn"),
    [
        (Points(GROUPS, "share", "accuracy", "t", 0.5, "full", unit=True), 28, LEVEL),
        (Points(GROUPS, "before", "after", sides=("up", "down"), named=("L0H1", "L0H0")),
         28, SIDES),
        (Lines((Line("best", Y, Y, Y),), ("s1", "s2", "s3"), "revision", "accuracy", "", 2, "full"),
         28, CURVE),
        (Steps(("embed", "L0", "9 more"), CHANGES, np.cumsum(CHANGES), -1.25, "all", "logits"),
         34, SUM),
        (map_of(np.arange(24.0).reshape(2, 12), ("0", "MLP"), TWELVE), 28, WIDE),
        (map_of(np.arange(24.0).reshape(2, 12), ("0", "MLP"), TWELVE), 20, NARROW),
    ],
    ids=["level", "sides", "curve", "sum", "wide map", "narrow map"],
)  # fmt: skip
def test_a_panel_is_drawn(panel: Grid | Points | Lines | Steps, width: int, drawn: str) -> None:
    """Points, lines and bars stand where their numbers are, with axes and a key."""
    unicode = not isinstance(panel, Steps)
    assert to_blocks(Picture([panel]), width, unicode=unicode) == drawn


def test_shares_that_are_their_own_answer_lie_on_the_diagonal() -> None:
    """From corner to corner of a plane of shares, wherever its points are."""
    panel = Points(GROUPS[1:], "p", "right", unit=True, diagonal=True)
    lines = [line[8:] for line in to_blocks(Picture([panel]), 28).splitlines()[:18]]
    dots = [[i for i, mark in enumerate(line) if mark == "."] for line in lines]
    assert dots[0] == [19] and dots[-1] == [0]
    assert all(below[-1] + 1 == above[0] for above, below in pairwise(dots))


def test_names_below_a_map_do_not_touch() -> None:
    """A name that has no room is left out, and so are long ones."""
    names = ("8", "9", "10", "11", "12", "name", "14")
    panel = map_of(np.zeros((1, 7)), ("0",), names)
    below = [to_blocks(Picture([panel]), width).splitlines()[1] for width in (40, 10)]
    assert below == ["  8 9 10  12  14", "  8 10  14"]


@pytest.mark.parametrize(("width", "name"), [(40, "template one"), (30, "mplate one"), (9, " one")])
def test_names_beside_a_map_take_a_third_of_it(width: int, name: str) -> None:
    """Four characters at least; of a longer one the end is shown."""
    row = to_blocks(Picture([map_of(np.ones((1, 2)), ("template one",), ("0", "1"))]), width)
    assert row.startswith(f"{name} ▒")


def test_a_sum_that_goes_nowhere_has_bars_of_one_block() -> None:
    """Steps of nothing have no scale."""
    panel = Steps(("a", "b"), np.zeros(2), np.zeros(2), 0.0, "all", "logits")
    rows = to_blocks(Picture([panel]), 40).splitlines()[1:4]
    assert [row.count("█") for row in rows] == [1, 1, 1]

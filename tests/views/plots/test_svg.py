"""Panels as SVG inside a page."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from compread.views.plots.pictures import Grid, Group, Line, Lines, Points
from compread.views.plots.svg import to_svg

GRID = Grid(
    np.array([[0.25, np.nan], [0.5, 0.75]]), ("0", "MLP"), ("0", "1"), "accuracy", 0.25, 0.75, 0.5,
    "all", "layer", "head",
)  # fmt: skip
POINTS = Points(
    (Group("good", np.array([0.5, 1.0]), np.array([0.633, 0.0]), ("L0H0", "L0H1")),
     Group("other", np.array([]), np.array([]))),
    "x", "y", "a <b> & c", level=0.4, level_name="full", unit=True, named=("L0H0",),
)  # fmt: skip
LINES = Lines(
    (Line("full", *[np.array([1.0, 3.0, np.nan])] * 3),
     Line("best", *[np.array([2.0, 2.0, 2.0])] * 3)),
    ("step1", "step2", "step3"), "revision", "accuracy",
)  # fmt: skip


def parsed(panel):
    """The drawing's root, and every path that is drawn."""
    root = ElementTree.fromstring(to_svg(panel))
    return root, [element for element in root.iter() if element.tag == "path"]


@pytest.mark.parametrize("panel", [GRID, POINTS, LINES], ids=["grid", "points", "lines"])
def test_a_drawing_is_well_formed_and_says_what_it_is(panel):
    """Also of names that look like markup, and of a group without points."""
    root, _ = parsed(panel)
    assert root.get("role") == "img" and panel.title in root.get("aria-label")
    width, height = (float(root.get(side)) for side in ("width", "height"))
    texts = [element for element in root.iter() if element.tag == "text"]
    assert texts and all(-width <= float(t.get("x")) <= width for t in texts)
    assert all(0 <= float(t.get("y")) <= height for t in texts)


def test_a_grids_cells_have_their_places_and_colours():
    """Low, the middle and high have the scale's ends and centre; an empty cell is not drawn."""
    root, _ = parsed(GRID)
    left, top, cell = root.get("data-cell").split()
    (group,) = (element for element in root.iter() if element.tag == "g")
    assert group.get("transform") == f"translate({left} {top}) scale({cell})"
    places = {}
    for path in group:
        for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path.get("d")):
            places |= {(int(y), int(x) + i): path.get("fill") for i in range(int(n))}
    assert places == {(0, 0): "#054985", (1, 0): "#f7f7f7", (1, 1): "#a34700"}
    assert root.get("data-values") == ".25  .5 .75"
    assert (root.get("data-rows"), root.get("data-axes")) == ("0|MLP", "head|layer")


def test_values_of_any_size_are_told():
    """The 0 before the point is left out, and no other."""
    values = np.array([[10.5, -0.25, 0.0, -20.05, 0.5]])
    grid = Grid(values, ("0",), tuple("abcde"), "margin", -20.05, 10.5, 0.0)
    assert parsed(grid)[0].get("data-values") == "10.5 -.25 0 -20.1 .5"


def test_neighbours_of_one_colour_are_one_piece():
    """Most of a large map is near its middle, which is said in few letters."""
    level = Grid(np.full((1, 50), 0.5), ("0",), tuple(map(str, range(50))), "a", 0.0, 1.0)
    assert next(p.get("d") for p in parsed(level)[1]) == "M0 0h50v1h-50z"


def test_points_are_exact_to_three_digits():
    """In thousandths of the plane, from its top left."""
    _, paths = parsed(POINTS)
    (good,) = (path for path in paths if path.get("data-group") == "good")
    assert re.findall(r"M(\d+) (\d+)", good.get("d")) == [("500", "367"), ("1000", "1000")]
    assert good.get("data-names") == "L0H0|L0H1"
    root, _ = parsed(POINTS)
    assert [t.text for t in root.iter() if t.tag == "text" and t.text[:1] == "L"] == ["L0H0"]


def test_lines_are_joined_over_their_places():
    """From place to place where there is a value, with what the places are called."""
    root, paths = parsed(LINES)
    lines = [path.get("d") for path in paths if path.get("class") == "line"]
    assert [len(re.findall(r"[ML]\d+ \d+", d)) for d in lines] == [2, 3]
    assert root.get("data-places") == "step1|step2|step3"
    low, high = (int(re.findall(r" (\d+)", lines[0])[i]) for i in (0, 1))
    assert low > high, "1 is drawn below 3"


def test_labels_do_not_cover_each_other():
    """Of points close together each has its name at another place."""
    names = ("L10H10", "L10H11", "L10H12")
    close = Points((Group("good", np.full(3, 0.5), np.full(3, 0.5), names),), "x", "y", unit=True,
                   named=names)  # fmt: skip
    root, _ = parsed(close)
    found = [t for t in root.iter() if t.tag == "text" and t.text in names]
    places = [(float(t.get("x")), float(t.get("y"))) for t in found]
    assert len(places) == 3
    for n, (x, y) in enumerate(places):
        assert all(abs(y - b) >= 10 or abs(x - a) > 35 for a, b in places[:n])


@pytest.mark.parametrize(
    ("columns", "what"),
    [("L", "accuracy of the head alone, in points"), (("sst2 t1 s0", "agnews t2 s1"), "cosine")],
)
def test_the_legend_of_a_narrow_grid_is_whole(columns, what):
    """It lies below the columns' names, and the drawing is as wide and as high as it."""
    grid = Grid(np.full((1, len(columns)), 0.5), ("0",), tuple(columns), what, 0.0, 1.0)
    root, _ = parsed(grid)
    (end,) = (t for t in root.iter() if t.tag == "text" and what in t.text)
    x, y = float(end.get("x")), float(end.get("y"))
    assert x + 6 * len(end.text) <= float(root.get("width")) and y + 4 <= float(root.get("height"))
    names = [t for t in root.iter() if t.tag == "text" and t.text in columns]
    down = [6 * len(t.text) if len(t.text) > 3 else 4 for t in names]
    assert all(float(t.get("y")) + d < y - 8 for t, d in zip(names, down, strict=True))


def test_the_legend_goes_from_end_to_end_of_the_colours():
    """Its boxes begin with the colour of the lowest value and end with that of the highest."""
    root, paths = parsed(GRID)
    (group,) = (element for element in root.iter() if element.tag == "g")
    boxes = [path.get("fill") for path in paths if path not in list(group)]
    assert (boxes[0], boxes[-1]) == ("#054985", "#a34700") and len(set(boxes)) == len(boxes)


def test_lines_and_ticks_stand_where_the_points_do():
    """The level from side to side at its height, x = y from corner to corner, ticks by values."""
    root, paths = parsed(replace(POINTS, diagonal=True))
    frame, level, diagonal = (
        list(map(float, re.findall(r"-?[\d.]+", path.get("d"))))
        for path in paths
        if path.get("class") == "frame"
        or (path.get("class") == "level" and path.get("d")[-3:] != "h12")
    )
    left, top, wide, high = frame[:4]
    assert level == pytest.approx([left, top + 0.6 * high, wide], abs=0.1)
    assert diagonal == pytest.approx([left, top + high, left + wide, top])
    texts = [t for t in root.iter() if t.tag == "text"]
    for share in ("0", "0.25", "0.5", "0.75", "1"):
        y, x = (t for t in texts if t.text == share)
        assert float(x.get("x")) == pytest.approx(left + float(share) * wide, abs=0.1)
        assert float(y.get("y")) - 4 == pytest.approx(top + (1 - float(share)) * high, abs=0.1)
        assert float(y.get("x")) < left and float(x.get("y")) > top + high
    _, paths = parsed(replace(POINTS, unit=False))
    assert f"M{left} " in next(p.get("d") for p in paths if p.get("class") == "level")


def key_of(names):
    """The width and height of a drawing, and (y, x, width) of each name in its key, in order."""
    at = np.array([0.5])
    root, _ = parsed(Points(tuple(Group(name, at, at) for name in names), "x", "y", "title"))
    texts = [t for t in root.iter() if t.tag == "text"][-len(names) :]
    places = [(float(t.get("y")), float(t.get("x")), 6 * len(t.text)) for t in texts]
    return float(root.get("width")), float(root.get("height")), places


@pytest.mark.parametrize(
    "names", [["a" * 70, "b"], ["a" * 25, "b" * 25, "c" * 25], list("abcdefghijklmn")]
)
def test_a_key_is_inside_the_drawing(names):
    """Names stand beside each other as far as there is room, else below; no line is empty."""
    width, height, places = key_of(names)
    assert all(x + wide <= width or x < 20 for _, x, wide in places)
    assert places == sorted(places) and places[-1][0] < height < places[-1][0] + 16
    assert places[0] == (*key_of(["b"])[2][0][:2], 6 * len(names[0]))
    for (y, x, wide), (below, _, more) in pairwise(places):
        assert below in (y, y + 16)
        assert (below == y) == (x + wide + 37 + more <= width)


def texts_of(panel):
    """Each text of a drawing with its place: [x, y], and where it is turned about."""
    root, _ = parsed(panel)
    found = {}
    for text in (element for element in root.iter() if element.tag == "text"):
        turn = re.search(r"rotate\(-90 ([\d.]+) ([\d.]+)\)", text.get("transform", ""))
        place = float(text.get("x")), float(text.get("y"))
        found[text.text] = (*place, turn and tuple(map(float, turn.groups())))
    return root, found


@pytest.mark.parametrize("columns", [tuple("0123456"), ("sst2 t1 s0", "agnews t2 s1")])
def test_names_stand_beside_their_cells(columns):
    """Rows' at the left and columns' below, every third if short and turned if long."""
    rows = ("head 0", "head 1", "MLP")
    grid = replace(GRID, values=np.ones((3, len(columns))), rows=rows, columns=columns)
    root, texts = texts_of(grid)
    left, top, cell = map(float, root.get("data-cell").split())
    bottom, right = top + 3 * cell, left + len(columns) * cell
    for i, name in enumerate(rows):
        x, y, _ = texts[name]
        assert left - cell < x < left and top + (i + 0.5) * cell < y < top + (i + 1) * cell
    for j, name in enumerate(columns):
        short = len(name) == 1
        assert (name in texts) == (not short or j % 3 == 0)
        if name in texts:
            x, y, turn = texts[name]
            assert left + j * cell < x < left + (j + 1) * cell and bottom < y < bottom + 16
            assert turn == (None if short else (x, y))
    x, y, turn = texts["layer"]
    assert (x, turn) == ((left + right) / 2, None) and y > bottom + 14
    x, y, turn = texts["head"]
    assert (y, turn) == ((top + bottom) / 2, (x, y)) and x < left


def test_what_the_axes_of_a_plane_are_stands_beside_their_middles():
    """Below the ticks, and turned at the left of them."""
    root, texts = texts_of(POINTS)
    (frame,) = (p.get("d") for p in root.iter() if p.get("class") == "frame")
    left, top, wide, high = map(float, re.findall(r"[\d.]+", frame)[:4])
    x, y, turn = texts["x"]
    assert (x, turn) == (left + wide / 2, None) and texts["0"][1] < y < float(root.get("height"))
    x, y, turn = texts["y"]
    assert (y, turn) == (top + high / 2, (x, y)) and x < left - 4


def test_a_legend_tells_the_ends_of_its_colours():
    """As far from the centre on either side as the value that is farthest from it."""
    values = np.array([[0.25, 0.5, 1.0]])
    grid = Grid(values, ("0",), tuple("abc"), "accuracy", 0.25, 1.0, 0.5)
    _, texts = texts_of(grid)
    low, high = texts["0"], texts["1  accuracy"]
    assert low[1] == high[1] and low[0] < high[0]
    _, texts = texts_of(replace(grid, centre=None))
    assert {"0.25", "1  accuracy"} <= texts.keys()

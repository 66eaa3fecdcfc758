"""Panels on paper: what matplotlib's axes hold."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from compread.views.plots.draw import draw
from compread.views.plots.palette import STEP_COLORS, STYLES, shares
from compread.views.plots.pictures import Grid, Group, Line, Lines, Panel, Picture, Points, Steps

STYLE = STYLES["paper"]
ENDS = np.array([0.0, 1.0])


def axis_of(panel: Panel) -> Any:
    """The axes with a panel drawn on them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.35, 2.6))
    axis = figure.subplots()
    import_module("compread.views.plots.draw")._panel(figure, axis, panel, 3.35, 2.6, STYLE)
    return axis


def test_points_on_the_edge_of_a_plane_of_shares_are_whole() -> None:
    """It reaches beyond 0 and 1, by little and on all sides alike."""
    axis = axis_of(Points((Group("good", ENDS, ENDS),), "x", "y", unit=True))
    for low, high in (axis.get_xlim(), axis.get_ylim()):
        assert -0.1 < low < 0 and high == pytest.approx(1 - low)


def test_the_line_of_equals_takes_no_room() -> None:
    """It goes through the whole plane, which is as large as its points ask for."""
    group = Group("good", np.array([2.0, 3.0]), np.array([5.0, 9.0]))
    plain = axis_of(Points((group,), "x", "y"))
    axis = axis_of(Points((group,), "x", "y", sides=("up", "down")))
    assert (axis.get_xlim(), axis.get_ylim()) == (plain.get_xlim(), plain.get_ylim())
    x, y = axis.lines[0].get_data()
    assert list(x) == list(y) == [axis.get_xlim()[0], axis.get_ylim()[1]]
    corners = {text.get_text(): text.get_position() for text in axis.texts}
    assert corners["up"][0] < 0.1 < 0.9 < corners["up"][1] < 1
    assert corners["down"][1] < 0.1 < 0.9 < corners["down"][0] < 1


def test_many_points_are_smaller_and_let_others_shine_through() -> None:
    """Few hide few; of what is no group one is looking for, all are small."""

    def drawn(name: str, n: int) -> tuple[float, float]:
        group = Group(name, np.arange(n) / n, np.arange(n) % 7)
        (points,) = axis_of(Points((group,), "x", "y")).collections
        return float(points.get_sizes()[0]), float(points.get_alpha())

    (few, solid), (more, light), (many, _) = (drawn("good", n) for n in (50, 51, 500))
    assert few == more > many > 0 and solid == 1 > light
    assert drawn("other", 50)[0] < few


def test_curves_of_shares_are_joined_along_the_diagonal() -> None:
    """Points are larger the more rows they are of."""
    group = Group("full", np.array([0.2, 0.8]), np.array([0.1, 0.9]), (), np.array([0.1, 0.9]))
    axis = axis_of(Points((group,), "p", "right", unit=True, diagonal=True))
    joined, equal = (line.get_xydata().tolist() for line in axis.lines)
    assert joined == [[0.2, 0.1], [0.8, 0.9]] and equal == [[0, 0], [1, 1]]
    small, large = axis.collections[0].get_sizes()
    assert 0 < small < large


def test_each_step_begins_where_the_last_one_ended() -> None:
    """The first on top and the sum below, in the colours of up and down, with what each adds."""
    changes = np.array([0.5, -2.0, 0.25])
    steps = Steps(("embed", "L0", "rest"), changes, np.cumsum(changes), -1.25, "all", "logits")
    axis = axis_of(steps)
    bars = [(b.get_x(), b.get_x() + b.get_width(), b.get_y() + b.get_height() / 2)
            for b in axis.patches]  # fmt: skip
    expected = [(0, 0.5, 0), (0.5, -1.5, 1), (-1.5, -1.25, 2), (0, -1.25, 3)]
    np.testing.assert_allclose(bars, expected)
    down, up = map(shares, STEP_COLORS)
    assert [b.get_facecolor()[:3] for b in axis.patches[:3]] == [up, down, up]
    words = [(text.get_text(), *text.xy) for text in axis.texts]
    assert words == [("+0.50", 0.5, 0), ("-2.00", 0.5, 1), ("+0.25", -1.25, 2), ("-1.25", 0.0, 3)]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert (names, list(axis.get_yticks())) == (["embed", "L0", "rest", "all"], [0, 1, 2, 3])
    below, above = axis.get_ylim()
    assert above < -0.35 and below > 3.35
    joints = [line.get_xydata().tolist() for line in axis.lines[:2]]
    assert [[x for x, _ in joint] for joint in joints] == [[0.5, 0.5], [-1.5, -1.5]]
    assert all(top < n + 0.35 and end > n + 0.65 for n, ((_, top), (_, end)) in enumerate(joints))


@pytest.mark.parametrize(
    ("places", "step", "turned"), [(4, 1, False), (8, 1, False), (9, 2, False), (20, 3, True)]
)
def test_curves_have_as_many_places_named_as_there_is_room(
    places: int, step: int, turned: bool
) -> None:
    """Eight at most; long names are turned."""
    names = tuple(f"step{n * 10}" if turned else str(n) for n in range(places))
    y = np.linspace(0.0, 1.0, places)
    axis = axis_of(Lines((Line("best", y, y - 0.1, y + 0.2),), names, "revision", "accuracy"))
    assert [label.get_text() for label in axis.get_xticklabels()] == list(names[::step])
    assert axis.get_xticks().tolist() == list(range(0, places, step))
    assert {label.get_rotation() for label in axis.get_xticklabels()} == {45 if turned else 0}
    (band,) = axis.collections
    edge = band.get_paths()[0].vertices
    assert (edge[:, 1].min(), edge[:, 1].max()) == pytest.approx((-0.1, 1.2))


@pytest.mark.parametrize(("columns", "step"), [(12, 1), (13, 2), (40, 4)])
def test_a_map_has_as_many_layers_numbered_as_there_is_room(columns: int, step: int) -> None:
    """Twelve at most; what is no number is always named."""
    names = tuple(map(str, range(columns)))
    grid = Grid(np.eye(3, columns), ("0", "1", "MLP"), names, "accuracy", 0, 1)
    axis = axis_of(grid)
    assert [label.get_text() for label in axis.get_xticklabels()] == list(names[::step])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0", "1", "MLP"]


@pytest.mark.parametrize(("name", "turned"), [("cola", False), ("boolq", True)])
def test_names_below_a_map_are_turned_where_they_are_long(name: str, turned: bool) -> None:
    """Beyond four characters they would lie over one another."""
    axis = axis_of(Grid(np.eye(2), ("0", "1"), ("a", name), "cosine", 0, 1))
    assert {label.get_rotation() for label in axis.get_xticklabels()} == {90 if turned else 0}


def test_a_long_name_keeps_its_ends() -> None:
    """Its middle is left out beside an axis, and nothing of one that has room."""
    fits, long = "a" * 40, "begin" + "-" * 60 + "end"
    grid = Grid(np.eye(2), (fits, long), ("0", "1"), "cosine", 0, 1)
    first, second = (label.get_text() for label in axis_of(grid).get_yticklabels())
    assert first == fits and len(second) <= 40
    assert second.startswith("begin") and second.endswith("end") and "..." in second


def test_a_level_is_drawn_across_and_named() -> None:
    """The title says what is dashed."""
    axis = axis_of(Points((Group("good", ENDS, ENDS),), "x", "y", "t", 0.4, "full model"))
    (level,) = (line for line in axis.lines if line.get_linestyle() == "--")
    assert list(level.get_ydata()) == [0.4, 0.4]
    assert axis.get_title() == "t\ndashed: full model"


def test_a_page_has_no_empty_panels() -> None:
    """Of four side by side the last two places are left blank."""
    panel = Points((Group("good", ENDS, ENDS),), "x", "y")
    assert draw(Picture([panel] * 4), "svg").decode().count('id="axes_') == 4

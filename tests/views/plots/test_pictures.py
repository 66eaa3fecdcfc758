"""Pictures: what they hold, on paper and in a terminal."""

import xml.etree.ElementTree as ET
from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
from contrast import SIGHT, contrast, distance

from compread.analysis.change import Change
from compread.analysis.runs import read_runs
from compread.analysis.transfer import compare_runs
from compread.errors import UsageError
from compread.views.plots import charts
from compread.views.plots.draw import draw
from compread.views.plots.palette import (
    FURTHER,
    GROUPS,
    ONE_WAY,
    STYLES,
    THEMES,
    TWO_WAYS,
    group_style,
    scale_color,
    share_of,
)
from compread.views.plots.pictures import (
    Grid,
    Group,
    Line,
    Lines,
    Picture,
    Points,
    Steps,
    picture_rows,
    wrapped,
)
from compread.views.plots.terminal import to_blocks

draw_module = import_module("compread.views.plots.draw")


@pytest.fixture(scope="module")
def runs(stores):
    """The three planted runs."""
    return read_runs(sorted(stores.iterdir()))


def a_picture_of_each():
    """One panel of each type, with a gap, a level and names that need escaping."""
    grid = Grid(
        np.array([[0.1, np.nan], [0.5, 0.9]]), ("0", "MLP"), ("0", "1"), "accuracy", 0.1, 0.9
    )
    groups = (
        Group("good", np.array([0.2]), np.array([0.8])),
        Group("x<&", np.ones(2), np.zeros(2)),
    )
    points = Points(groups, "share", "accuracy", "a $title_{}", 0.5, "full model", unit=True)
    y = np.array([0.5, np.nan, 0.6])
    line = Line("best", y, y - 0.1, y + 0.1)
    lines = Lines((line,), ("s1", "s2", "s3"), "revision", "accuracy", "", 0.9, "full model")
    changes = np.array([0.5, -2.0, 0.25])
    steps = Steps(("embed", "<&", "9 more"), changes, np.cumsum(changes), -1.25, "all", "logits")
    return Picture([grid, points, lines, steps])


def test_rows_are_the_numbers(runs):
    """A picture's rows are the statistics that it was made from."""
    rows = picture_rows(charts.heatmap(runs[:1]))
    stats = runs[0].stats.parts
    values = {(row["row"], row["column"]): row["value"] for row in rows}
    wanted = {}
    for j, c in enumerate(runs[0].components):
        if c.layer >= 0:
            name = {"head": str(c.head), "mlp": "MLP", "mixer": "MIX"}[c.kind]
            wanted[name, str(c.layer)] = stats.accuracy[j]
    assert values == wanted


def test_scatter_has_every_component_in_its_category(runs):
    """The planted components are in the groups they were planted for."""
    rows = picture_rows(charts.scatter(runs[:1]))
    group = {row["name"]: row["group"] for row in rows}
    assert group["L0H0"] == "good" and group["L0H1"] == "bad" and group["L1H0"] == "label-biased"
    assert len(rows) == 8 and group.keys().isdisjoint({"embed", "bias"})
    kinds = {r["name"]: r["group"] for r in picture_rows(charts.scatter(runs[:1], by_kind=True))}
    assert kinds["L0H0"] == "head" and kinds["L1MLP"] == "mlp" and kinds["L2MIX"] == "mixer"


def test_the_transfer_matrix_is_symmetric(runs):
    """Each pair is in both of its places, and each run agrees with itself."""
    (grid,) = charts.transfer(runs).panels
    np.testing.assert_array_equal(grid.values, grid.values.T)
    assert np.diag(grid.values).tolist() == [1, 1, 1]
    assert grid.values[0, 1] == pytest.approx(compare_runs(runs).pairs[0].pearson)


def test_more_panels_than_fit_are_refused(runs):
    """A page of scatter plots has nine."""
    with pytest.raises(UsageError, match="9 at most; got 12"):
        charts.scatter(runs * 4)


def test_training_wants_revisions(runs):
    """One revision makes no curve."""
    with pytest.raises(UsageError, match="several revisions"):
        charts.training(runs[:1])


@pytest.mark.parametrize(
    ("form", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_files_are_what_they_say_and_the_same_each_time(form, start):
    """Each form begins as it must; equal pictures are equal bytes."""
    data = draw(a_picture_of_each(), form)
    assert data.startswith(start) and data == draw(a_picture_of_each(), form)
    if form == "svg":
        assert ET.fromstring(data).tag.endswith("svg")


def test_a_plain_terminal_gets_characters_alone(runs):
    """Without colours there are no escapes, every line fits, and each component has its mark."""
    for picture in (a_picture_of_each(), charts.scatter(runs[:1]), charts.heatmap(runs)):
        text = to_blocks(picture, 60)
        assert "\x1b" not in text and max(map(len, text.splitlines())) <= 60
    text = to_blocks(charts.scatter(runs[:1]))
    assert "^ good" in text and "- full model" in text
    assert to_blocks(charts.heatmap(runs), unicode=False).isascii()


@pytest.mark.parametrize(("depth", "code"), [("256", "\x1b[48;5;"), ("true", "\x1b[48;2;")])
def test_colours_are_those_of_the_terminal(depth, code):
    """256 colours and true colours have their own codes, each of which is ended."""
    text = to_blocks(a_picture_of_each(), 60, depth)
    assert code in text and text.count("\x1b[") == 2 * text.count("\x1b[0m")


@pytest.mark.parametrize(("centre", "colours"), [
    (None, [ONE_WAY[0], ONE_WAY[2], ONE_WAY[4]]), (0.5, [TWO_WAYS[0], TWO_WAYS[2], TWO_WAYS[4]]),
])  # fmt: skip
def test_a_terminals_map_has_the_scale_of_its_centre(centre, colours):
    """Two colours away from a centre, one way without; a cell without a value has none."""
    values = np.array([[0.0, 0.5, np.nan, 1.0]])
    grid = Grid(values, ("0",), tuple("abcd"), "x", 0.0, 1.0, centre)
    row = to_blocks(Picture([grid]), 60, "true").splitlines()[0]
    low, middle, high = (f"\x1b[48;2;{r};{g};{b}m  \x1b[0m" for r, g, b in colours)
    assert row == f"0 {low}{middle}  {high}"


@pytest.mark.parametrize("value", [0.0, -6.65e29, 1e-300])
def test_one_point_of_any_size_is_drawn(value):
    """A single point stands in the middle, however large its numbers are."""
    one = np.array([value])
    drawn = to_blocks(Picture([Points((Group("bad", one, one),), "x", "y", "t")]), 60)
    assert sum("v" in line.partition("|")[2] for line in drawn.splitlines()) == 1


def test_wide_grids_say_what_is_cut():
    """Columns that do not fit are counted."""
    grid = Grid(np.zeros((1, 99)), ("0",), tuple(map(str, range(99))), "x", 0.0, 1.0)
    assert "45 of 99 columns do not fit" in to_blocks(Picture([grid]), 56)


@pytest.mark.parametrize("stops", [ONE_WAY, TWO_WAYS])
def test_scales_keep_their_order_in_grey(stops):
    """One-way colours get lighter all the way; two-way ones are lightest in the middle."""
    grey = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in stops]
    if stops is ONE_WAY:
        assert grey == sorted(grey)
    else:
        assert grey[:3] == sorted(grey[:3]) and grey[2:] == sorted(grey[2:], reverse=True)


def test_scale_ends_and_middle():
    """The ends have the end colours, the centre the middle one, beyond is cut."""
    assert scale_color(0, False) == ONE_WAY[0] and scale_color(1.5, False) == ONE_WAY[-1]
    assert scale_color(share_of(0.5, 0.2, 0.6, 0.5), True) == TWO_WAYS[2]
    assert share_of(0.2, 0.2, 0.6, 0.5) == 0
    assert share_of(3, 3, 3, None) == share_of(3, 3, 3, 3) == 0.5  # all alike, so in the middle


def test_groups_differ_without_colour():
    """Categories, kinds and curves that stand together have a marker and a letter each."""
    for together in (
        ("other", "label-biased", "bad", "good"),
        ("head", "mlp", "mixer"),
        ("full", "best", "best_at_last", "worst"),
    ):
        for place in (0, 1, 2):
            assert len({GROUPS[name][place] for name in together}) == len(together)


TOGETHER = [
    ("other", "label-biased", "bad", "good"),
    ("head", "mlp", "mixer"),
    ("best", "best_at_last", "worst"),
    (0, 1, 2, 3, 4),
]


@pytest.mark.parametrize("theme", THEMES)
def test_colours_stand_out_from_each_theme(theme):
    """Groups by 3 to 1 from the ground, text by 7, and an empty cell is no end of a scale."""
    on = THEMES[theme]
    for colour, _, _ in [*GROUPS.values(), *FURTHER]:
        assert contrast(on.color(colour), on.ground) >= 3
    assert contrast(on.ink, on.ground) >= 7
    assert min(distance(on.empty, stop) for stop in [*ONE_WAY, *TWO_WAYS, on.ground]) >= 7


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("together", TOGETHER)
def test_colour_blind_readers_tell_groups_apart(theme, sight, together):
    """Groups that stand together are ten times as far apart as the least that one sees."""
    colours = [THEMES[theme].color(group_style(str(n), n if n in range(5) else 0)[0])
               for n in together]  # fmt: skip
    assert min(distance(a, b, sight) for a, b in combinations(colours, 2)) >= 20


def test_a_dark_picture_is_dark_throughout():
    """Its ground is the theme's, and no text, axis or line is left in black."""
    ink, ground = (
        f"#{bytes(colour).hex()}" for colour in (THEMES["dark"].ink, THEMES["dark"].ground)
    )
    drawn = draw(a_picture_of_each(), "svg", theme="dark").decode()
    root = ET.fromstring(drawn)
    names = {"g": "{http://www.w3.org/2000/svg}g", "path": "{http://www.w3.org/2000/svg}path"}
    figure = root.find(names["g"])
    assert figure.find(f"{names['g']}/{names['path']}").get("style") == f"fill: {ground}"
    texts = [g for g in root.iter(names["g"]) if g.get("id", "").startswith("text_")]
    assert texts and all(f"fill: {ink}" in ET.tostring(text).decode() for text in texts)
    assert "#000000" not in drawn and "#ffffff" not in drawn
    assert "#000000" in draw(a_picture_of_each(), "svg").decode()


@pytest.mark.parametrize(
    ("panels", "size", "columns"),
    [(2, (3.3, 2), 2), (2, (3.3, 5), 1), (4, (3.3, 3), 2), (9, (6.9, 6), 3), (9, None, 3),
     (1, (10, 3), 1), (3, (7, 2), 3)],
)  # fmt: skip
def test_panels_stand_where_they_have_most_room(panels, size, columns):
    """Side by side on a page, below one another in a column."""
    assert draw_module._columns(panels, size) == columns


def test_scatter_is_over_the_last_of_two_labels(runs):
    """What always says the first label stands at 0, what always says the last at 1."""
    place = {row["name"]: row["x"] for row in picture_rows(charts.scatter(runs[:1]))}
    assert (place["L1H0"], place["L1MLP"]) == (0, 1)


def test_the_heat_map_of_accuracies_is_centred_on_one_in_k(tmp_path, write_store):
    """With three labels a third is in the middle of the colours."""
    path = write_store(tmp_path / "s.h5", words=(" a", " b", " c"))
    (grid,) = charts.heatmap(read_runs([path])).panels
    assert grid.centre == pytest.approx(1 / 3)


def test_embed_and_bias_do_not_stretch_the_map_of_changes(runs):
    """The colours reach as far as the largest change of a component that is drawn."""
    axis = runs[0].components
    after = np.zeros(len(axis) + 1)
    after[0], after[1], after[-2] = 0.9, -0.2, -0.8  # embed, the first head, bias
    zero = np.zeros_like(after)
    (grid,) = charts.change_map(Change(axis, zero, after, zero, zero, zero, zero, 1, ())).panels
    assert (grid.low, grid.high) == (-0.2, 0.2)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_curves_stand_out_from_their_frame(style):
    """The axes are thinner than what is drawn between them, and ticks smaller than titles."""
    settings = style.settings()
    assert 0 < settings["axes.linewidth"] < settings["lines.linewidth"]
    assert 0 < settings["ytick.labelsize"] < settings["axes.titlesize"]


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_is_of_the_size_asked_for(style):
    """Whichever the style; without a size each style has its own width."""

    def pixels(picture, size):
        data = draw(picture, "png", style, size)
        return [int.from_bytes(data[at : at + 4], "big") for at in (16, 20)]

    whole = a_picture_of_each()
    assert pixels(Picture(whole.panels[:1]), (4.5, 3.5)) == [1350, 1050]
    assert pixels(whole, None)[0] == round(STYLES[style].page * 300)


@pytest.mark.parametrize(("columns", "wide"), [(40, False), (41, True)])
def test_a_map_of_many_layers_has_the_page(columns, wide):
    """Beyond forty a column is too narrow for it."""
    names = tuple(map(str, range(columns)))
    grid = Grid(np.zeros((2, columns)), ("0", "1"), names, "accuracy", 0.0, 1.0)
    style = STYLES["paper"]
    inches = int.from_bytes(draw(Picture([grid]), "png")[16:20], "big") / 300
    assert inches == pytest.approx(style.page if wide else style.column, abs=0.01)


def test_panels_that_do_not_fit_are_refused():
    """In one line with the size that was too small."""
    with pytest.raises(UsageError, match="2 x 1 inches have no room for 4 panels in style talk"):
        draw(a_picture_of_each(), "png", "talk", (2, 1))


@pytest.mark.parametrize(
    ("title", "lines"),
    [
        ("short", ["short"]),
        ("mean of 3 stores, x; full model 0.5", ["mean of 3 stores, x;", "full model 0.5"]),
        ("mean of 3 stores; full 0.555", ["mean of 3 stores; full 0.555"]),
        ("mean of 3 stores; full 0.5555", ["mean of 3 stores;", "full 0.5555"]),
        ("a clause longer than its one line, b", ["a clause longer", "than its one line, b"]),
        ("task-with-hyphens a-template-of-one", ["task-with-hyphens", "a-template-of-one"]),
        ("", [""]),
    ],
)
def test_titles_are_cut_between_clauses(title, lines):
    """At a blank only where one clause is longer than a line, and never at a hyphen."""
    assert wrapped(title, 28).split("\n") == lines


def test_a_scatter_names_the_best_and_the_worst(runs):
    """Three of each, on paper beside their points and in the terminal with their accuracies."""
    picture = charts.scatter(runs[:1])
    accuracy = {row["name"]: row["y"] for row in picture_rows(picture)}
    named = picture.panels[0].named
    order = sorted(accuracy.values())
    assert [accuracy[name] for name in named] == [*order[:-4:-1], *order[2::-1]]
    assert f"best and worst: {named[0]} 0.900, " in to_blocks(picture)
    drawn = draw(picture, "svg").decode()
    assert all(f"<!-- {name} -->" in drawn for name in named)


def test_names_lie_apart():
    """Of points that are one beside another, each name has a place of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    at = np.linspace(0.4, 0.45, 6)
    names = tuple(f"L{n}MLP" for n in range(6))
    panel = Points((Group("good", at, at, names),), "x", "y", unit=True, named=names)
    figure = Figure(figsize=(3.35, 2.6))
    axis = figure.subplots()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    draw_module._name_points(axis, panel, STYLES["paper"], (2.7, 1.8))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [Text.get_window_extent(name, renderer) for name in axis.texts]  # without its line
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_name_is_over_no_point_and_no_line():
    """Where there is a place that is free of both; a name in a crowd is there all the same."""
    from matplotlib.figure import Figure

    at = np.array([0.5, 0.44, 0.56])  # a line at its height, and points left and right of it
    few = Group("good", at, np.array([0.5, 0.5, 0.5]), ("L1MLP", "L2H1", "L3H1"))
    x, y = (of.ravel() for of in np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 40)))
    many = Group("other", x, y, tuple(f"L9H{n}" for n in range(len(x))))
    for groups, free in (((few,), True), ((few, many), False)):
        panel = Points(groups, "x", "y", level=0.5, unit=True, named=("L1MLP",))
        axis = Figure(figsize=(3.35, 2.6)).subplots()
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        draw_module._name_points(axis, panel, STYLES["paper"], (2.7, 1.8))
        (name,) = axis.texts
        height = 0.65 * name.get_fontsize() / 72 / 1.8
        assert (abs(name.get_position()[1] - 0.5) > height) == free


def test_weights_are_centred_on_unchanged(runs):
    """A weight that leaves a component as it is has the middle of the scale's colours."""
    values = np.linspace(0.2, 1.4, len(runs[0].components))
    (grid,) = charts.weight_map(runs[0].components, values, 1.0, "w").panels
    assert grid.centre == 1.0 and "unchanged" in grid.what
    assert share_of(1.0, grid.low, grid.high, grid.centre) == 0.5


def test_a_long_title_is_whole_in_a_terminal():
    """In lines between its clauses, none of them cut off."""
    title = "a clause of some words and more, another of as many"
    grid = Grid(np.eye(2), ("0", "1"), ("0", "1"), "accuracy", 0, 1, None, title, "layer", "head")
    lines = to_blocks(Picture([grid]), width=40).splitlines()
    assert " ".join(lines[:2]) == title and max(map(len, lines)) <= 40
    assert "across: layer; down: head" in lines


@pytest.mark.parametrize(
    ("values", "centre", "ends", "grounds"),
    [
        ([[0.2, 0.5, 0.6]], 0.5, (0.2, 0.8), (TWO_WAYS[0], TWO_WAYS[2])),
        ([[0.4, 0.5, 0.9]], 0.5, (0.1, 0.9), (None, TWO_WAYS[2])),
        ([[0.2, 0.5, 0.6]], None, (0.2, 0.6), (ONE_WAY[0], None)),
        ([[3.0, 3.0, 3.0]], None, (3.0, 4.0), (ONE_WAY[0], ONE_WAY[0])),
    ],
)
def test_a_map_on_paper_is_as_wide_either_side_of_its_centre(values, centre, ends, grounds):
    """The scale ends at the value farthest from it; without a centre, at the lowest and highest."""
    from matplotlib.figure import Figure

    figure = Figure()
    axis = figure.subplots()
    low, high = np.min(values), np.max(values)
    grid = Grid(np.array(values), ("0",), tuple("abc"), "x", low, high, centre)
    draw_module._grid(figure, axis, grid, STYLES["paper"])
    (image,) = axis.get_images()
    assert (image.norm.vmin, image.norm.vmax) == pytest.approx(ends)
    for value, ground in zip(values[0], grounds, strict=False):
        if ground is not None:
            drawn = image.cmap(image.norm(value), bytes=True)[:3]
            np.testing.assert_allclose(np.int64(drawn), ground, atol=2)


def test_a_panel_has_room_for_what_stands_below_it():
    """Each step of a waterfall, each group named below points and each row of a map is a line."""
    at = np.zeros(2)

    def steps(n):
        return Steps(tuple("abcdefgh"[:n]), np.zeros(n), np.zeros(n), 0.0, "all", "x")

    def points(n):
        return Points((Group("a", at, at),) * n, "x", "y", diagonal=True)

    def grid(n):
        rows = tuple("abcdefghijklmnopqr"[: 10 + n])
        return Grid(np.zeros((len(rows), 9)), rows, tuple("abcdefghi"), "x", 0.0, 1.0)

    for panel in (steps, points, grid):
        heights = [draw_module._height(panel(n), 3.35, STYLES["paper"]) for n in (3, 4, 5)]
        first, second = np.diff(heights)
        assert first > 0.05 and first == pytest.approx(second)

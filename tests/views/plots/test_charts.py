"""What pictures of runs are called, what their colours are centred on, where components stand."""

from dataclasses import replace

import numpy as np
import pytest

from compread.analysis.runs import read_runs
from compread.components import LayerShape, component_axis
from compread.views.plots import charts, curves


@pytest.fixture(scope="module")
def runs(stores):
    """The three planted runs."""
    return read_runs(sorted(stores.iterdir()))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "sst2 t1 s0"),
        ({"seed": None}, "sst2 t1"),
        ({"template": None, "seed": None}, "sst2"),
        ({"template": None, "seed": 3}, "sst2 s3"),
        ({"checkpoint": "step10", "seed": 7}, "sst2 t1 s7 step10"),
        ({"task": "a\x1bb"}, "a\\x1bb t1 s0"),
    ],
)
def test_a_run_is_called_by_what_it_has(runs, changes, name):
    """Task, template, seed and checkpoint, as far as there are any, safe to print."""
    assert charts.info_name(replace(runs[0].info, **changes)) == name


@pytest.mark.parametrize(
    ("by", "centre"), [("accuracy", 0.5), ("margin", 0.0), ("entropy", None), ("mcc", None)]
)
def test_colours_part_at_what_knows_nothing(runs, by, centre):
    """At one in K of an accuracy and at 0 of logits; other measures have no middle."""
    (grid,) = charts.heatmap(runs, by).panels
    assert grid.centre == centre


def test_the_title_says_over_how_many_stores_the_mean_is(runs):
    """Of one there is no mean to speak of."""
    one, all_ = (charts.heatmap(some).panels[0].title for some in (runs[:1], runs))
    assert one == f"accuracy of each component; full model {runs[0].stats.full.accuracy[0]:.3f}"
    mean = np.mean([run.stats.full.accuracy[0] for run in runs])
    assert all_ == f"accuracy of each component, mean of 3 stores; full model {mean:.3f}"


def test_each_component_has_its_place_on_a_map():
    """A column a layer, a row a head, and MLPs and mixers below; elsewhere is nothing."""
    axis = component_axis([LayerShape(2), LayerShape(1), LayerShape(0, mixer=True)])
    values = np.arange(len(axis), dtype=float)
    of = {c.name: v for c, v in zip(axis, values, strict=True)}
    grid = charts.layer_grid(axis, values, "x", 0.0, 1.0, None, "title")
    assert (grid.rows, grid.columns) == (("0", "1", "MLP", "MIX"), ("0", "1", "2"))
    nan = float("nan")
    np.testing.assert_array_equal(
        grid.values,
        [
            [of["L0H0"], of["L1H0"], nan],
            [of["L0H1"], nan, nan],
            [of["L0MLP"], of["L1MLP"], of["L2MLP"]],
            [nan, nan, of["L2MIX"]],
        ],
    )


@pytest.mark.parametrize(
    ("number", "title"),
    [(1, "sst2 t1 s0"), (2, "sst2, mean of 2 stores"), (3, "sst2, mean of 3 stores")],
)
def test_curves_over_layers_are_of_a_run_or_of_a_mean(stores, number, title):
    """A panel a task, which says so, from the first layer to the last."""
    paths = sorted(stores.iterdir())[:number]
    (panel,) = curves.layers(paths, "test", "logsumexp", "none").panels
    assert (panel.title, panel.places) == (title, ("0", "1", "2"))

"""What may be chosen on the command line is what the package has, from one list each."""

import dataclasses

import pytest
from typer.main import get_command

from compread import options
from compread.analysis.components import Scores
from compread.analysis.groups import PER
from compread.cli import app
from compread.components import KINDS
from compread.reweight.comprw import TRAINERS
from compread.reweight.registry import METHODS
from compread.views.summary import VIEWS

MEASURES = [*options.MEASURES, options.WEIGHT]


@pytest.mark.parametrize(
    ("command", "parameter", "names"),
    [
        ("rank", "by", MEASURES),
        ("plot", "by", MEASURES),
        ("rank", "per", options.PER),
        ("rank", "kind", [*KINDS, options.ALL]),
        ("rank", "format", options.FORMATS),
        ("rank", "split", options.SPLITS),
        ("reweight", "pool", options.POOLS),
        ("analyze", "table", options.TABLES),
        ("plot", "kind", options.PLOTS),
    ],
)
def test_choices_are_the_lists(command, parameter, names):
    """A name entered in the list can be asked for."""
    of = get_command(app).commands[command].params
    [found] = [one for one in of if one.name == parameter]
    assert list(map(str, (getattr(c, "value", c) for c in found.type.choices))) == list(names)


def test_the_lists_are_what_there_is():
    """Each measure is a score, each grouping, table, recipe and method is there."""
    assert set(options.MEASURES) <= {field.name for field in dataclasses.fields(Scores)}
    assert set(options.PER) == {"store", *PER}
    assert set(options.TABLES) == {"runs", "summary", *VIEWS}
    assert (*TRAINERS, "convex", "signed") == options.RECIPES
    assert set(options.DEFAULT_METHODS) <= set(METHODS)

"""What may be chosen on the command line is what the package has, from one list each."""

import pytest

from compread import options
from compread.analysis.measures import PER
from compread.cli import options as cli_options
from compread.reweight.registry import METHODS
from compread.views.analyze import VIEWS
from compread.views.plots.kinds import PLOTS
from compread.views.plots.palette import STYLES, THEMES
from compread.views.render import FORMATS


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (cli_options.Ensemble, options.ENSEMBLES),
        (cli_options.Per, ["store", *PER]),
        (cli_options.Format, FORMATS),
        (cli_options.Split, options.SPLITS),
        (cli_options.Pool, options.POOLS),
        (cli_options.Table, options.TABLES),
        (cli_options.Plot, PLOTS),
        (cli_options.PlotStyle, STYLES),
        (cli_options.PlotTheme, THEMES),
    ],
)
def test_choices_are_the_lists(choice, names):
    """A name entered in the list can be asked for."""
    assert [one.value for one in choice] == list(names)


def test_the_lists_are_what_there_is():
    """Each table and method is there."""
    assert set(options.TABLES) == {"runs", "summary", *VIEWS}
    assert set(options.DEFAULT_METHODS) <= set(METHODS)

"""``compread view``."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import typer

from compread import options
from compread.cli.options import (
    ALPHA,
    AS_STORED,
    BAD_ACCURACY,
    BIAS_SHARE,
    GOOD_ACCURACY,
    NORMALIZE,
    POOL,
    POOLED,
    SPLIT,
    STORES,
    TEST,
)
from compread.cli.rank import METHOD, WEIGHTS_FILE

EXAMPLE = "compread view stores/\ncompread view out.h5 --weights weights.json"


def view(
    stores: STORES,
    weights: WEIGHTS_FILE = None,
    method: METHOD = None,
    split: SPLIT = TEST,
    alpha: ALPHA = options.ALPHA,
    bias_share: BIAS_SHARE = options.BIAS_SHARE,
    good_accuracy: GOOD_ACCURACY = None,
    bad_accuracy: BAD_ACCURACY = None,
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
) -> None:
    """Look around in stores, full screen in the terminal.

    The table of components, with search, filters and sorting; the map of layers and heads; the
    page of one component, with the rows that it is most for and most against; two runs, templates
    or tasks side by side. Keys and mouse; ? lists them. A store is read when it is chosen, and
    nothing is written.
    """
    _need_screen()
    from compread.analysis.categories import Rules
    from compread.cli.inputs import read_weights
    from compread.errors import UsageError
    from compread.store import gather

    if weights is None and method is not None:
        raise UsageError("--method wants --weights FILE, from reweight --save")
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    fits = () if weights is None else read_weights(weights).fits
    found = gather(stores, sys.stdin)
    if not sys.stdin.isatty():
        _keys_from_terminal()
    from compread.views.browse.app import Viewer
    from compread.views.browse.reading import Asked
    from compread.views.browse.sources import sources

    asked = Asked(split.value, pool.value, normalize.value, rules, fits, method)
    viewer = Viewer(sources(found.paths, found.infos), asked, found.notes)
    viewer.run()
    if viewer.return_code:
        raise typer.Exit(viewer.return_code)


def _need_screen() -> None:
    """Refuse what has no screen, before anything is read.

    Raises:
        UsageError: no terminal is there to draw on, or Textual is not installed.
    """
    from compread.errors import UsageError

    # Textual draws on standard error.
    for name, stream in (("output", sys.stdout), ("error", sys.stderr)):
        if not stream.isatty():
            raise UsageError(
                f"standard {name} is not a terminal: `compread view` draws on one; `compread rank` "
                "prints a table and `compread report` writes a page"
            )
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise UsageError(
            "this terminal can't place text (TERM is dumb or not set); `compread rank` prints a "
            "table and `compread report` writes a page"
        )
    if find_spec("textual") is None:
        raise UsageError("`compread view` wants Textual: pip install 'compread[view]'")


def _keys_from_terminal() -> None:
    """Read keys from the terminal where paths came on standard input, as pagers do."""
    from compread.errors import UsageError

    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise UsageError(
            "standard input is not a terminal, so no key would be read; name the stores instead"
        ) from error
    os.dup2(terminal, 0)
    os.close(terminal)

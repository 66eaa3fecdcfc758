"""``compread report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compread.cli.analyze import TOP_K
from compread.cli.options import (
    ALPHA,
    BAD_ACCURACY,
    BIAS_SHARE,
    GOOD_ACCURACY,
    POOL,
    SPLIT,
    STORES,
    Pool,
    Split,
)
from compread.cli.output import write_path, write_styled
from compread.cli.runs import scored_runs
from compread.cli.values import PATH

EXAMPLE = "compread report stores/ -o report.html"


def report(
    context: typer.Context,
    stores: STORES,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The .html file, or - for stdout.", **PATH)
    ],
    split: SPLIT = Split.test,
    top: TOP_K = 5,
    alpha: ALPHA = 0.05,
    bias_share: BIAS_SHARE = 1.0,
    good_accuracy: GOOD_ACCURACY = None,
    bad_accuracy: BAD_ACCURACY = None,
    pool: POOL = Pool.logsumexp,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write one HTML page with the tables and figures of some stores.

    The page needs no network: pictures, style and script are in it. Its tables sort by a click on
    a heading, and it ends with the commands that made the stores and the page. Its path is
    printed.
    """
    from compread.analysis.categories import Rules
    from compread.output_files import check_target, write_file
    from compread.store import store_paths
    from compread.views.report import report as report_of

    if str(out) != "-":
        check_target(out, force)
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    runs = scored_runs(store_paths(stores, sys.stdin), split.value, pool.value, resample=True)
    page = report_of(runs, split.value, rules, top, str(context.obj or ""))
    if str(out) == "-":
        write_styled(page)
        return
    write_file(out, page, force)
    write_path(out)

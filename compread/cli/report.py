"""``compread report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compread import options
from compread.cli.analyze import TOP_K
from compread.cli.inputs import found_stores, scored_runs
from compread.cli.options import (
    ACROSS_MODELS,
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
from compread.cli.output import write_path, write_styled
from compread.cli.values import FILE

EXAMPLE = "compread report stores/ -o report.html"


def report(
    context: typer.Context,
    stores: STORES,
    out: Annotated[
        Path,
        typer.Option("-o", "--output", "--out", help="The .html file, or - for stdout.", **FILE),
    ],
    split: SPLIT = TEST,
    top: TOP_K = options.TOP_SET,
    alpha: ALPHA = options.ALPHA,
    bias_share: BIAS_SHARE = options.BIAS_SHARE,
    good_accuracy: GOOD_ACCURACY = None,
    bad_accuracy: BAD_ACCURACY = None,
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
    across_models: ACROSS_MODELS = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write one HTML page with the tables and figures of some stores.

    The page needs no network: figures, style and script are in it. Its tables sort by a click on
    a heading, those of components are searched and narrowed too, and a pointer on a figure names
    what is under it. It ends with the commands that made the stores and the page. Its path is
    printed.
    """
    from datetime import datetime, timezone

    from compread.analysis.categories import Rules
    from compread.output_files import check_target, write_file
    from compread.store.states import unfinished
    from compread.views.report import Made
    from compread.views.report import report as report_of

    if str(out) != "-":
        check_target(out, force)
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    found = found_stores(stores, "revisions", across_models)
    runs = scored_runs(found.paths, split.value, pool.value, True, normalize.value)
    made = Made(
        command=str(context.obj or ""),
        date=datetime.now(timezone.utc).date().isoformat(),
        notes=found.notes,
        unfinished=unfinished(name for name in stores if Path(name).is_dir()),
    )
    page = report_of(runs, split.value, rules, top, pool.value, made)
    if str(out) == "-":
        write_styled(page)
        return
    write_file(out, page, force)
    write_path(out)

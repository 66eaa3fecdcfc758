"""``compread analyze``."""

from __future__ import annotations

from typing import Annotated

import typer

from compread import options
from compread.cli.inputs import changed, found_stores, scored_runs
from compread.cli.options import (
    ACROSS_MODELS,
    ALPHA,
    AS_STORED,
    BAD_ACCURACY,
    BIAS_SHARE,
    FORMAT,
    GOOD_ACCURACY,
    NORMALIZE,
    POOL,
    POOLED,
    SPLIT,
    STORES,
    TABLE,
    TEST,
    Table,
)
from compread.cli.output import emit

EXAMPLE = (
    "compread analyze stores/\ncompread analyze out.h5 --format json | jq '.runs[0].best'\n"
    "compread analyze stores/ --table transfer --format csv"
)


TABLES = Annotated[
    list[Table] | None,
    typer.Option(
        "--table",
        help="Only this table; may be repeated.  [default: all but layers and pairs]",
        show_default=False,
    ),
]
TOP_K = Annotated[int, typer.Option("--top", min=1, help="Components in a top set (IoU).")]
VERSUS = Annotated[
    list[str] | None,
    typer.Option(
        "--versus", help="Show the change to these stores of another model; may be repeated."
    ),
]
PAIRS = Annotated[
    str,
    typer.Option(
        "--pairs",
        metavar="N",
        help="Pairs of stores of each kind to compare, drawn at random; or all.",
    ),
]


def analyze(
    stores: STORES,
    table: TABLES = None,
    versus: VERSUS = None,
    split: SPLIT = TEST,
    top: TOP_K = options.TOP_SET,
    alpha: ALPHA = options.ALPHA,
    bias_share: BIAS_SHARE = options.BIAS_SHARE,
    good_accuracy: GOOD_ACCURACY = None,
    bad_accuracy: BAD_ACCURACY = None,
    pairs: PAIRS = str(options.MOST_PAIRS),
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
    across_models: ACROSS_MODELS = False,
    format: FORMAT = TABLE,
) -> None:
    """Summarise runs: full model, best, worst, categories, transfer.

    Heads, MLPs and whole mixers are counted, embed and bias never. A component is label-biased
    when it predicts one label on every row; else good when it is significantly above chance and
    its accuracy is at least the full model's; else bad when it is significantly below chance.
    The test shuffles the right labels; its p-values are corrected for the number of components
    (Benjamini-Hochberg).

    Beside the best component picked on the rows it is scored on (an oracle, as in the paper's
    Table 1) stand the one picked on the train rows, a cross-fitted estimate, and what the oracle
    shows by chance alone. Several stores have a mean and an sd row (population form), and pairs of
    them that differ in one thing show how far accuracies transfer. Several revisions of one model
    have its accuracy over training.

    With --versus the stores are paired with those of another model by task, template and seed, and
    each component's change is shown instead, rows paired.
    """
    from compread.analysis.categories import Rules
    from compread.analysis.study import study
    from compread.views.analyze import change_view, summary_view

    if versus:
        before, after = (found_stores(s, "one", across_models).paths for s in (stores, versus))
        rows = changed(before, after, split.value, pool.value, normalize.value).rows()
        emit(rows, change_view(rows, options.CHANGED), format.value)
        return
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    most = _most_pairs(pairs)
    paths = found_stores(stores, "revisions", across_models).paths
    runs = scored_runs(paths, split.value, pool.value, True, normalize.value)
    document = study(runs, rules, top, [name.value for name in table or []], most)
    emit(document, summary_view(document, split.value), format.value)


def _most_pairs(text: str) -> int | None:
    from compread.errors import UsageError

    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--pairs {text}: expected a whole number from 1 up, or all")
    return int(text)

"""``compread analyze``."""

from __future__ import annotations

from typing import Annotated

import typer

from compread import options
from compread.cli import complete
from compread.cli.forms import FORMAT, TABLE, TABLE_OPTIONS
from compread.cli.inputs import changed, found_stores, scored_runs, tell_repeats
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
    Table,
    named_options,
)
from compread.cli.output import emit, note

EXAMPLE = (
    "compread analyze stores/\ncompread analyze out.h5 --format json | jq '.runs[0].best'\n"
    "compread analyze stores/ --table transfer --format csv\n"
    "compread analyze out.h5 --without L29MLP,'L3H*' --without heads --only mlps"
)


TABLES = Annotated[
    list[Table] | None,
    typer.Option(
        "--table",
        help="Only this table; may be repeated.  [default: all but layers and pairs]",
    ),
]
TOP_K = Annotated[
    int,
    typer.Option("--top", min=1, help="Size of the top sets whose overlap (IoU) transfer shows."),
]
VERSUS = Annotated[
    list[str] | None,
    typer.Option("--versus", help="Compare with these stores of another model; may be repeated."),
]
WITHOUT = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="NAME,...",
        autocompletion=complete.components,
        help="Score the sum of all components but these: L29, 'L3H*', heads; may be repeated.",
    ),
]
ONLY = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME,...",
        autocompletion=complete.components,
        help="And the sum of these; may be repeated.",
    ),
]
EARLY_EXIT = Annotated[
    bool,
    typer.Option("--early-exit", help="Score the sum up to each layer, attention and MLPs apart."),
]
PAIRS = Annotated[
    str,
    typer.Option(
        "--pairs",
        metavar="N",
        help="How many pairs of stores to compare for transfer, drawn at random; or all.",
    ),
]


def analyze(
    context: typer.Context,
    stores: STORES,
    table: TABLES = None,
    versus: VERSUS = None,
    without: WITHOUT = None,
    only: ONLY = None,
    early_exit: EARLY_EXIT = False,
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

    The first table has the full model's accuracy and the best and the worst component's. The best
    is picked on the rows it is scored on, as in the paper's Table 1, and so looks better than it
    is; beside it stand what such a pick shows by chance, and two honest estimates: picked on half
    of the rows and scored on the other (crossfit), and picked on the train rows.

    The second counts heads, MLPs and mixers by category. A component is label-biased if it
    predicts one label on every row, or one position where each row has answers of its own; else
    good if it is at least as accurate as the full model and significantly above chance; else bad if
    it is significantly below chance. Significance is by permutation of the right labels (of right
    answers among rows with as many), corrected for the number of components (Benjamini-Hochberg).

    Given several stores there are means and standard deviations over them, and a table of how well
    accuracies transfer between stores that differ in one thing; given several revisions of one
    model, its accuracy over training.

    With --versus the table has each component's change of accuracy between two models instead,
    over pairs of stores of the same task, template and seed.

    With --without and --only the sum of the components left is scored instead, beside the full
    model: components, patterns, layers (L29) and kinds (heads, mlps, mixers, embed, bias). With
    --early-exit it is the sum up to each layer.
    """
    from compread.analysis.categories import Rules
    from compread.analysis.study import study
    from compread.analysis.sums import sum_rows, sum_scores, sums_asked
    from compread.views.analyze import change_view, summary_view
    from compread.views.sums import sums_view

    if versus:
        before, after = (found_stores(s, "one", across_models).paths for s in (stores, versus))
        rows = changed(before, after, split.value, pool.value, normalize.value).rows()
        emit(rows, change_view(rows, options.CHANGED), format)
        return
    if sums := sums_asked(without or (), only or (), early_exit):
        _check_sums(context)
        paths = found_stores(stores, "revisions", across_models).paths
        scores = sum_scores(paths, sums, split.value, pool.value, normalize.value)
        tell_repeats(
            [one.run.repeats for one in scores if one.run and one.run.repeats], split.value
        )
        rows = sum_rows(scores)
        emit({"sums": rows}, sums_view(rows, split.value), format)
        return
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    most = _most_pairs(pairs)
    paths = found_stores(stores, "revisions", across_models).paths
    runs = scored_runs(paths, split.value, pool.value, True, normalize.value)
    document = study(runs, rules, top, [name.value for name in table or []], most)
    emit(document, summary_view(document, split.value), format)
    for name in table or []:
        if not document[name.value]:
            note(f"--table {name.value} is empty: it needs {_NEEDS[name.value]}")


_NEEDS = {
    "runs": "a store",
    "summary": "two stores or more",
    "layers": "a store",
    "transfer": "runs that differ in one thing alone: the seed, the template or the task",
    "training": "several revisions of one model",
    "pairs": "runs that differ in one thing alone: the seed, the template or the task",
}
"""Without what a list of the result has no row."""

_OF_SUMS = {"--without", "--only", "--early-exit"}
_OF_SUMS |= {"--split", "--pool", "--normalize", "--across-models", *TABLE_OPTIONS}


def _check_sums(context: typer.Context) -> None:
    from compread.errors import UsageError

    if others := sorted(named_options(context) - _OF_SUMS):
        raise UsageError(
            f"{', '.join(others)} is about single components, but --without, --only and "
            "--early-exit score sums of components: give one or the other"
        )


def _most_pairs(text: str) -> int | None:
    from compread.errors import UsageError

    if text == "all":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--pairs {text}: expected a whole number from 1 up, or all")
    return int(text)

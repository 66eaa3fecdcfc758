"""``compread rank``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compread import options
from compread.analysis.measures import DEFAULT_MEASURE
from compread.cli import complete
from compread.cli.forms import FORMAT, TABLE, TABLE_OPTIONS
from compread.cli.inputs import found_stores, scored_runs
from compread.cli.options import (
    ACROSS_MODELS,
    ALPHA,
    AS_STORED,
    BAD_ACCURACY,
    BIAS_SHARE,
    GOOD_ACCURACY,
    MEASURE_NAMES,
    NORMALIZE,
    POOL,
    POOLED,
    SPLIT,
    STORES,
    TEST,
    Per,
    named_options,
)
from compread.cli.output import emit, write_picture
from compread.components import KINDS

if TYPE_CHECKING:
    from compread.analysis.metric import Expression
    from compread.analysis.runs import RunStats
    from compread.array_types import Floats

EXAMPLE = (
    "compread rank out.h5 --top 10 --kind head\ncompread rank stores/ --format json | jq '.[0]'\n"
    "compread rank out.h5 --by '(accuracy - chance) / (1 - chance)'\n"
    "compread rank out.h5 --weights weights.json\ncompread rank out.h5 --example 17"
)


BY = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="MEASURE",
        autocompletion=complete.measures,
        help=f"{MEASURE_NAMES}, or weight (with --weights); accuracy_low is the interval's lower "
        "end. Or arithmetic over keys of the rows: 'accuracy - chance'.",
    ),
]
TOP = Annotated[int, typer.Option("--top", min=0, help="Components to show; 0 shows all.")]
ONLY_KIND = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="KIND,...",
        autocompletion=complete.kinds,
        help=f"Rank these only: {', '.join(KINDS)} or all; may be repeated.  [default: heads, "
        "mixers, mlps]",
    ),
]
ASCENDING = Annotated[bool, typer.Option("--ascending", help="Lowest first.")]
WEIGHTS_FILE = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Show each component's weight in FILE (reweight --save)."),
]
METHOD = Annotated[
    str | None,
    typer.Option(
        "--method",
        autocompletion=complete.methods,
        help="Which method's weights, if FILE has several. [default: blend, else comprw]",
    ),
]
SHOWN_PER = Annotated[
    Per | None,
    typer.Option("--per", help="Beside the mean, show the measure for each of these apart."),
]
EXAMPLE_ID = Annotated[
    str | None,
    typer.Option(
        "--example",
        metavar="ID",
        help="Show how the components make up the answer to the row of this id.",
    ),
]
COMPONENT = Annotated[
    str,
    typer.Option(
        "--component",
        metavar="NAME,...",
        autocompletion=complete.components,
        help="With --example: only these, such as L14H2 or 'L3H*'.",
    ),
]
HEATMAP = Annotated[
    bool, typer.Option("--heatmap", help="Draw a map of layers and heads instead of the table.")
]


def rank(
    context: typer.Context,
    stores: STORES,
    by: BY = DEFAULT_MEASURE,
    top: TOP = 20,
    kind: ONLY_KIND = None,
    ascending: ASCENDING = False,
    split: SPLIT = TEST,
    alpha: ALPHA = options.ALPHA,
    bias_share: BIAS_SHARE = options.BIAS_SHARE,
    good_accuracy: GOOD_ACCURACY = None,
    bad_accuracy: BAD_ACCURACY = None,
    weights: WEIGHTS_FILE = None,
    method: METHOD = None,
    pool: POOL = POOLED,
    normalize: NORMALIZE = AS_STORED,
    across_models: ACROSS_MODELS = False,
    per: SHOWN_PER = None,
    example: EXAMPLE_ID = None,
    component: COMPONENT = "",
    heatmap: HEATMAP = False,
    format: FORMAT = TABLE,
) -> None:
    """Rank the components by what each predicts alone.

    Read alone, a component predicts the label that it contributes most to, or the answer where each
    row has answers of its own; these are told by their positions A, B, ... Given several stores,
    the table has the means over them; they must have the same components and as many labels, and
    labels whose words differ are matched by their order. The full model is on top of the table; in
    json and csv it comes last, as component "full" without a rank.

    With --example ID the table explains one row instead: each component's contribution and the sum
    up to there, from embed to bias, which ends at the full model's margin on that row.
    """
    if example is not None or component:
        _check_example(context, example, component)
        _explain(
            stores,
            str(example),
            component,
            split.value,
            pool.value,
            normalize.value,
            top,
            format,
        )
        return
    from compread.analysis.categories import Rules, kinds_asked
    from compread.analysis.metric import measure_or_metric, ranked_by
    from compread.analysis.ranking import rank as rank_components
    from compread.views.rank import ranking_view

    asked = measure_or_metric(by)
    metric, by = (None, asked) if isinstance(asked, str) else (asked, by)
    _check_choices(by, metric, weights, method, per, heatmap)
    kinds = kinds_asked(kind or ())
    paths = found_stores(stores, "one", across_models).paths
    runs = scored_runs(paths, split.value, pool.value, normalize=normalize.value)
    if heatmap:
        from compread.views.plots.charts import heatmap as heat_map

        write_picture(heat_map(runs, metric or by))
        return
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    fitted = None if weights is None else _weights(weights, runs, method)
    values = fitted if by == options.WEIGHT else None
    parts = None if per is None else per.value
    if metric:
        every = rank_components(runs, kinds=kinds, rules=rules).rows(fitted)
        rows = ranked_by(every, metric, ascending, top)
    else:
        rows = rank_components(runs, by, kinds, ascending, top, rules, values, parts).rows(fitted)
    emit(rows, ranking_view(rows, runs, by, split.value), format)


def _check_choices(
    by: str,
    metric: Expression | None,
    weights: Path | None,
    method: str | None,
    per: Per | None,
    heatmap: bool,
) -> None:
    """Refuse options that contradict each other."""
    from compread.errors import UsageError

    by_weight = by == options.WEIGHT
    if weights is None and (by_weight or method is not None):
        raise UsageError("--by weight and --method want --weights FILE, from reweight --save")
    if weights is not None and heatmap:
        raise UsageError(f"--heatmap draws a measure; draw weights with: plot weights {weights}")
    if per is not None and (metric or by_weight or heatmap):
        raise UsageError(f"--per shows a measure in a table: leave out --by {by} or --heatmap")


_OF_EXAMPLES = {"--example", "--component", "--top", "--split", "--pool", "--normalize"}
_OF_EXAMPLES |= TABLE_OPTIONS


def _check_example(context: typer.Context, example: str | None, component: str) -> None:
    from compread.errors import UsageError

    if example is None:
        raise UsageError(
            f"--component {component} chooses what --example ID shows: give that too, or ask for "
            "all rows with: compread predictions STORE --component ..."
        )
    if others := sorted(named_options(context) - _OF_EXAMPLES):
        raise UsageError(
            f"{', '.join(others)} is about the ranking over all rows, but --example explains a "
            "single one: give one or the other"
        )


def _explain(
    stores: list[str],
    example: str,
    component: str,
    split: str,
    pool: str,
    normalize: str,
    top: int,
    format: FORMAT,
) -> None:
    from compread.analysis.examples import breakdowns
    from compread.analysis.predictions import scorers
    from compread.views.example import breakdowns_view

    paths = found_stores(stores).paths
    found = breakdowns(paths, split, example, pool, normalize)
    named = [name.strip() for name in component.split(",") if name.strip()]
    only = {name for one in found for name in scorers(named, one.components)} if named else ()
    rows = [row for one in found for row in one.rows(only)]
    emit(rows, breakdowns_view(found, top, only), format)


def _weights(file: Path, runs: list[RunStats], method: str | None) -> Floats:
    from compread.cli.inputs import read_weights
    from compread.reweight.select import mean_weights

    return mean_weights(read_weights(file).fits, runs, method).values

"""What the commands ``rank`` and ``analyze`` answer, from Python, under the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from compread.analysis.categories import Rules, kinds_asked
from compread.analysis.change import change as change_of
from compread.analysis.examples import breakdowns
from compread.analysis.measures import DEFAULT_MEASURE, PER
from compread.analysis.metric import Metric, measure_or_metric, metric_name, ranked_by
from compread.analysis.predictions import scorers
from compread.analysis.ranking import rank as rank_components
from compread.analysis.runs import RunStats, read_runs
from compread.analysis.study import study
from compread.analysis.sums import sum_rows, sum_scores, sums_asked
from compread.api.gathering import (
    check_choice,
    found_stores,
    normalization_of,
    pool_of,
    split_of,
    tell,
    tell_repeats,
)
from compread.api.results import ComponentResult, Results, in_python, lists_of, result_of
from compread.api.runs import StorePath, Stores
from compread.errors import UsageError, option, told_in_python
from compread.options import (
    ALPHA,
    BIAS_SHARE,
    CHANGED,
    MOST_PAIRS,
    TABLES,
    TOP_SET,
    WEIGHT,
)
from compread.store.gather import Models
from compread.views.analyze import change_view, summary_view
from compread.views.example import breakdowns_view
from compread.views.rank import ranking_view
from compread.views.sums import sums_view

if TYPE_CHECKING:
    from compread.api.weights import Reweighting


@told_in_python
def rank(
    stores: Stores,
    by: str | Metric = DEFAULT_MEASURE,
    *,
    top: int = 20,
    kind: str | Sequence[str] | None = None,
    ascending: bool = False,
    split: str | None = None,
    alpha: float = ALPHA,
    bias_share: float = BIAS_SHARE,
    good_accuracy: float | None = None,
    bad_accuracy: float | None = None,
    weights: StorePath | Reweighting | None = None,
    method: str | None = None,
    pool: str | None = None,
    normalize: str | None = None,
    across_models: bool = False,
    per: str | None = None,
    example: str | None = None,
    component: str | Sequence[str] = (),
) -> ComponentResult:
    """The components by what each predicts alone; the rows of ``compread rank --format json``.

    Of several stores the means; the full model stands last, as component ``full`` without a rank.

    Args:
        stores: runs, or what ``compread.open`` takes.
        by: the measure, such as ``accuracy`` or ``margin``, or ``weight`` with ``weights``; or one
            of your own, which each row then has as ``metric``: arithmetic over the rows' keys
            (``"accuracy - chance"``), or a function from a row to a number.
        top: how many components; 0 for all.
        kind: the kinds to rank, such as ``heads``, or ``all``; None: heads, MLPs and mixers.
        ascending: the lowest first.
        split: ``train`` or ``test``; None: that of the runs, else ``test``.
        alpha: largest corrected p-value that is significant.
        bias_share: smallest share of rows with one prediction that makes a component biased.
        good_accuracy: smallest accuracy of a good component; None: the full model's.
        bad_accuracy: largest accuracy of a bad one; None: any below chance.
        weights: a weights file or what ``reweight`` gave: each component's weight is shown.
        method: whose weights, where there are several.
        pool: how label words of one class become one label; None: as in the runs.
        normalize: what makes answers of different lengths alike; None: as in the runs.
        across_models: take stores of several models as one.
        per: show the measure for each ``store``, ``template``, ``seed`` and so on as well.
        example: instead, what the answer to the row of this id is made of, in each store that has
            it: the rows of ``compread rank --example ID --format json``.
        component: with ``example``, only these, such as ``L14H2`` or ``L3H*``.

    Raises:
        UsageError: an argument that is none of its choices, or that lacks another.
        StoreError: stores that cannot be read, or that may not be averaged.
    """
    from compread.api.weights import weights_of
    from compread.reweight.select import mean_weights

    if example is not None or component:
        return _explained(stores, example, component, split, pool, normalize, top)
    asked = measure_or_metric(by) if isinstance(by, str) else by
    metric = None if isinstance(asked, str) else asked
    by = metric_name(metric) if metric else str(asked)
    if weights is None and (by == WEIGHT or method is not None):
        raise UsageError(
            f"{option('by', WEIGHT)} and {option('method')} want {option('weights')}: a file, or "
            f"what {option('reweight')} gave"
        )
    if per is not None:
        check_choice("per", per, PER)
        if metric or by == WEIGHT:
            raise UsageError(f"{option('per')} shows a measure: leave this {option('by')} out")
    runs, at = _scored(stores, split, pool, normalize, "any" if across_models else "one")
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    fitted = (
        None if weights is None else mean_weights(weights_of(weights).fits, runs, method).values
    )
    values = fitted if by == WEIGHT else None
    kinds = _kinds(kind)
    if metric:
        every = rank_components(runs, kinds=kinds, rules=rules).rows(fitted)
        rows = ranked_by(every, metric, ascending, top)
    else:
        rows = rank_components(runs, by, kinds, ascending, top, rules, values, per).rows(fitted)
    return result_of(ComponentResult, rows, ranking_view(rows, runs, by, at))


@told_in_python
def analyze(
    stores: Stores,
    *,
    table: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    only: str | Sequence[str] = (),
    early_exit: bool = False,
    split: str | None = None,
    top: int = TOP_SET,
    alpha: float = ALPHA,
    bias_share: float = BIAS_SHARE,
    good_accuracy: float | None = None,
    bad_accuracy: float | None = None,
    pairs: int | Literal["all"] = MOST_PAIRS,
    pool: str | None = None,
    normalize: str | None = None,
    across_models: bool = False,
) -> Results:
    """What each run shows and how far runs agree; the lists of ``compread analyze --format json``.

    Args:
        stores: runs, or what ``compread.open`` takes.
        table: the lists wanted, such as ``pairs``; none: all but the long ones.
        without: groups such as ``L29MLP,L3H*`` or ``heads``: the list ``sums`` alone, with how the
            sum of all components but these labels the rows.
        only: likewise, how the sum of these alone does.
        early_exit: likewise, how the sum up to each layer does.
        split: ``train`` or ``test``; None: that of the runs, else ``test``.
        top: components in a top set.
        alpha: as in ``rank``.
        bias_share: as in ``rank``.
        good_accuracy: as in ``rank``.
        bad_accuracy: as in ``rank``.
        pairs: pairs of stores of each kind to compare, drawn at random; or ``all``.
        pool: how label words of one class become one label; None: as in the runs.
        normalize: what makes answers of different lengths alike; None: as in the runs.
        across_models: take stores of several models together.

    Raises:
        UsageError: an argument that is none of its choices.
        StoreError: stores that cannot be read, or of several models.
    """
    names = [table] if isinstance(table, str) else list(table)
    for name in names:
        check_choice("table", name, TABLES)
    if pairs != "all" and pairs < 1:
        raise UsageError(f"{option('pairs', pairs)}: expected a whole number from 1 up, or all")
    models: Models = "any" if across_models else "revisions"
    left, alone = ([of] if isinstance(of, str) else list(of) for of in (without, only))
    if sums := sums_asked(left, alone, early_exit):
        at, how = split_of(stores, split), pool_of(stores, pool)
        alike = normalization_of(stores, normalize)
        scores = sum_scores(found_stores(stores, models), sums, at, how, alike)
        tell_repeats([one.run.repeats for one in scores if one.run and one.run.repeats], at)
        summed = {"sums": sum_rows(scores)}
        return Results(lists_of(summed), in_python(sums_view(summed["sums"], at)))
    rules = Rules(alpha, bias_share, good_accuracy, bad_accuracy)
    runs, at = _scored(stores, split, pool, normalize, models, resample=True)
    document = study(runs, rules, top, names, None if pairs == "all" else pairs)
    return Results(lists_of(document), in_python(summary_view(document, at)))


@told_in_python
def change(
    before: Stores,
    after: Stores,
    *,
    split: str | None = None,
    pool: str | None = None,
    normalize: str | None = None,
    across_models: bool = False,
) -> ComponentResult:
    """How each component changes from one model to another, rows paired.

    The rows of ``compread analyze BEFORE --versus AFTER --format json``.

    Args:
        before: runs of one model, or what ``compread.open`` takes.
        after: runs of the other, over the same prompts.
        split: ``train`` or ``test``; None: that of the first runs, else ``test``.
        pool: how label words of one class become one label; None: as in the first runs.
        normalize: what makes answers of different lengths alike; None: as in the first runs.
        across_models: take stores of several models as one, on either side.

    Raises:
        UsageError: no run has a partner on the other side.
        StoreError: partners of other components or rows, or stores that cannot be read.
    """
    at, how = split_of(before, split), pool_of(before, pool)
    models: Models = "any" if across_models else "one"
    alike = normalization_of(before, normalize)
    found = change_of(found_stores(before, models), found_stores(after, models), at, how, alike)
    if (told := found.unpaired_note) is not None:
        tell(told)
    tell_repeats(found.repeats, at)
    rows = found.rows()
    return result_of(ComponentResult, rows, change_view(rows, CHANGED))


def _explained(
    stores: Stores,
    example: str | None,
    component: str | Sequence[str],
    split: str | None,
    pool: str | None,
    normalize: str | None,
    top: int,
) -> ComponentResult:
    """``rank`` of one row's answer."""
    if example is None:
        raise UsageError(f"{option('component')} goes with {option('example')}, a row's id")
    at, how = split_of(stores, split), pool_of(stores, pool)
    alike = normalization_of(stores, normalize)
    found = breakdowns(found_stores(stores), at, example, how, alike)
    named = component.split(",") if isinstance(component, str) else component
    names = [name.strip() for name in named if name.strip()]
    only = {name for one in found for name in scorers(names, one.components)} if names else ()
    rows = [row for one in found for row in one.rows(only)]
    return result_of(ComponentResult, rows, breakdowns_view(found, top, only))


def _scored(
    stores: Stores,
    split: str | None,
    pool: str | None,
    normalize: str | None,
    models: Models,
    resample: bool = False,
) -> tuple[list[RunStats], str]:
    """The statistics of each store, and the split that they are of."""
    at, how = split_of(stores, split), pool_of(stores, pool)
    alike = normalization_of(stores, normalize)
    runs = read_runs(found_stores(stores, models), at, how, resample, normalize=alike)
    tell_repeats([run.repeats for run in runs if run.repeats], at)
    return runs, at


def _kinds(kind: str | Sequence[str] | None) -> Sequence[str]:
    return kinds_asked([kind] if isinstance(kind, str) else list(kind or ()))

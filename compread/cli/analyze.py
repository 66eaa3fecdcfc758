"""``compread analyze``."""

from __future__ import annotations

import sys

from compread.cli.options import FORMAT, POOL, SPLIT, STORES, Format, Pool, Split
from compread.cli.output import emit

EXAMPLE = "compread analyze stores/\ncompread analyze out.h5 --format json | jq '.runs[0].best'"


def analyze(
    stores: STORES,
    split: SPLIT = Split.test,
    pool: POOL = Pool.logsumexp,
    format: FORMAT = Format.table,
) -> None:
    """Summarise runs: full model, best, worst, categories.

    Heads, MLPs and whole mixers are counted, embed and bias never. A component is label-biased
    when it predicts one label on every row; else good when its accuracy is at least the full
    model's and its 95 % Wilson interval lies above chance; else bad when the interval lies below
    chance. Chance is the share of the most common right label for "above", and that of the least
    common one for "below": 1/K each on rows balanced over K labels.

    Best and worst are picked on the rows they are scored on (an oracle, as in the paper's Table
    1). Over several stores a mean and an sd row follow; sd is the population form (ddof 0), as in
    the paper's code.
    """
    from compread.analysis.runs import read_runs
    from compread.analysis.summary import mean_and_sd, summarize
    from compread.store import store_paths
    from compread.views.summary import summary_view

    runs = read_runs(store_paths(stores, sys.stdin), split.value, pool.value)
    rows = [summarize(run).row() for run in runs]
    summary = mean_and_sd(rows) if len(rows) > 1 else []
    document = {"runs": rows, "summary": summary}
    emit(document, summary_view(rows, summary, split.value), format.value)

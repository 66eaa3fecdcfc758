"""Everything that several runs show together, as named lists of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compread.analysis.categories import DEFAULT_RULES, Rules
from compread.analysis.runs import RunStats
from compread.analysis.summary import mean_and_sd, summarize
from compread.analysis.training import revision_name, training_rows
from compread.analysis.transfer import TOP, compare_runs, transfer_rows

LONG = ("layers", "pairs")
"""Lists that are left out unless they are named."""


def study(
    runs: Sequence[RunStats],
    rules: Rules = DEFAULT_RULES,
    top: int = TOP,
    names: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """The lists of ``compread analyze``; those named, or all but the long ones.

    runs a row a run · summary their mean and sd · layers categories by layer · transfer means
    over pairs of runs · training accuracy over the revisions of one model · pairs each pair of
    runs.
    """
    summaries = [summarize(run, rules) for run in runs]
    rows = [summary.row() for summary in summaries]
    pairs = compare_runs(runs, top)
    revisions = {revision_name(run.run) for run in runs}
    document = {
        "runs": rows,
        "summary": mean_and_sd(rows) if len(rows) > 1 else [],
        "layers": [row for summary in summaries for row in summary.layer_rows()],
        "transfer": transfer_rows(pairs),
        "training": training_rows(runs) if len(revisions) > 1 and _one_model(runs) else [],
        "pairs": [pair.row() for pair in pairs],
    }
    return {k: v for k, v in document.items() if (k in names if names else k not in LONG)}


def _one_model(runs: Sequence[RunStats]) -> bool:
    return len({run.run.model for run in runs}) == 1

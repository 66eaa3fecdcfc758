"""Everything that several runs show together, as named lists of rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from compread.analysis.categories import DEFAULT_RULES, Rules
from compread.analysis.runs import RunStats
from compread.analysis.summary import RunSummary, mean_and_sd, summarize
from compread.analysis.training import revision_name, training_rows
from compread.analysis.transfer import Compared, compare_runs, transfer_rows
from compread.options import MOST_PAIRS, NAMED_TABLES, TABLES, TOP_SET
from compread.store.gather import setting_names

RowDicts = list[dict[str, Any]]


def study(
    runs: Sequence[RunStats],
    rules: Rules = DEFAULT_RULES,
    top: int = TOP_SET,
    names: Sequence[str] = (),
    most_pairs: int | None = MOST_PAIRS,
) -> dict[str, RowDicts]:
    """The lists of ``compread analyze``; those named, or all but the long ones.

    runs a row a run · summary their mean and sd, of each setting
    (``setting_names``) · layers categories by layer · transfer means
    over pairs of runs · training accuracy over the revisions of one model · pairs each pair of
    runs. Of each kind of pairs at most ``most_pairs`` are compared (``compread.analysis.pairs``).
    """
    lists = _Lists(runs, rules, top, most_pairs)
    return {
        name: getattr(lists, name)
        for name in TABLES
        if (name in names if names else name not in NAMED_TABLES)
    }


class _Lists:
    """The lists of some runs, each made when it is asked for."""

    def __init__(
        self, runs: Sequence[RunStats], rules: Rules, top: int, most_pairs: int | None
    ) -> None:
        self._runs, self._rules, self._top, self._most = runs, rules, top, most_pairs

    @cached_property
    def _summaries(self) -> list[RunSummary]:
        return [summarize(run, self._rules) for run in self._runs]

    @cached_property
    def _compared(self) -> Compared:
        return compare_runs(self._runs, self._top, self._most)

    @cached_property
    def runs(self) -> RowDicts:
        return [summary.row() for summary in self._summaries]

    @property
    def summary(self) -> RowDicts:
        groups: dict[str | None, RowDicts] = {}
        settings = setting_names([run.info for run in self._runs])
        for setting, row in zip(settings, self.runs, strict=True):
            groups.setdefault(setting, []).append(row)
        several = ((of, rows) for of, rows in groups.items() if len(rows) > 1)
        return [row for of, rows in several for row in mean_and_sd(rows, of)]

    @property
    def layers(self) -> RowDicts:
        return [row for summary in self._summaries for row in summary.layer_rows()]

    @property
    def transfer(self) -> RowDicts:
        return transfer_rows(self._compared)

    @property
    def training(self) -> RowDicts:
        models = {run.info.model for run in self._runs}
        revisions = {revision_name(run.info) for run in self._runs}
        return training_rows(self._runs) if len(revisions) > 1 and len(models) == 1 else []

    @property
    def pairs(self) -> RowDicts:
        return [pair.row() for pair in self._compared.pairs]

"""The numbers behind what is looked at, read when they are asked for and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compread.analysis.categories import DEFAULT_RULES, Rules
from compread.analysis.examples import logit_differences, rivals
from compread.analysis.predictions import FULL, row_predictions
from compread.analysis.ranking import rank
from compread.analysis.runs import RunStats, read_runs
from compread.components import KINDS, Component
from compread.errors import CompreadError
from compread.options import DEFAULT_NORMALIZATION, DEFAULT_POOL, DEFAULT_SPLIT
from compread.store import open_store
from compread.text import printable
from compread.views.browse.sources import Source, run_name
from compread.views.rank import ranking_view
from compread.views.tables import Row, Table

if TYPE_CHECKING:
    from compread.reweight.fit import Fit

EXAMPLES = 25
"""Rows that a component is most for, and most against."""
FAILURES = (CompreadError, OSError, MemoryError)
"""What can go wrong with a store while it is read; the rest is looked at all the same."""


@dataclass(frozen=True)
class Asked:
    """What holds for everything that is shown."""

    split: str = DEFAULT_SPLIT
    pool: str = DEFAULT_POOL
    normalize: str = DEFAULT_NORMALIZATION
    rules: Rules = DEFAULT_RULES
    fits: Sequence[Fit] = ()
    """Whose weights stand beside the components; none where none are asked for."""
    method: str | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """The components of a source, the rows of ``rank`` in the order of the axis."""

    source: Source
    runs: tuple[RunStats, ...]
    full: Row
    """The full model."""
    rows: tuple[Row, ...]
    """[C]"""
    table: Table
    """The view of ``rank``: its columns and its note."""
    note: str = ""
    """Why there are no weights, where some were asked for."""

    @property
    def components(self) -> tuple[Component, ...]:
        """The component axis (length C)."""
        return self.runs[0].components


@dataclass(frozen=True)
class Example:
    """What one component says on one row."""

    run: str
    id: str
    gold: str
    prediction: str
    difference: float
    """Its logit difference (``compread.analysis.examples``): above 0 towards the right label."""
    text: str | None = None
    """What the row is about, where the store keeps it."""


@dataclass
class Reader:
    """Reads what is asked for, once."""

    asked: Asked = field(default_factory=Asked)
    _runs: dict[Path, RunStats] = field(default_factory=dict)
    _shown: dict[Source, Shown] = field(default_factory=dict)

    def read(self, source: Source, on: Callable[[int], bool] = lambda done: True) -> Shown | None:
        """The components of a source.

        Args:
            source: what to read.
            on: told how many runs are read; whether to go on.

        Returns:
            None where it was told to stop.

        Raises:
            CompreadError: a store is damaged, or has no rows in the split.
        """
        if source not in self._shown:
            for done, path in enumerate(source.paths):
                if not on(done):
                    return None
                self._read(path)
            self._shown[source] = self._rank(source)
        return self._shown[source]

    def examples(
        self,
        source: Source,
        scorer: str,
        on: Callable[[int], bool] = lambda done: True,
        most: int = EXAMPLES,
    ) -> list[Example] | None:
        """The rows that a component, or ``full``, is most for, then those it is most against.

        Args:
            source: whose rows.
            scorer: a component's name.
            on: as in ``read``.
            most: rows of each.

        Returns:
            None where it was told to stop.

        Raises:
            CompreadError: a store is damaged, or has no rows in the split.
        """
        found: list[Example] = []
        for done, path in enumerate(source.paths):
            if not on(done):
                return None
            found += self._examples(path, scorer, most)
        towards = sorted((e for e in found if e.difference > 0), key=lambda e: -e.difference)[:most]
        against = sorted((e for e in found if e.difference < 0), key=lambda e: e.difference)[:most]
        return [*towards, *reversed(against)]

    def _read(self, path: Path) -> None:
        if path not in self._runs:
            asked = self.asked
            (self._runs[path],) = read_runs(
                [path], asked.split, asked.pool, normalize=asked.normalize
            )

    def _rank(self, source: Source) -> Shown:
        runs = [self._runs[path] for path in source.paths]
        weights, note = None, ""
        if self.asked.fits:
            # What fits weights takes longer to import than the rest.
            from compread.reweight.select import mean_weights

            try:
                weights = mean_weights(self.asked.fits, runs, self.asked.method).values
            # The other columns are there all the same.
            except CompreadError as error:
                note = f"no weights: {error}"
        # Nothing is cross-fitted in this order, which is not shown.
        ranking = rank(runs, "margin", KINDS, rules=self.asked.rules)
        *ranked, full = ranking.rows(weights)
        (table,) = ranking_view([*ranked, full], runs, "accuracy", self.asked.split)
        axis = np.argsort(ranking.order).tolist()
        return Shown(source, tuple(runs), full, tuple(ranked[i] for i in axis), table, note)

    def _examples(self, path: Path, scorer: str, most: int) -> list[Example]:
        split = self.asked.split
        with open_store(path, self.asked.pool, self.asked.normalize) as store:
            said = row_predictions(store, split, [scorer, FULL])
            gold, ids = store.gold(split), store.axes.splits[split].id
            names = store.labels.titles
            own = store.answers(split) if store.axes.has_own_answers else ()
            texts, run = store.texts(split), run_name(store.run)
        full = said.logits[:, said.scorers.index(FULL)]
        found = logit_differences(said.logits[:, 0], gold, rivals(full, gold))
        order = np.argsort(-found, kind="stable")
        ends = [*order[:most], *order[max(most, len(order) - most) :]]
        return [
            Example(
                run=run,
                id=printable(str(ids[n])),
                gold=printable((own[n].text if own else names)[gold[n]]),
                prediction=printable((own[n].text if own else names)[said.choice[n, 0]]),
                difference=float(found[n]),
                text=printable(texts[n], "\n") if texts else None,
            )
            for n in ends
        ]

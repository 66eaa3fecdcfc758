"""The tables of ``analyze``: accuracies, then categories by kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compread.views.tables import Column, Row, Table

GROUPS = {"": "all", "head_": "heads", "mlp_": "MLPs", "mixer_": "mixers"}
CATEGORIES = ("good", "bad", "biased")
ORACLE = (
    "Best and worst are picked on the same rows they are scored on, as the oracles of the paper's "
    "Table 1: the best of many looks better than it is."
)
RULES = (
    "good: at least the full model's accuracy and above chance. bad: below chance (both beyond "
    "the 95 % interval). biased: one label on every row."
)
STORE = Column("store", justify="left", shorten="start")


def summary_view(runs: Sequence[Row], summary: Sequence[Row], split: str) -> list[Table]:
    """Two tables over the runs' rows, mean and sd below a rule where there are several runs."""
    accuracies = Table(
        [
            STORE,
            Column("n", drop=1),
            Column("full_accuracy", "full\nmodel", format=".3f"),
            Column("best", "best\npart", justify="left"),
            Column("best_accuracy", "its\naccuracy", format=".3f"),
            Column("worst", "worst\npart", justify="left"),
            Column("worst_accuracy", "its\naccuracy", format=".3f"),
        ],
        [runs, summary],
        title=f"Accuracy on the {split} rows",
        note=ORACLE,
    )
    groups = [prefix for prefix in GROUPS if any(row[_count(prefix)] for row in runs)]
    tally = _by_kind(runs[0], groups) if len(runs) == 1 else _by_store(runs, summary, groups)
    return [accuracies, tally]


def _by_kind(run: Row, groups: Sequence[str]) -> Table:
    """One run: a line a kind, counts and shares."""

    def count_and_share(name: str) -> Callable[[Row], str]:
        return lambda row: f"{row[f'{name}_count']} ({row[f'{name}_share']:.1%})"

    rows = []
    for prefix in groups:
        keys = [f"{name}_{what}" for name in CATEGORIES for what in ("count", "share")]
        values = {key: run[prefix + key] for key in keys}
        rows.append({"kind": GROUPS[prefix], "count": run[_count(prefix)], **values})
    columns = [Column("kind", "components", justify="left"), Column("count")]
    columns += [Column(f"{name}_share", name, format=count_and_share(name)) for name in CATEGORIES]
    return Table(columns, [rows], title="Components by category", note=RULES)


def _by_store(runs: Sequence[Row], summary: Sequence[Row], groups: Sequence[str]) -> Table:
    """Several runs: a line a run, the shares of each kind."""
    columns = [STORE] + [
        Column(f"{prefix}{name}_share", f"{GROUPS[prefix]}\n{name}", format=".1%", drop=i)
        for i, prefix in enumerate(groups)
        for name in CATEGORIES
    ]
    note = f"{RULES} sd: population form. Counts are in the other formats."
    return Table(columns, [runs, summary], title="Share of components by category", note=note)


def _count(prefix: str) -> str:
    return f"{prefix or 'component_'}count"

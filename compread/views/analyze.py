"""The tables of ``analyze``: accuracies, categories by kind and by layer, transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from compread.analysis.categories import COUNTED_KINDS
from compread.errors import option
from compread.views.rank import p_text
from compread.views.tables import MORE, Column, Row, Table, normalized

GROUPS = {"": "all", "head_": "heads", "mlp_": "MLPs", "mixer_": "mixers"}
CATEGORIES = ("good", "bad", "biased")
PICKED_NOTE = (
    "best, worst: picked on the same rows that it is scored on (an oracle), as in the paper's "
    "Table 1, so that the best looks better than it is. by chance: what such a pick shows when the "
    "right labels, or answers, are shuffled. crossfit: picked on half of the rows and scored on "
    "the other half. by train: picked on the train rows. p value: how often shuffled ones do as "
    "well."
)
PICKED_BRIEF = f"best by chance: what the best shows where labels are shuffled.{MORE}"
RULES = (
    "good: at least as accurate as the full model, and significantly above chance. bad: "
    "significantly below chance. biased: one label on every row, or one position where answers "
    "are the row's own. Significant is a permutation test whose corrected p-value is at most alpha."
)
RULES_BRIEF = f"good: as right as the full model, and above chance; bad: below.{MORE}"
TRANSFER = (
    "pearson, spearman: correlation of the components' accuracies in two runs, mean over the "
    "pairs. ceiling: the most that pearson can be, as so few rows are noisy; runs on the same rows "
    "share noise, which lifts it. agreement: pearson freed of noise, of one run on half of the "
    "rows and the other run on the other half, relative to two halves of one run: 0 if nothing is "
    "shared, 1 if all is. IoU: overlap of the top sets; halves: of one run's two halves. "
    "transferred: accuracy of the component that is best in the other run; oracle: of the run's "
    "own best."
)
TRANSFER_BRIEF = f"agreement: correlation freed of noise, 1 where all is shared.{MORE}"
CHANGE = (
    f"Row by row against the stores of {option('versus')}. q value: McNemar's exact test, "
    "corrected for the number of components (Benjamini-Hochberg); pairs of stores over the same "
    "rows are one test, over others they are combined by Cauchy's rule. Interval: Agresti and "
    "Min's for one pair of stores, of several with the variance over rows and pairs. The other "
    "formats have every component."
)
CHANGE_BRIEF = f"q value: McNemar's test, row by row, corrected for many tests.{MORE}"
STORE = Column("store", justify="left", shorten="start")


def summary_view(document: Mapping[str, Sequence[Row]], split: str) -> list[Table]:
    """The tables of the lists that the document has, mean and sd below a rule."""
    runs, summary = document.get("runs", ()), document.get("summary", ())
    tables: list[Table] = []
    if scored := runs or summary:
        groups = [prefix for prefix in GROUPS if any(row[_count(prefix)] for row in scored)]
        few = len(runs) == 1
        tally = _by_kind(runs[0], groups) if few else _by_store(runs, summary, groups)
        tables += [_accuracies(runs, summary, split), tally]
    for name, view in VIEWS.items():
        if document.get(name):
            tables.append(view(document[name]))
    return tables


def _accuracies(runs: Sequence[Row], summary: Sequence[Row], split: str) -> Table:
    columns = [
        STORE,
        Column("n", drop=2),
        Column("full_accuracy", "full\naccuracy", format=".3f"),
        Column("best", justify="left"),
        Column("best_accuracy", "best\naccuracy", format=".3f"),
        Column("best_by_chance_accuracy", "best by\nchance", format=".3f", drop=1),
        Column("best_p_value", "p\nvalue", format=lambda row: p_text(row["best_p_value"]), drop=5),
        Column("best_crossfit_accuracy", "best\ncrossfit", format=".3f"),
        Column("best_by_train_accuracy", "best by\ntrain", format=".3f", drop=1),
        Column("worst", justify="left", drop=1, group="worst"),
        Column("worst_accuracy", "worst\naccuracy", format=".3f", drop=1, group="worst"),
        Column("worst_by_chance_accuracy", "worst by\nchance", format=".3f", drop=3),
        Column("worst_crossfit_accuracy", "worst\ncrossfit", format=".3f", drop=4),
    ]
    title = f"Accuracy on the {split} rows: full model, best and worst component"
    title += normalized((runs or summary)[0].get("normalize"))
    return Table(columns, _blocks(runs, summary), title=title, note=PICKED_NOTE, brief=PICKED_BRIEF)


def _by_kind(run: Row, groups: Sequence[str]) -> Table:
    """One run: a line a kind, counts and shares."""
    rows = []
    for prefix in groups:
        keys = [f"{name}_{what}" for name in CATEGORIES for what in ("count", "share")]
        values = {key: run[prefix + key] for key in keys}
        rows.append({"kind": GROUPS[prefix], "count": run[_count(prefix)], **values})
    columns = [Column("kind", "components", justify="left"), Column("count")]
    columns += [Column(f"{name}_share", name, format=_count_share(name)) for name in CATEGORIES]
    return Table(columns, [rows], title="Components by category", note=RULES, brief=RULES_BRIEF)


def _by_store(runs: Sequence[Row], summary: Sequence[Row], groups: Sequence[str]) -> Table:
    """Several runs: a line a run, the shares of each kind."""
    columns = [STORE] + [
        Column(
            f"{prefix}{name}_share",
            f"{GROUPS[prefix]}\n{name}",
            format=".1%",
            drop=i,
            group=GROUPS[prefix],
        )
        for i, prefix in enumerate(groups)
        for name in CATEGORIES
    ]
    note = f"{RULES} sd: population form. Counts are in the other formats."
    title = "Share of components by category"
    return Table(columns, _blocks(runs, summary), title=title, note=note, brief=RULES_BRIEF)


def _blocks(*lists: Sequence[Row]) -> list[Sequence[Row]]:
    """Those that have rows."""
    return [rows for rows in lists if rows]


def _layers(rows: Sequence[Row]) -> Table:
    columns = [STORE, Column("layer"), Column("component_count", "component\ncount")]
    columns += [Column(f"{name}_share", name, format=_count_share(name)) for name in CATEGORIES]
    title = "Components by category and layer"
    return Table(columns, [rows], title=title, note=RULES, brief=RULES_BRIEF)


def _transfer(rows: Sequence[Row]) -> Table:
    columns = [
        Column("pair_kind", "pair\nkind", justify="left"),
        Column("task", justify="left", shorten="end"),
        Column("pairs", drop=2),
        Column("agreement", format=".2f"),
        Column("pearson", format=".2f", drop=1),
        Column("ceiling", format=".2f", drop=1),
        Column("spearman", format=".2f", drop=3),
        Column("iou", "IoU", format=".2f", drop=1),
        Column("iou_halves", "IoU\nhalves", format=".2f", drop=3),
        Column("full", format=".3f", drop=1),
        Column("transferred", format=".3f"),
        Column("oracle", format=".3f"),
    ]
    title = "Transfer: how component accuracies agree between runs that differ in one thing"
    told = _drawn(rows)
    return Table(columns, [rows], title, note=TRANSFER + told, brief=TRANSFER_BRIEF + told)


def _drawn(rows: Sequence[Row]) -> str:
    """Of which kinds not all pairs were compared; the last row of a kind is of all its tasks."""
    whole = {row["pair_kind"]: row for row in rows}
    told = [
        f"{row['pairs']:,} of the {row['pairs_found']:,} pairs that differ in {kind}"
        for kind, row in whole.items()
        if row["pairs"] < row["pairs_found"]
    ]
    return (
        f" Drawn at random: {', '.join(told)}; {option('pairs', 'all')} compares every one."
        if told
        else ""
    )


def _pairs(rows: Sequence[Row]) -> Table:
    columns = [
        STORE,
        Column("other", justify="left", shorten="start"),
        Column("pair_kind", "pair\nkind", justify="left", drop=1),
        Column("pearson", format=".2f"),
        Column("ceiling", format=".2f", drop=1),
        Column("spearman", format=".2f"),
        Column("iou", "IoU", format=".2f"),
    ]
    title = "Every two runs, by what they differ in"
    return Table(columns, [rows], title=title, note=TRANSFER, brief=TRANSFER_BRIEF)


def _training(rows: Sequence[Row]) -> Table:
    columns = [Column("task", justify="left"), Column("revision", justify="left", shorten="start")]
    columns.append(Column("prompts"))
    for name in ("full", "best", "best_at_last", "worst"):
        columns.append(Column(name, name.replace("_", " "), format=_mean_sd(name)))
    note = (
        "Mean over the prompts (population sd). best, worst: oracles at each revision; best at "
        "last: the component that is best at the last revision, followed back."
    )
    return Table(columns, [rows], title="Accuracy over training", note=note)


def change_view(rows: Sequence[Row], top: int) -> list[Table]:
    """The full model's change, then those of the components that change most."""
    *parts, full = rows
    parts = [row for row in parts if row["kind"] in COUNTED_KINDS]
    most = sorted(parts, key=lambda row: -abs(row["change"]))[:top]
    columns = [
        Column("component", justify="left"),
        Column("kind", justify="left", drop=1),
        Column("before", format=".3f"),
        Column("after", format=".3f"),
        Column("change", "change\n[95 % interval]", format=_change_interval),
        Column("q_value", "q\nvalue", format=lambda row: p_text(row["q_value"])),
    ]
    pairs = full["pairs"]
    over = f", mean of {pairs} pairs of stores" if pairs > 1 else ""
    title = f"Change of accuracy{over}: {len(most)} of {len(parts)} components"
    title += normalized(full.get("normalize"))
    return [Table(columns, [[full], most], title=title, note=CHANGE, brief=CHANGE_BRIEF)]


VIEWS: dict[str, Callable[[Sequence[Row]], Table]] = {
    "layers": _layers,
    "transfer": _transfer,
    "training": _training,
    "pairs": _pairs,
}
"""The view of each further list of a document."""


def _count_share(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[f'{name}_count']} ({row[f'{name}_share']:.1%})"


def _mean_sd(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:.3f} ({row[f'{name}_sd']:.3f})"


def _change_interval(row: Row) -> str:
    return f"{row['change']:+.3f} [{row['change_low']:+.2f}, {row['change_high']:+.2f}]"


def _count(prefix: str) -> str:
    return f"{prefix or 'component_'}count"

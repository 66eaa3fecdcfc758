"""The method study: every reweighting method on a folder of stores, labels even and skewed.

    python tests/benchmarks/reweight_study.py STORES [--methods ...] [--share 0.8] [--by-task]

Two tables of mean accuracy over tasks in %, at each number of train rows: on the test rows as they
are, and on test rows of which a share has one label, drawn twice with each label as that one. Of
every method they have what the default gains over it, with 95 % intervals over tasks (Student's t
over the tasks' means, runs of one task not being independent). --by-task prints each task's means
too, and what the default loses to the full model on its worst task is said below. Unfinished stores
are left out and counted. The stores of the ten tasks in ``compread/docs/reweighting.md`` come from

    compread extract --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype float32 --templates all \
        --seeds 0 --n-train 60 --limit 300 --data-dir DATA -o STORES --tasks \
        sst2,qqp,rte,arc_easy,wic,mnli,ag_news,yelp_polarity,boolq,boolq_contrast

(and ``--templates review-sentiment --seeds 1`` of sst2; the template ``cloze`` of arc_easy, whose
rows have answers of their own, was left out.) Tasks of
which something was chosen are no evidence: the two forms of the default were designed on DESIGN.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from compread.reweight.fit import Fit, reweight
from compread.reweight.registry import DEFAULT, METHODS, make_methods
from compread.reweight.results import compare
from compread.reweight.rows import Rows, rows_of
from compread.store import Store, open_store
from compread.store.paths import store_paths
from compread.store.states import unfinished
from compread.views.render import render
from compread.views.tables import Column, Table

DESIGN = (
    "sst2", "qqp", "rte", "arc_easy", "wic", "clickbait", "cr", "fin_phrases", "mpqa", "scicite",
    "sick", "subj", "tw_irony",
)  # fmt: skip
BUDGETS = (8, 20, 60)
PROMPTED = ("cc", "dc")
"""Methods that read content-free prompts, which most stores lack."""
RECIPES = ("comprw:paper", "comprw:convex")
DRAWS = 2
"""Of the other labels' rows, for each label that is the frequent one."""

Accuracies = dict[tuple[str, int], dict[tuple[str, str], float]]
"""By method and train rows, then by task and store."""


def subsets(gold: np.ndarray, labels: int, share: float) -> Iterator[np.ndarray]:
    """Rows of which ``share`` have one label, for each label, the others' drawn by a fixed seed."""
    rng = np.random.default_rng(0)
    for label in range(labels):
        own, others = np.flatnonzero(gold == label), np.flatnonzero(gold != label)
        count = round(len(own) * (1 - share) / share)
        for _ in range(DRAWS):
            yield np.sort(np.r_[own, rng.choice(others, count, replace=False)])


def measure(store: Store, fits: Sequence[Fit], share: float) -> tuple[list[float], list[float]]:
    """Accuracy of each fit on a store's test rows, and on those whose labels are skewed."""
    split = store.split("test")
    rows, gold = rows_of(split, store.components), split.gold
    skewed = list(subsets(gold, rows.full.shape[1], share))
    whole = np.arange(len(gold))
    known: dict[int, list[float]] = {}
    found = []
    for fit in fits:
        if id(fit.fitted) not in known:
            known[id(fit.fitted)] = [_right(fit, rows, gold, ix) for ix in (whole, *skewed)]
        found.append(known[id(fit.fitted)])
    return [one[0] for one in found], [float(np.mean(one[1:])) for one in found]


def _right(fit: Fit, rows: Rows, gold: np.ndarray, chosen: np.ndarray) -> float:
    some = replace(rows, parts=rows.parts[chosen], full=rows.full[chosen])
    return float((fit.fitted.scores(some).argmax(axis=1) == gold[chosen]).mean())


def table(title: str, accuracies: Accuracies) -> Table:
    """A line for each method: its means, and what the default gains over it."""
    budgets = sorted({n for _, n in accuracies})
    lines = []
    for method in dict.fromkeys(method for method, _ in accuracies):
        line = {"method": method}
        for n in budgets:
            ours, theirs = accuracies[DEFAULT, n], accuracies[method, n]
            line[f"{n}"] = f"{100 * _over_tasks(theirs):.1f}"
            found = compare({run: ours[run] - share for run, share in theirs.items()})
            if method != DEFAULT:
                line[f"gain {n}"] = f"{100 * found['difference']:+.1f}" + (
                    ""
                    if found["low"] is None
                    else f" ({100 * found['low']:.1f} to {100 * found['high']:.1f})"
                )
        lines.append(line)
    columns = [Column("method", justify="left"), *(Column(f"{n}") for n in budgets)]
    columns += [Column(f"gain {n}", f"{DEFAULT} gains\nat {n} rows") for n in budgets]
    return Table(columns, [lines], title=title)


def _over_tasks(shares: dict[tuple[str, str], float]) -> float:
    by_task: dict[str, list[float]] = defaultdict(list)
    for (task, _), share in shares.items():
        by_task[task].append(share)
    return float(np.mean([np.mean(of) for of in by_task.values()]))


def by_task(title: str, accuracies: Accuracies) -> Iterator[Table]:
    """A table for each number of train rows: tasks by methods."""
    methods = list(dict.fromkeys(method for method, _ in accuracies))
    for n in sorted({n for _, n in accuracies}):
        tasks = dict.fromkeys(task for task, _ in accuracies[DEFAULT, n])
        lines = []
        for task in tasks:
            of = {m: {k: v for k, v in accuracies[m, n].items() if k[0] == task} for m in methods}
            means = {m: f"{100 * _over_tasks(shares):.1f}" for m, shares in of.items()}
            lines.append({"task": task, **means})
        columns = [Column("task", justify="left"), *map(Column, methods)]
        yield Table(columns, [lines], title=f"{title}, {n} train rows")


def worst(accuracies: Accuracies) -> Iterator[str]:
    """What the default loses to the full model on its worst task."""
    for n in sorted({n for method, n in accuracies if method == "full"}):
        losses: dict[str, list[float]] = defaultdict(list)
        for run, share in accuracies[DEFAULT, n].items():
            losses[run[0]].append(share - accuracies["full", n][run])
        task, loss = min(((t, float(np.mean(of))) for t, of in losses.items()), key=lambda x: x[1])
        yield f"{DEFAULT} - full at {n} rows, worst task: {100 * loss:+.1f} ({task})"


def main() -> None:
    """Fit everything, store by store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="+")
    every = ",".join((*(name for name in METHODS if name not in PROMPTED), *RECIPES))
    parser.add_argument("--methods", default=every)
    parser.add_argument("--n-train", default=",".join(map(str, BUDGETS)))
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--by-task", action="store_true")
    options = parser.parse_args()
    methods = make_methods([*options.methods.split(","), DEFAULT], "official")
    budgets = tuple(map(int, options.n_train.split(",")))
    folders = [name for name in options.stores if Path(name).is_dir()]
    paths, partial = store_paths(options.stores), len(unfinished(folders))
    print(f"{len(paths)} finished stores, {partial} unfinished left out", file=sys.stderr)
    even: Accuracies = defaultdict(dict)
    skewed: Accuracies = defaultdict(dict)
    runs: Counter[str] = Counter()
    seconds = 0.0
    for path in paths:
        with open_store(path, "logsumexp") as store:
            fits = reweight([store], methods, budgets)
            for fit, one, other in zip(fits, *measure(store, fits, options.share), strict=True):
                key = fit.title, len(fit.train_ids)
                even[key][fit.run.task, fit.store] = one
                skewed[key][fit.run.task, fit.store] = other
            runs[store.run.task] += 1
            start = time.perf_counter()
            reweight([store], make_methods([DEFAULT], "official"), budgets[-1:])
            seconds = max(seconds, time.perf_counter() - start)
    tables = []
    for name, found in (("labels even", even), (f"{options.share:.0%} have one label", skewed)):
        title = f"{len(runs)} tasks, {sum(runs.values())} runs, {name}"
        tables += [table(title, found), *(by_task(name, found) if options.by_task else ())]
    print(render({}, tables, width=160))
    print("\n".join(worst(even)))
    design = [task for task in runs if task in DESIGN]
    print(f"{DEFAULT} was designed on {', '.join(design) or 'none of these'}")
    print(f"the slowest fit of {DEFAULT} on {budgets[-1]} rows: {seconds:.2f} s")


if __name__ == "__main__":
    main()

"""The method study: every reweighting method on the tasks of a folder of stores.

    python tests/benchmarks/reweight_study.py STORES [--design-only] [--methods ...]

The stores come from

    compread extract --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype float32 --templates all \
        --seeds 0-4 --n-train 60 --limit 300 --data-dir DATA -o STORES --tasks \
        sst2,qqp,rte,arc_easy,wic,boolq,mnli,ag_news,yelp_polarity,boolq_contrast

(For the README's table 50 of the 150 stores were made so, seed 0 of every task among them, and the
others with --dtype bfloat16, which moves a method's accuracy on one run by up to three points
either way.)

Tasks in DESIGN are those that the default method was designed on; all others are held out. For
either half: mean accuracy of tasks and methods at 8, 20 and 60 train rows (12, 24 and 64 labels
with the demonstrations of a prompt), the paired test of the default against CompRW and against
batch calibration, what it loses to the full model on its worst task, and the time of a fit.
Unfinished stores are left out and counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from compread.reweight.fit import Fit, reweight
from compread.reweight.registry import DEFAULT, make_methods
from compread.reweight.results import document, versus
from compread.store import Store, open_store
from compread.views.render import render
from compread.views.reweight import reweight_view

DESIGN = ("sst2", "qqp", "rte", "arc_easy", "wic")
BUDGETS = (8, 20, 60)
METHODS = (
    "full,calib+,bc,bc-prob,bc-train,procal,linc,affine,best-one,vote,centroid,unibias,tr,tl,"
    "comprw,comprw:paper,comprw:convex,blend-row,blend"
)


def report(title: str, fits: Sequence[Fit], n_stores: int) -> None:
    """Print everything about one half of the tasks."""
    found = document(fits)
    by_task = found["summary"]
    print(f"\n=== {title}: {n_stores} stores, {dict(Counter(f.run.task for f in _of(fits)))}\n")
    print(render(found, reweight_view(found), width=100))
    for other in ("comprw", "bc"):
        if other not in {fit.title for fit in fits}:
            continue
        for row in versus(fits, other):
            if row["method"] == DEFAULT:
                interval = "-" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
                p = "-" if row["p"] is None else f"{row['p']:.4f}"
                print(
                    f"{DEFAULT} - {other} at {row['n_train']}: {row['difference']:+.4f} "
                    f"({interval}; p {p}; {row['tasks_won']} of {row['tasks']} tasks)"
                )
    for n_train in BUDGETS:
        losses = {
            row["task"]: row["accuracy"] - _accuracy(by_task, row["task"], "full", n_train)
            for row in by_task
            if row["method"] == DEFAULT and row["n_train"] == n_train
        }
        if not losses:
            continue
        worst = min(losses, key=losses.__getitem__)
        print(f"{DEFAULT} - full at {n_train}, worst task: {losses[worst]:+.4f} ({worst})")


def _of(fits: Sequence[Fit]) -> list[Fit]:
    """One fit for each run."""
    return [f for f in fits if f.title == fits[0].title and len(f.train_ids) == BUDGETS[0]]


def _accuracy(rows: Sequence[dict], task: str, method: str, n_train: int) -> float:
    return next(
        row["accuracy"]
        for row in rows
        if (row["task"], row["method"], row["n_train"]) == (task, method, n_train)
    )


def time_of_a_fit(store: Store) -> float:
    """Seconds of the default method on one store's 60 rows, reading and scoring included."""
    start = time.perf_counter()
    reweight([store], make_methods([DEFAULT], "official"), (BUDGETS[-1],))
    return time.perf_counter() - start


def main() -> None:
    """Fit everything, design tasks first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", type=Path)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--design-only", action="store_true")
    options = parser.parse_args()
    methods = make_methods(options.methods.split(","), "official")
    partial = len(list(options.stores.glob("*.partial")))
    with ExitStack() as opened:
        stores = [
            opened.enter_context(open_store(path)) for path in sorted(options.stores.glob("*.h5"))
        ]
        print(f"{len(stores)} finished stores, {partial} unfinished left out", file=sys.stderr)
        halves = {"design": [s for s in stores if s.run.task in DESIGN]}
        if not options.design_only:
            halves["held out"] = [s for s in stores if s.run.task not in DESIGN]
        for title, some in halves.items():
            if some:
                report(title, reweight(some, methods, BUDGETS), len(some))
        print(f"\none fit of {DEFAULT} on 60 rows: {time_of_a_fit(stores[0]):.3f} s")


if __name__ == "__main__":
    main()

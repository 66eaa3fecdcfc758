"""Which runs are compared with which, and what two runs differ in.

Pairs are averaged by what the two runs differ in, and in nothing else:

    demonstrations  seed, shots or labels of the demonstrations     30 for 5 seeds × 3 templates
    template        two templates, the same demonstrations          15
    contrast        a template and its minimal edit                  5, one edited template
    task            two tasks, the same seed
    revision        two checkpoints of one model
    model           two models

A template that is an edit of another stands in contrast pairs alone, as in the paper's Table 2.

A thousand runs have half a million pairs. Of each kind at most a given number is compared, drawn at
random with a fixed seed, each pair with the same chance: their means are those of all pairs, but
for chance.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.analysis.runs import RunStats
from compread.array_types import Bools
from compread.options import MOST_PAIRS
from compread.store.schema import RunInfo

PAIR_KINDS = ("demonstrations", "template", "contrast", "task", "revision", "model")


@dataclass(frozen=True, eq=False)
class Chosen:
    """The pairs of some runs that are compared."""

    pairs: tuple[tuple[int, int, str | None], ...]
    """Positions of both runs, in the order of the runs, and the kind; None: they differ in more."""
    found: dict[tuple[str, str], int]
    """Pairs that there are of each kind, by the names of their tasks (``task_names``)."""


def choose_pairs(runs: Sequence[RunStats], most: int | None = MOST_PAIRS, seed: int = 0) -> Chosen:
    """Every two runs that share their component axis, at most ``most`` of a kind; None: all."""
    rng = np.random.default_rng(seed)
    kinds = pair_kinds([run.info for run in runs])
    one_axis = ~_unlike([run.components for run in runs])
    above = np.triu(one_axis, 1)
    tasks = [run.info.task for run in runs]
    chosen, found = [], {}
    for kind in (*range(len(PAIR_KINDS)), -1):
        at = np.flatnonzero(above & (kinds == kind))
        if kind >= 0:
            for name, n in _by_task(at, tasks):
                found[PAIR_KINDS[kind], name] = n
        if most is not None and len(at) > most:
            at = rng.choice(at, most, replace=False)
        chosen.append(at)
    order = np.sort(np.concatenate(chosen))
    numbers = (divmod(int(at), len(runs)) for at in order)
    return Chosen(tuple((i, j, _name(kinds[i, j])) for i, j in numbers), found)


def pair_kinds(runs: Sequence[RunInfo]) -> npt.NDArray[np.int8]:
    """[R, R] the kind of each two of R runs as its place in ``PAIR_KINDS``; -1 for none."""
    identities = [_identity(run) for run in runs]
    differ = {name: _unlike([i[name] for i in identities]) for name in identities[0]}
    in_one = np.sum(list(differ.values()), axis=0) == 1
    kinds = np.full(in_one.shape, -1, np.int8)
    for name in ("demonstrations", "template", "revision", "model"):
        kinds[in_one & differ[name]] = PAIR_KINDS.index(name)
    edited, edits = _edits(runs)
    kinds[edited[:, None] | edited] = -1
    kinds[in_one & differ["template"] & edits] = PAIR_KINDS.index("contrast")
    # Two tasks have no template in common, and may want different numbers of shots.
    same = ~(_unlike([run.seed for run in runs]) | differ["revision"] | differ["model"])
    across = same & ~differ["dtype"]
    kinds[differ["task"]] = -1
    kinds[differ["task"] & across] = PAIR_KINDS.index("task")
    return kinds


def demonstrations_key(info: RunInfo) -> tuple[Any, ...]:
    """What the demonstrations of a run depend on, the task and template apart."""
    labels = info.protocol.get("demo_labels")
    chosen = info.protocol.get("prompt_selection", "fixed")
    return info.seed, info.shots, None if labels is None else tuple(labels), chosen


def task_names(one: str, other: str) -> str:
    """The tasks of a pair, in one name."""
    return " / ".join(sorted({one, other}))


def _identity(info: RunInfo) -> dict[str, Hashable]:
    revision = info.checkpoint or info.revision
    return {
        "task": info.task,
        "template": info.template,
        "demonstrations": demonstrations_key(info),
        "revision": revision,
        "model": info.model if revision else (info.model, info.fingerprint),
        "dtype": info.dtype,
    }


def _edits(runs: Sequence[RunInfo]) -> tuple[Bools, Bools]:
    """[R] whose template is an edit, and [R, R] which two are a template and its edit."""
    sources = [run.protocol.get("contrast_of") or None for run in runs]
    edited = np.array([source is not None for source in sources])
    codes = _codes([*sources, *(run.template for run in runs)])
    source, template = np.split(codes, 2)
    edits = edited[:, None] & ~edited & (source[:, None] == template)
    return edited, edits | edits.T


def _codes(values: Iterable[Hashable]) -> npt.NDArray[np.int64]:
    """A number for each value, the same for equal ones."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values])


def _unlike(values: Iterable[Hashable]) -> Bools:
    codes = _codes(values)
    return np.asarray(codes[:, None] != codes)


def _by_task(at: npt.NDArray[np.int64], tasks: Sequence[str]) -> Iterable[tuple[str, int]]:
    """How many pairs, by their place in the flat [R, R], there are of each two tasks."""
    codes = _codes(tasks)
    name = dict(zip(codes.tolist(), tasks, strict=True))
    both = np.sort(np.stack([codes[at // len(tasks)], codes[at % len(tasks)]]), axis=0)
    of, counts = np.unique(both, axis=1, return_counts=True)
    return [(task_names(name[a], name[b]), n) for (a, b), n in zip(of.T, counts.tolist())]  # noqa: B905


def _name(kind: int) -> str | None:
    return PAIR_KINDS[kind] if kind >= 0 else None

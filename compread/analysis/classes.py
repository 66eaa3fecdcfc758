"""One label axis for several runs: templates of a task may ask for other words.

Classes are told apart by their names, or by their words where each word is its own class. Runs with
the same names, in whatever order, are laid over one another by name. Else the columns are taken in
order, which is that of a task's labels: of one task they are headed by all the words of a column
(``negative/sad``), of several by ``class 0``, ``class 1`` and so on, as there they mean nothing in
common. Accuracies, margins and tests want no names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compread.analysis.choices import Choices, RowChoices
from compread.analysis.components import Scores
from compread.analysis.runs import RunStats
from compread.array_types import Ints
from compread.errors import StoreError
from compread.store.schema import Labels

WORDS = 3
"""How many of a column's words head it."""


@dataclass(frozen=True)
class Classes:
    """The label axis of several runs."""

    names: tuple[str, ...]
    """[K] what heads each column."""
    classes: tuple[str, ...]
    """[K] what each class is called in every run; what heads it where the runs differ."""
    columns: tuple[tuple[int, ...], ...]
    """For each run [K]: which of its columns stands for each class."""
    by_name: bool
    """Whether the classes have the same names in every run; else they are matched by position."""

    def labels(self, token_id: tuple[int, ...]) -> Labels:
        """The axis as labels, with the tokens [K] of one of the runs."""
        return Labels(self.names, token_id, self.classes)


def common_classes(labels: Sequence[Labels], tasks: Sequence[str], paths: Sequence[str]) -> Classes:
    """How the labels of several runs correspond.

    Of labels ``bad, good`` and ``No, Yes`` of one task the names are ``bad/No`` and ``good/Yes``.

    Args:
        labels: of each run.
        tasks: of each run.
        paths: of each run's store, for messages.

    Raises:
        StoreError: they differ in their number of classes.
    """
    first = labels[0].word
    in_order = tuple(range(len(first)))
    for other, path in zip(labels, paths, strict=True):
        if len(other.word) != len(first):
            raise StoreError(
                f"{paths[0]} has {len(first)} labels ({_listed(first)}) and {path} has "
                f"{len(other.word)} ({_listed(other.word)}): accuracies of other chance levels are "
                "not averaged; give runs of as many labels, or `compread analyze`, which keeps "
                "runs apart"
            )
    for named in ([of.class_names for of in labels], [of.word for of in labels]):
        if (columns := _by_name(named)) is not None:
            alike = all(
                _same_words(of, labels[0], at) for of, at in zip(labels, columns, strict=True)
            )
            names = first if alike else labels[0].class_names
            return Classes(names, _called(names, labels, columns), columns, by_name=True)
    by_name = all(of.word == first for of in labels)
    if by_name:
        names = first
    elif len(set(tasks)) > 1:
        names = tuple(f"class {k}" for k in in_order)
    else:
        names = tuple(_joined([of.word[k] for of in labels]) for k in in_order)
    columns = (in_order,) * len(labels)
    return Classes(names, _called(names, labels, columns), columns, by_name)


def _by_name(named: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...] | None:
    """For each run the columns of the first one's names; None where a run has other names."""
    keys = [tuple(map(_key, names)) for names in named]
    same = keys[0]
    if len(set(same)) < len(same) or any(set(of) != set(same) for of in keys):
        return None
    return tuple(tuple(of.index(key) for key in same) for of in keys)


def _same_words(labels: Labels, others: Labels, columns: Sequence[int]) -> bool:
    words = (labels.word[k] for k in columns)
    return all(_key(a) == _key(b) for a, b in zip(words, others.word, strict=True))


def _called(
    names: Sequence[str], labels: Sequence[Labels], columns: Sequence[Sequence[int]]
) -> tuple[str, ...]:
    """[K] the classes' own names, where all runs have the same one."""
    found = []
    for k, name in enumerate(names):
        own = {of.class_name[column[k]] for of, column in zip(labels, columns, strict=True)}
        found.append(own.pop() if len(own) == 1 else name)
    return tuple(found)


def classes_of(runs: Sequence[RunStats]) -> Classes:
    """How the labels of some runs correspond; see ``common_classes``."""
    labels, tasks = [run.labels for run in runs], [run.info.task for run in runs]
    return common_classes(labels, tasks, [run.path for run in runs])


def on_common_classes(runs: Sequence[RunStats]) -> list[RunStats]:
    """The runs with one label axis.

    Raises:
        StoreError: they differ in their number of classes.
    """
    if len(runs) == 1:
        return list(runs)
    classes = classes_of(runs)
    labels = classes.labels(runs[0].labels.token_id)
    return [_on(run, labels, of) for run, of in zip(runs, classes.columns, strict=True)]


def _on(run: RunStats, labels: Labels, columns: tuple[int, ...]) -> RunStats:
    """The run with ``labels``; ``columns`` [K] are where they stand in it."""
    if columns == tuple(range(len(columns))):
        return replace(run, labels=labels)
    order, place = np.array(columns), np.argsort(columns)

    def scores(of: Scores) -> Scores:
        return replace(of, predicted=of.predicted[:, order])

    stats = replace(
        run.stats,
        parts=scores(run.stats.parts),
        full=scores(run.stats.full),
        gold_share=run.stats.gold_share[order],
    )
    rows = None if run.rows is None else _turned(run.rows, place)
    return replace(run, labels=labels, stats=stats, rows=rows)


def _turned(rows: RowChoices, place: Ints) -> RowChoices:
    """The rows with label k as ``place[k]``; with other right labels they are other rows."""

    def turned(choices: Choices) -> Choices:
        return Choices.pack(place[choices.unpack()].astype(np.int16), len(place))

    key = f"{rows.key} {place.tolist()}"
    return RowChoices(key, place[rows.gold], turned(rows.parts), turned(rows.full))


def _key(word: str) -> str:
    return word.strip().casefold()


def _joined(words: Sequence[str]) -> str:
    once = list({_key(word): word.strip() for word in reversed(words)}.values())[::-1]
    return "/".join([*once[:WORDS], *(["…"] if len(once) > WORDS else [])])


def _listed(words: Sequence[str]) -> str:
    return ", ".join(word.strip() for word in words[:4]) + (", …" if len(words) > 4 else "")

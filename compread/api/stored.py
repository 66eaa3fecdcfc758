"""One split of one store: what it says of itself, and its arrays when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from compread.analysis.predictions import largest
from compread.analysis.runs import check_rows
from compread.array_types import Ints
from compread.components import Component
from compread.errors import StoreError, UsageError
from compread.store import Labels, RowAnswers, RunInfo, Split, Store, open_store
from compread.text import did_you_mean, model_name


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One split of one store; a folder of a thousand is opened without reading their numbers."""

    path: Path
    split: str
    pool: str | None
    normalize: str
    info: RunInfo
    components: tuple[Component, ...]
    labels: Labels
    """What the columns stand for: classes, or words where nothing is pooled."""
    texts: tuple[str, ...]
    """[K] the exact words of each label, several of one class with ``|`` between them."""
    ids: tuple[str, ...]
    """[N]"""
    answers: tuple[RowAnswers, ...] = ()
    """[N] where each row has answers of its own, those; else empty."""

    @classmethod
    def read(cls, path: Path, split: str, pool: str | None, normalize: str) -> StoredRun:
        """What a store says of itself.

        Raises:
            UsageError: the split has no rows.
            StoreError: the store is missing, unfinished, damaged or foreign, or has no such split.
        """
        with open_store(path, pool, normalize) as store:
            check_rows(store, split)
            return cls(
                path,
                split,
                pool,
                normalize,
                store.run,
                store.components,
                store.labels,
                _texts(store),
                tuple(store.axes.splits[split].id),
                store.answers(split) if store.axes.has_own_answers else (),
            )

    @cached_property
    def data(self) -> Split:
        """The split's arrays, read once.

        Raises:
            StoreError: the numbers are damaged, or the file is another than the one opened.
        """
        with self._opened() as store:
            return store.split(self.split)

    @cached_property
    def row_texts(self) -> tuple[str, ...]:
        """[N] the text of each row; empty where the store keeps none.

        Raises:
            StoreError: the texts are damaged, or the file is another than the one opened.
        """
        with self._opened() as store:
            return store.texts(self.split)

    @cached_property
    def predictions(self) -> Ints:
        """[N, C] the label of each component's largest contribution, the first among equals."""
        return largest(self.data.parts)

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        with open_store(self.path, self.pool, self.normalize) as store:
            if store.run != self.info:
                raise StoreError(f"{self.path} was replaced by another run since: open it again")
            yield store

    def position(self, component: str) -> int:
        """Where a component stands on the axis.

        Raises:
            UsageError: the model has none of that name; the nearest is named.
        """
        names = [one.name for one in self.components]
        if component not in names:
            raise UsageError(
                f"there is no component {component!r}: {did_you_mean(component, names)}"
                f"{model_name(self.info.model)} has {len(names)}, {names[0]} to {names[-1]}"
            )
        return names.index(component)

    def row(self) -> dict[str, Any]:
        """What names it, as a row."""
        info = self.info
        return {
            "task": info.task,
            "template": info.template,
            "seed": info.seed,
            "shots": info.shots,
            "model": info.model,
            "split": self.split,
            "rows": len(self.ids),
            "components": len(self.components),
            "labels": "/".join(self.labels.names),
            "store": str(self.path),
        }


def _texts(store: Store) -> tuple[str, ...]:
    if store.pooling is None:
        return store.labels.word
    words = store.axes.labels
    return tuple(
        "|".join(w for w, of in zip(words.word, words.class_name, strict=True) if of == name)
        for name in words.classes
    )

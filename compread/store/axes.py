"""What is known of a store before the model runs: its components, its labels, its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.components import KINDS, Component
from compread.errors import StoreError
from compread.store.schema import ALL_SPLITS, FORMAT_VERSION, SPLITS, Labels


@dataclass(frozen=True, eq=False)
class SplitRows:
    """The rows of one split in prompt order, without what the model says about them."""

    gold: Sequence[int] | npt.NDArray[np.int64]
    """[N] column of the right label."""
    id: Sequence[str]
    prompt_hash: Sequence[str]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, eq=False)
class Axes:
    """The axes of a store: C components, K labels, and N rows in each split.

    A row's number counts over all splits, the train rows first: with 20 train rows, row 20 is the
    first test row. A split that is not given has no rows.

    Raises:
        StoreError: lengths that disagree, a gold label outside the labels or not the first of its
            class, or text that HDF5 cannot hold.
    """

    components: tuple[Component, ...]
    labels: Labels
    splits: Mapping[str, SplitRows]

    def __post_init__(self) -> None:
        if unknown := set(self.splits) - set(ALL_SPLITS):
            raise StoreError(f"unknown split {min(unknown)!r}: a store has {', '.join(ALL_SPLITS)}")
        rows = {split: self.splits.get(split, SplitRows((), (), ())) for split in ALL_SPLITS}
        object.__setattr__(self, "splits", rows)
        _check_labels(self.labels)
        for component in self.components:
            if component.kind not in KINDS:
                raise StoreError(f"component kind {component.kind!r} is not one of {KINDS}")
        for split in ALL_SPLITS:
            _check_rows(split, rows[split], self.labels)

    @property
    def shape(self) -> tuple[int, int]:
        """(C, K)."""
        return len(self.components), len(self.labels.word)

    @property
    def n_rows(self) -> int:
        """N of all splits together."""
        return sum(map(len, self.splits.values()))

    @property
    def ids(self) -> list[str]:
        """The rows' ids by row number."""
        return [id_ for split in ALL_SPLITS for id_ in self.splits[split].id]

    def row_dtype(self) -> np.dtype[np.void]:
        """What the model says about one row, as one packed record of little-endian numbers."""
        c, k = self.shape
        numbers = [("parts", "<f4", (c, k)), ("full", "<f4", (k,))]
        return np.dtype([("row", "<i8"), *numbers, ("sum_error", "<f4"), ("label_mass", "<f4")])

    def to_dict(self, version: int = FORMAT_VERSION) -> dict[str, Any]:
        """A dictionary that JSON can hold and gives back equal, as of a format version."""
        labels = {"word": list(self.labels.word), "token_id": _ints(self.labels.token_id)}
        return {
            "components": [list(component) for component in self.components],
            "labels": labels if version == 1 else {**labels, "class": list(self.labels.class_name)},
            "splits": {
                split: {
                    "gold": _ints(rows.gold),
                    "id": list(rows.id),
                    "prompt_hash": list(rows.prompt_hash),
                }
                for split, rows in self.splits.items()
                if version > 1 or split in SPLITS
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Axes:
        """The inverse of ``to_dict``, whichever the version."""
        label = values["labels"]
        labels = Labels(
            tuple(label["word"]), tuple(label["token_id"]), tuple(label.get("class", ()))
        )
        splits = {split: SplitRows(**rows) for split, rows in values["splits"].items()}
        return cls(tuple(Component(*c) for c in values["components"]), labels, splits)

    def checksum(self, run: str, version: int = FORMAT_VERSION) -> str:
        """SHA-256 over the format version, the ``run`` JSON and the axes: all but the numbers."""
        text = json.dumps([version, run, self.to_dict(version)])
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def finite_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """[N] whether all numbers of a row are finite; ``values`` is [N, ...]."""
    return np.asarray(np.isfinite(values).all(axis=tuple(range(1, values.ndim))))


def _ints(values: Sequence[int] | npt.NDArray[np.int64]) -> list[int]:
    return [int(value) for value in values]


def _check_labels(labels: Labels) -> None:
    if not labels.word or len(labels.word) != len(labels.token_id):
        sizes = f"{len(labels.word)} label words and {len(labels.token_id)} token ids"
        raise StoreError(f"{sizes}: a store needs one token id for each of its labels")
    if len(labels.class_name) != len(labels.word):
        sizes = f"{len(labels.word)} label words and {len(labels.class_name)} class names"
        raise StoreError(f"{sizes}: a store needs the class of each of its labels")
    for word in labels.word:
        _check_text(word, "label")
    for name in labels.classes:
        _check_text(name, "class")


def _check_rows(split: str, rows: SplitRows, labels: Labels) -> None:
    lengths = (len(rows.gold), len(rows.id), len(rows.prompt_hash))
    if len(set(lengths)) > 1:
        raise StoreError(f"{split}: gold, id and prompt_hash have {lengths} rows, wanted the same")
    n_labels = len(labels.word)
    first = {name: k for k, name in reversed(list(enumerate(labels.class_name)))}
    for gold, id_ in zip(rows.gold, rows.id, strict=True):
        _check_text(id_, f"{split} id")
        if not 0 <= gold < n_labels:
            where = f"{split} row {id_!r}: gold label {gold} is not a column"
            raise StoreError(f"{where}, wanted 0 to {n_labels - 1}")
        if gold != (wanted := first[labels.class_name[gold]]):
            where = f"{split} row {id_!r}: gold label {gold} is not the first of its class"
            raise StoreError(f"{where}, wanted {wanted}")
    for hash_ in rows.prompt_hash:
        _check_text(hash_, f"{split} prompt_hash")


def _check_text(text: str, what: str) -> None:
    """Refuse what an HDF5 string gives back changed: NUL ends it, a lone surrogate is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{what} {text!r} is not valid Unicode ({error.reason}): rename it"
        ) from error
    if "\0" in text:
        raise StoreError(f"{what} {text!r} has a NUL character, which HDF5 cuts off: rename it")

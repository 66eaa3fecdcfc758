"""What is known of a store before the model runs: its components, its labels, its rows."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.components import KINDS, LAYERED, Component, Kind
from compread.errors import StoreError, flag
from compread.options import SPLITS, UNCONDITIONAL
from compread.store.answers import NO_TOKEN, RowAnswers, absent_columns, check_answers
from compread.store.schema import ALL_SPLITS, Labels
from compread.store.typed import typed

MOST_COMPONENTS = 250_000
"""The largest models have about 20,000; a file that declares more than this is no store."""


@dataclass(frozen=True, eq=False)
class SplitRows:
    """The rows of one split in prompt order, without what the model says about them."""

    gold: Sequence[int] | npt.NDArray[np.int64]
    """[N] column of the right label."""
    id: Sequence[str]
    prompt_hash: Sequence[str]
    answers: Sequence[RowAnswers] = ()
    """[N] the answers of each row, where they are whole texts; empty: labels of one token."""
    text: Sequence[str] = ()
    """[N] the text of each row that a store is to keep; of a store that is read, ask
    ``Store.texts``."""

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, eq=False)
class Axes:
    """The axes of a store: C components, K labels, and N rows in each split.

    A row's number counts over all splits, the train rows first: with 20 train rows, row 20 is the
    first test row. A split that is not given has no rows.

    Raises:
        StoreError: lengths that disagree, components, labels or ids that stand twice, a gold label
            outside the labels or not the first of its class, or text that HDF5 cannot hold.
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
        _check_components(tuple(self.components))
        if math.prod(self.shape) * 4 >= 1 << 31:
            raise StoreError(f"a row of {self.shape} numbers is more than HDF5 keeps in one piece")
        for split in ALL_SPLITS:
            _check_rows(split, rows[split], self.labels)
        if len({bool(of.answers) for of in rows.values() if len(of)}) > 1:
            raise StoreError("some splits have answers of several tokens, and others have not")
        if len({bool(of.text) for of in rows.values() if len(of)}) > 1:
            raise StoreError("some splits have texts of their rows, and others have not")

    @property
    def has_answers(self) -> bool:
        """Whether columns are whole answers, of any number of tokens."""
        return any(rows.answers for rows in self.splits.values())

    @property
    def has_own_answers(self) -> bool:
        """Whether rows have answers of their own, so that a column is no label in common."""
        return any(
            answers.text != self.labels.word
            for of in self.splits.values()
            for answers in of.answers
        )

    @property
    def version(self) -> int:
        """The format version that a store of these axes needs, without Gram matrices of answers."""
        return 4 if self.has_texts else 3 if self.has_answers else 2

    @property
    def has_texts(self) -> bool:
        """Whether the store to be written keeps the rows' texts."""
        return any(rows.text for rows in self.splits.values())

    @cached_property
    def absent(self) -> npt.NDArray[np.bool_] | None:
        """[N of all splits, K] the columns without an answer; None where each row has all."""
        if not self.has_answers:
            return None
        answers = [row for split in ALL_SPLITS for row in self.splits[split].answers]
        return absent_columns(answers, len(self.labels.word))

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

    def to_dict(self, version: int | None = None) -> dict[str, Any]:
        """A dictionary that JSON can hold and gives back equal, as of a format version."""
        version = version or self.version
        labels = {"word": list(self.labels.word), "token_id": _ints(self.labels.token_id)}
        return {
            "components": [list(component) for component in self.components],
            "labels": labels if version == 1 else {**labels, "class": list(self.labels.class_name)},
            "splits": {
                split: {
                    "gold": _ints(rows.gold),
                    "id": list(rows.id),
                    "prompt_hash": list(rows.prompt_hash),
                    **({"answers": [a.to_dict() for a in rows.answers]} if version > 2 else {}),
                }
                for split, rows in self.splits.items()
                if (version > 1 or split in SPLITS) and (len(rows) or split != UNCONDITIONAL)
            },
        }

    @classmethod
    def from_dict(cls, values: Any) -> Axes:
        """The inverse of ``to_dict``, whichever the version.

        Raises:
            StoreError: something is missing or of another type, or contradicts the rest.
        """
        values = typed(values, dict[str, Any], "axes")
        found = {name: typed(values.get(name), hint, name) for name, hint in _PARTS.items()}
        labels = typed(found["labels"].get("word"), tuple[str, ...], "labels.word")
        tokens = typed(found["labels"].get("token_id"), tuple[int, ...], "labels.token_id")
        classes = typed(found["labels"].get("class", ()), tuple[str, ...], "labels.class")
        splits = {split: _rows_of(rows, split) for split, rows in found["splits"].items()}
        return cls(
            tuple(Component(*c) for c in found["components"]),
            Labels(labels, tokens, classes),
            splits,
        )

    def checksum(self, run: str, version: int | None = None) -> str:
        """SHA-256 over the format version, the ``run`` JSON and the axes: all but the numbers."""
        version = version or self.version
        text = json.dumps([version, run, self.to_dict(version)])
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


_PARTS: dict[str, Any] = {
    "components": tuple[tuple[Kind, int, int], ...],
    "labels": dict[str, Any],
    "splits": dict[str, dict[str, Any]],
}
"""The types of ``Axes.to_dict``; what a label and a row are is looked at one by one."""
_ROWS: dict[str, Any] = {
    "gold": tuple[int, ...],
    "id": tuple[str, ...],
    "prompt_hash": tuple[str, ...],
}


def _rows_of(values: dict[str, Any], split: str) -> SplitRows:
    rows = {name: typed(values.get(name), hint, f"{split}.{name}") for name, hint in _ROWS.items()}
    listed = typed(values.get("answers", ()), tuple[dict[str, Any], ...], f"{split}.answers")
    answers = tuple(
        RowAnswers(
            typed(one.get("text"), tuple[str, ...], f"{split}.answers.text"),
            typed(one.get("tokens"), tuple[int, ...], f"{split}.answers.tokens"),
        )
        for one in listed
    )
    return SplitRows(**rows, answers=answers)


def _ints(values: Sequence[int] | npt.NDArray[np.int64]) -> list[int]:
    return [int(value) for value in values]


@lru_cache(maxsize=8)
def _check_components(components: tuple[Component, ...]) -> None:
    """A thousand stores of one model share the axis."""
    if not 0 < len(components) <= MOST_COMPONENTS:
        raise StoreError(f"{len(components)} components: a store has 1 to {MOST_COMPONENTS}")
    for component in components:
        if component.kind not in KINDS:
            raise StoreError(f"component kind {component.kind!r} is not one of {KINDS}")
        layer, head = component.kind in LAYERED, component.kind == "head"
        if (component.layer >= 0, component.head >= 0) != (layer, head) or min(component[1:]) < -1:
            raise StoreError(f"{component!r} has no such place in a model")
    _check_distinct([component.name for component in components], "component")


def _check_distinct(names: Sequence[Any], what: str) -> None:
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise StoreError(f"{what} {reprlib.repr(twice)} stands twice")


def _check_labels(labels: Labels) -> None:
    if not labels.word or len(labels.word) != len(labels.token_id):
        sizes = f"{len(labels.word)} label words and {len(labels.token_id)} token ids"
        raise StoreError(f"{sizes}: a store needs one token id for each of its labels")
    if len(labels.class_name) != len(labels.word):
        sizes = f"{len(labels.word)} label words and {len(labels.class_name)} class names"
        raise StoreError(f"{sizes}: a store needs the class of each of its labels")
    _check_distinct(labels.word, "label")
    if set(labels.token_id) != {NO_TOKEN}:
        _check_distinct(labels.token_id, "label token")
    for word in labels.word:
        _check_text(word, "label")
    for name in labels.classes:
        _check_text(name, "class")


def _check_rows(split: str, rows: SplitRows, labels: Labels) -> None:
    lengths = (len(rows.gold), len(rows.id), len(rows.prompt_hash))
    if len(set(lengths)) > 1:
        raise StoreError(f"{split}: gold, id and prompt_hash have {lengths} rows, wanted the same")
    _check_distinct(rows.id, f"{split} id")
    if rows.answers:
        _check_answers(split, rows, labels)
    if rows.text:
        _check_texts(split, rows)
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


def _check_answers(split: str, rows: SplitRows, labels: Labels) -> None:
    if len(rows.answers) != len(rows):
        raise StoreError(f"{split}: answers of {len(rows.answers)} rows, wanted {len(rows)}")
    if set(labels.token_id) != {NO_TOKEN}:
        raise StoreError(f"{split}: answers beside labels of one token")
    for answers, gold, id_ in zip(rows.answers, rows.gold, rows.id, strict=True):
        where = f"{split} row {id_!r}"
        check_answers(answers, int(gold), len(labels.word), where)
        for text in answers.text:
            _check_text(text, f"an answer of {where}")


def _check_texts(split: str, rows: SplitRows) -> None:
    if len(rows.text) != len(rows):
        raise StoreError(f"{split}: texts of {len(rows.text)} rows, wanted {len(rows)}")
    for text, id_ in zip(rows.text, rows.id, strict=True):
        if (why := _why_changed(text)) is not None:
            raise StoreError(
                f"the text of {split} row {id_!r} {why}: change it, or leave {flag('keep-text')} "
                "out"
            )


def _check_text(text: str, what: str) -> None:
    if (why := _why_changed(text)) is not None:
        raise StoreError(f"{what} {text!r} {why}: rename it")


def _why_changed(text: str) -> str | None:
    """Why an HDF5 string gives a text back changed: NUL ends it, a lone surrogate is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"is not valid Unicode ({error.reason})"
    return "has a NUL character, which HDF5 cuts off" if "\0" in text else None

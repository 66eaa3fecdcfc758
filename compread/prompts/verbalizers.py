"""The words that stand for each class: one or several, each a column of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Verbalizer:
    """The classes in order and, for each, its words; the first is the one demonstrations show.

    Columns run class by class: ``Verbalizer(("a", "b"), ((" x", " y"), (" z",)))`` has the columns
    `` x``, `` y`` and `` z``, and the class ``b`` has column 2.
    """

    classes: tuple[str, ...]
    """Name of each class; with one word a class, that word."""
    words: tuple[tuple[str, ...], ...]
    """For each class its exact continuations, leading space included."""

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Verbalizer:
        """One word a class, which is also the class's name."""
        return cls(tuple(words), tuple((word,) for word in words))

    @property
    def first(self) -> tuple[str, ...]:
        """The first word of each class."""
        return tuple(words[0] for words in self.words)

    @property
    def columns(self) -> tuple[str, ...]:
        """[K] the words in column order."""
        return tuple(word for words in self.words for word in words)

    @property
    def column_classes(self) -> tuple[str, ...]:
        """[K] the class of each column."""
        return tuple(
            name for name, words in zip(self.classes, self.words, strict=True) for _ in words
        )

    def column(self, number: int) -> int:
        """The column of the first word of class ``number``."""
        return sum(map(len, self.words[:number]))

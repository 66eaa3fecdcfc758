"""Answers of different lengths: what their log-probabilities are divided by, or less.

The longer an answer is, the less likely, whatever it says. Of a row's answer y is read

    none        log p(y | x), lm-evaluation-harness's acc
    tokens      log p(y | x) / its tokens
    bytes       log p(y | x) / its bytes in UTF-8, acc_bytes there
    characters  log p(y | x) / its characters, acc_norm there
    pmi         log p(y | x) - log p(y | unconditional prompt), acc_mutual_info there

The same length divides every component's contribution to the answer, so that these add up to the
normalised log-probability as they do to the whole; with ``pmi`` each is less its own behind the
unconditional prompt, where they add up too. Where several words are one class, a length divides
each before they are pooled, and ``pmi`` is that of the class, pooled behind either prompt. Bytes
and characters are counted as in the harness, without what joins an answer to its prompt: the space
that most begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.array_types import Float32
from compread.errors import StoreError, UsageError, command, flag, option
from compread.options import NORMALIZATIONS, UNCONDITIONAL
from compread.store.answers import GRAM, PER_ANSWER, RowAnswers
from compread.store.axes import Axes
from compread.store.schema import RunInfo

JOINT = " "
"""What stands between a prompt and an answer unless the run says otherwise."""


Array = npt.NDArray[Any]
Read = Callable[[str, str, slice], Array]


@dataclass(frozen=True, eq=False)
class Normalizing:
    """How a store's numbers are normalised when they are read."""

    axes: Axes
    length: Callable[[RowAnswers], tuple[int, ...]] | None
    """How long each of a row's answers is; None: they are less what stands for ``behind``."""
    behind: Mapping[tuple[str, ...], int]
    """The number of the unconditional row that has a list of answers."""

    @classmethod
    def of(cls, axes: Axes, run: RunInfo, how: str, path: Path) -> Normalizing | None:
        """The normalisation of a store; None where it changes nothing.

        Raises:
            UsageError: there is none of that name.
            StoreError: this store has no numbers for it.
        """
        if how not in NORMALIZATIONS:
            raise UsageError(f"{option('normalize', how)}: there is {', '.join(NORMALIZATIONS)}")
        if how == "none" or (how == "tokens" and not axes.has_answers):
            return None
        if not axes.has_answers:
            raise StoreError(
                f"{path}: {option('normalize', how)}: its labels are one token each, and its "
                "numbers logits, which no length makes alike; leave it out"
            )
        if how == "pmi":
            rows = axes.splits[UNCONDITIONAL].answers
            if not rows:
                with_them = f"{command('extract')} with {flag('unconditional')}"
                raise StoreError(
                    f"{path}: {option('normalize', how)}: it has no answers behind an "
                    f"unconditional prompt; {with_them} adds them"
                )
            behind = {row.text: n for n, row in enumerate(rows)}
            asked = (r for k, of in axes.splits.items() if k != UNCONDITIONAL for r in of.answers)
            if (lost := next((row for row in asked if row.text not in behind), None)) is not None:
                raise StoreError(
                    f"{path}: the answers {list(lost.text)!r:.200} do not stand behind its "
                    f"unconditional prompt; {command('extract')} with {flag('force')} makes it anew"
                )
            return cls(axes, None, behind)
        return cls(axes, length_by(how, run), {})

    def apply(self, name: str, split: str, span: slice, read: Read) -> Array:
        """An array of some rows of a split, [n, .., K], with its answers normalised.

        Inner products [n, K, K] are those of the normalised answers' directions. With ``pmi`` a
        component's two writes, behind the row's prompt and behind the unconditional one, are one
        vector there, and an answer's direction has both, the second turned round.

        Args:
            name: the array.
            split: which rows it is of.
            span: and which of these.
            read: ``read(split, name, span)`` gives it as it is stored.
        """
        values = read(split, name, span)
        if name not in (*PER_ANSWER, GRAM) or split == UNCONDITIONAL or not len(values):
            return values
        if self.length is None:
            behind = self._behind(name, split, span, read)
            return np.asarray(values + behind if name == GRAM else values - behind)
        lengths = _lengths(self.axes.splits[split].answers[span], values.shape[-1], self.length)
        return _over(values / lengths[:, :, None] if name == GRAM else values, lengths)

    def _behind(self, name: str, split: str, span: slice, read: Read) -> Array:
        """[n, .., K] the same answers behind the unconditional prompt."""
        numbers = [self.behind[row.text] for row in self.axes.splits[split].answers[span]]
        needed, place = np.unique(numbers, return_inverse=True)
        # Rows that follow each other mostly have answers that do.
        runs = np.split(needed, np.flatnonzero(np.diff(needed) > 1) + 1)
        pieces = [read(UNCONDITIONAL, name, slice(int(of[0]), int(of[-1]) + 1)) for of in runs]
        return np.asarray(np.concatenate(pieces)[place])


def divided(values: Float32, answers: Sequence[RowAnswers], run: RunInfo) -> Float32:
    """Numbers of rows [N, .., K] as a run's are: by the length that ``run.normalize`` names."""
    if run.normalize == "none":
        return values
    return _over(values, _lengths(answers, values.shape[-1], length_by(run.normalize, run)))


def _over(values: Array, lengths: Float32) -> Array:
    """[N, .., K] each column over its answer's length."""
    return np.asarray(values / (lengths if values.ndim == 2 else lengths[:, None]))


def _lengths(
    answers: Sequence[RowAnswers], most: int, length: Callable[[RowAnswers], tuple[int, ...]]
) -> Float32:
    """[N, K] how long each answer is; 1 where a row has none."""
    lengths = np.ones((len(answers), most), np.float32)
    for row, of in zip(lengths, answers, strict=True):
        row[: len(of)] = length(of)
    return lengths


def length_by(how: str, run: RunInfo) -> Callable[[RowAnswers], tuple[int, ...]]:
    """How long ``tokens``, ``bytes`` or ``characters`` say that each of a row's answers is."""
    joint = run.protocol.get("target_delimiter")
    joint = JOINT if joint is None else joint
    counted: Mapping[str, Callable[[str], int]] = {
        "bytes": lambda text: len(text.encode()),
        "characters": len,
    }
    if how == "tokens":
        return lambda row: row.tokens
    return lambda row: tuple(counted[how](own(text, joint)) for text in row.text)


def own(text: str, joint: str) -> str:
    """An answer without what joins it to its prompt; whole where nothing else is in it."""
    return text.removeprefix(joint) or text

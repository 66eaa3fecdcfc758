"""What each component predicts on each row, in few bits, so that runs can be laid side by side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.array_types import Ints


@dataclass(frozen=True, eq=False)
class Choices:
    """The predicted label of C scorers on N rows, a bit plane for each binary digit."""

    planes: npt.NDArray[np.uint8]
    """[⌈log₂ K⌉, N, ⌈C / 8⌉]"""
    c: int

    @classmethod
    def pack(cls, choice: npt.NDArray[np.int16], k: int) -> Choices:
        """Labels [N, C], each below ``k``."""
        digits = max(1, (k - 1).bit_length())
        bits = choice[None] >> np.arange(digits)[:, None, None] & 1
        return cls(np.packbits(bits.astype(np.uint8), axis=2), choice.shape[1])

    @classmethod
    def join(cls, pieces: Sequence[Choices]) -> Choices:
        """Pieces that follow each other."""
        return cls(np.concatenate([piece.planes for piece in pieces], axis=1), pieces[0].c)

    def unpack(self) -> npt.NDArray[np.int16]:
        """The labels [N, C]."""
        bits = np.unpackbits(self.planes, axis=2, count=self.c)
        return np.asarray((bits.astype(np.int16) << np.arange(len(bits))[:, None, None]).sum(0))


@dataclass(frozen=True, eq=False)
class RowChoices:
    """The rows of a run, with what is predicted on them."""

    key: str
    """Equal for two runs whose rows have the same ids and the same right labels."""
    gold: Ints
    """[N] right labels."""
    parts: Choices
    """Of the components."""
    full: Choices
    """Of the full model."""

    @staticmethod
    def key_of(ids: Sequence[str], gold: Ints, task: str) -> str:
        """A hash over the task and the rows' ids and right labels; words are the templates'."""
        text = json.dumps([task, list(ids), gold.tolist()])
        return hashlib.sha256(text.encode()).hexdigest()


def votes(runs: Sequence[Choices], k: int) -> npt.NDArray[np.int32]:
    """[N, C, K] how many of several runs over the same rows predict each label."""
    n, c = runs[0].planes.shape[1], runs[0].c
    counts = np.zeros((n, c, k), np.int32)
    for run in runs:
        choice = run.unpack()
        for label in range(k):
            counts[:, :, label] += choice == label
    return counts

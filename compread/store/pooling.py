"""From label words to classes: several columns become one, and the parts still add up.

A class's logit is pooled from those of its words by one of

    logsumexp  log Σ_w exp(logit_w), the log of their joint probability before normalisation
    max        that of the likeliest word
    mean       their mean
    first      that of the first word

Each is Σ_w p_w · logit_w + H, with weights p over the class's words that the row's own logits
fix: softmax and its entropy H for logsumexp, one-hot and 0 for max and first, 1/n and 0 for mean.
With p frozen, as the final norm's scale is, the same weights pool every component's contributions,
H goes to ``bias``, and Σ_j parts is the pooled logit to rounding. Pooling each component by its own
maximum or logsumexp would break that sum, and would favour the class with more words wherever a
component has little to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compread.array_types import Float32
from compread.errors import StoreError
from compread.options import POOLS
from compread.store.schema import Labels


@dataclass(frozen=True, eq=False)
class Pooling:
    """How the K columns of a store become classes."""

    how: str
    """One of ``POOLS``."""
    words: Labels
    """The columns."""
    member: npt.NDArray[np.bool_]
    """[K, classes] which column stands for which class."""

    @classmethod
    def of(cls, labels: Labels, how: str) -> Pooling | None:
        """The pooling of a store's labels; None where each word is a class of its own.

        Raises:
            StoreError: an unknown way of pooling.
        """
        if how not in POOLS:
            raise StoreError(f"there is no pooling {how!r}: known are {', '.join(POOLS)}")
        if len(labels.classes) == len(labels.word):
            return None
        member = [[name == other for other in labels.classes] for name in labels.class_name]
        return cls(how, labels, np.array(member))

    @property
    def labels(self) -> Labels:
        """The classes as labels: their names, and the token of each one's first word."""
        first = self.member.argmax(axis=0)
        tokens = tuple(self.words.token_id[k] for k in first)
        return Labels(self.words.classes, tokens)

    def gold(self, gold: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """[N] right columns -> [N] right classes."""
        return np.asarray(self.member.argmax(axis=1)[gold], dtype=np.int64)

    def weights(self, full: Float32) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The frozen weights [N, K] of each row's words and the remainders H [N, classes].

        Args:
            full: [N, K] the label logits of the rows.
        """
        n_words = self.member.sum(axis=0)
        # [N, K, classes]; a column that is not of the class is never its maximum.
        logits = np.where(self.member, np.asarray(full, np.float64)[:, :, None], -np.inf)
        rest = np.zeros((len(full), len(n_words)))
        if self.how == "mean":
            shares = np.broadcast_to(self.member / n_words, logits.shape)
        elif self.how == "logsumexp":
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares = shares / shares.sum(axis=1, keepdims=True)
            logs = np.log(np.where(shares > 0, shares, 1.0))
            rest = -(shares * logs).sum(axis=1)
        else:
            scores = logits if self.how == "max" else np.where(self.member, 0.0, -np.inf)[None]
            chosen = np.broadcast_to(scores, logits.shape).argmax(axis=1)  # [N, classes]
            shares = np.arange(len(self.member))[None, :, None] == chosen[:, None, :]
        return np.asarray(shares.sum(axis=2), dtype=np.float64), rest

    def parts(self, parts: Float32, full: Float32, bias: int) -> Float32:
        """[N, C, K] -> [N, C, classes], with ``full`` [N, K] and the place of ``bias`` in C."""
        shares, rest = self.weights(full)
        weighted = np.asarray(parts, np.float64) * shares[:, None, :]
        pooled = weighted @ self.member.astype(np.float64)
        pooled[:, bias] += rest
        return pooled.astype(np.float32)

    def gram(self, gram: npt.NDArray[np.float64], full: Float32) -> npt.NDArray[np.float64]:
        """[N, K, K] of the words -> [N, classes, classes], with ``full`` [N, K]."""
        maps = self.weights(full)[0][:, :, None] * self.member  # [N, K, classes]
        return np.asarray(maps.swapaxes(1, 2) @ gram @ maps, dtype=np.float64)

    def full(self, full: Float32) -> Float32:
        """[N, K] -> [N, classes]."""
        shares, rest = self.weights(full)
        pooled = (np.asarray(full, np.float64) * shares) @ self.member.astype(np.float64) + rest
        return np.asarray(pooled, dtype=np.float32)

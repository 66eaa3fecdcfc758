"""Prompts in tokens -> contributions: a loaded model, its anatomy and the folded labels."""

from __future__ import annotations

from collections.abc import Sequence

from compread.extract.batches import pad_right
from compread.extract.prefix import SharedPrefix
from compread.model.anatomy import Anatomy
from compread.model.decompose import BatchParts, Decomposer
from compread.model.linear import device_of
from compread.model.taps import Sighting, Taps
from compread.model.trace import CausalLM


class Engine:
    """Runs batches of prompts that may share a prefix, and decomposes their label logits."""

    def __init__(self, model: CausalLM, anatomy: Anatomy, label_ids: tuple[int, ...]) -> None:
        """Fold the labels and get the hooks ready."""
        self.model = model
        self.decomposer = Decomposer(anatomy, label_ids)
        self.taps = Taps(model, anatomy)
        self._all_taps = Taps(model, anatomy, all_writes=True)
        self._prefix: SharedPrefix | None = None
        self._whole: tuple[Sequence[Sequence[int]], Sighting] | None = None

    def share(self, tokens: Sequence[int]) -> SharedPrefix | None:
        """Run a shared prefix; None where there is nothing to share.

        The last one is kept, since it is proved on two rows before all others borrow it.

        Raises:
            CannotShareError: the family's cache cannot be handed on.
        """
        if tokens and (self._prefix is None or self._prefix.tokens != tuple(tokens)):
            self._prefix = None  # let go of the one before first
            self._prefix = SharedPrefix(self.model, tokens)
        return self._prefix if tokens else None

    def run(self, rows: Sequence[Sequence[int]], prefix: SharedPrefix | None = None) -> BatchParts:
        """Decompose a batch; on a GPU it returns before the GPU is done.

        Args:
            rows: the tokens of each prompt beyond the prefix.
            prefix: what the prompts share, run already.

        Raises:
            CannotShareError: the family cannot go on from a prefix.
        """
        return self.decomposer.decompose(self.watch(rows, prefix))

    def watch_whole(self, rows: Sequence[Sequence[int]]) -> Sighting:
        """Whole prompts with every block's write, kept for one more proof on the same."""
        kept, self._whole = self._whole, None
        if kept is not None and kept[0] == rows:
            return kept[1]
        self._whole = rows, self.watch(rows, all_writes=True)
        return self._whole[1]

    def watch(
        self,
        rows: Sequence[Sequence[int]],
        prefix: SharedPrefix | None = None,
        *,
        all_writes: bool = False,
    ) -> Sighting:
        """The activations that ``run`` decomposes, with every block's write where asked for."""
        tokens, answer = pad_right(rows, device_of(self.model))
        taps = self._all_taps if all_writes else self.taps
        if prefix is None:
            return taps.run(answer, lambda: self.model(input_ids=tokens, use_cache=False))
        return taps.run(answer, lambda: prefix.forward(tokens))

"""Prompts in tokens -> contributions: a loaded model, its anatomy and the folded labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from compread.array_types import Floats
from compread.extract.batches import pad_right
from compread.extract.packed import PackedRows
from compread.extract.prefix import SharedPrefix, shortest_window, trying
from compread.model.activations import Activations
from compread.model.anatomy import Anatomy
from compread.model.answers import Answers
from compread.model.decompose import BatchParts, Decomposer
from compread.model.linear import device_of, dtype_of
from compread.model.switches import RotationTables, find_switches
from compread.model.taps import Taps
from compread.model.trace import CausalLM


class Engine:
    """Runs batches of prompts that may share a prefix, and decomposes their label logits."""

    def __init__(self, model: CausalLM, anatomy: Anatomy, label_ids: tuple[int, ...]) -> None:
        """Fold the labels and get the hooks ready."""
        self.model = model
        self.decomposer = Decomposer(anatomy, label_ids)
        self.taps = Taps(model, anatomy)
        self._all_taps = Taps(model, anatomy, all_writes=True)
        self.switches = find_switches(model.config)
        """The lengths at which the model begins to compute otherwise."""
        self._tables = RotationTables(model)
        self._prefix: SharedPrefix | None = None
        self.packs = device_of(model).type == "cuda" and may_pack(model, anatomy)
        """Whether rows that borrow a prefix are run without pads (``packed``); once they cannot
        be, they are padded for good."""

    def share(self, tokens: Sequence[int]) -> SharedPrefix | None:
        """Run a shared prefix; None where there is nothing to share.

        The last one is kept until another is asked for: it is proved on two rows before all others
        borrow it, batch after batch.

        Raises:
            CannotShareError: the family's cache cannot be reused.
        """
        if tokens and (self._prefix is None or self._prefix.tokens != tuple(tokens)):
            self.free_prefix()  # two would take twice the memory
            self._tables.reset()
            self._prefix = SharedPrefix(self.model, tokens)
        return self._prefix if tokens else None

    def free_prefix(self) -> None:
        """Free the shared prefix, where nothing more is run behind it."""
        self._prefix = None

    def run(self, rows: Sequence[Sequence[int]], prefix: SharedPrefix | None = None) -> BatchParts:
        """Decompose a batch; on a GPU it returns before the GPU is done.

        Args:
            rows: the tokens of each prompt beyond the prefix.
            prefix: what the prompts share, run already.

        Raises:
            CannotShareError: the family cannot go on from a prefix.
        """
        return self.decomposer.decompose(self.record(rows, prefix))

    def label_gram(self, rows: Sequence[Answers]) -> Floats | None:
        """[K, K] inner products of the directions of the labels; None where rows differ in them."""
        return self.decomposer.label_gram.numpy()

    def grams(self, rows: Sequence[Answers]) -> Floats | None:
        """[N, K, K] those of each row's answers; None where all rows have the same."""
        return None

    def record(
        self,
        rows: Sequence[Sequence[int]],
        prefix: SharedPrefix | None = None,
        *,
        all_writes: bool = False,
    ) -> Activations:
        """The activations that ``run`` decomposes, with every block's write where asked for."""
        taps, device = self._all_taps if all_writes else self.taps, device_of(self.model)
        if prefix is not None and self.packs:
            longest = len(prefix.tokens) + max(map(len, rows))
            if not prefix.held(longest):
                packed = PackedRows.of(rows, device)
                self._tables.reset()
                with trying(self, "packs"):
                    return taps.run(packed.ends, lambda: prefix.packed(packed))
        tokens, answer = pad_right(rows, device)
        self._tables.reset()  # a row is not computed as the longest before it was
        if prefix is None:
            return taps.run(answer, lambda: self.model(input_ids=tokens, use_cache=False))
        return taps.run(answer, lambda: prefix.forward(tokens))


def may_pack(model: CausalLM, anatomy: Anatomy) -> bool:
    """Whether a GPU's attention has a kernel for rows one behind the other, and sees all of them.

    A window counts tokens of the long row: whether it binds would differ from batch to batch, and
    so would the plans of several workers.
    """
    half = dtype_of(anatomy.unembedding) in (torch.float16, torch.bfloat16)
    return half and shortest_window(model.config) is None

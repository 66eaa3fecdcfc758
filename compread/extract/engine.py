"""Prompts in tokens -> contributions: a loaded model, its anatomy and the folded labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from compread.errors import ResumableError
from compread.extract.prefix import SharedPrefix, pad_right
from compread.model.anatomy import Anatomy
from compread.model.decompose import BatchParts, Decomposer
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

    def share(self, tokens: Sequence[int]) -> SharedPrefix | None:
        """Run a shared prefix; None where there is nothing to share.

        Raises:
            CannotShareError: the family's cache cannot be handed on.
            ResumableError: the prefix does not fit into the device's memory.
        """
        with _enough_memory(f"the shared prefix of {len(tokens)} tokens"):
            return SharedPrefix(self.model, tokens) if tokens else None

    def run(self, rows: Sequence[Sequence[int]], prefix: SharedPrefix | None = None) -> BatchParts:
        """Decompose a batch.

        Args:
            rows: the tokens of each prompt beyond the prefix.
            prefix: what the prompts share, run already.

        Raises:
            CannotShareError: the family cannot go on from a prefix.
            ResumableError: the batch does not fit into the device's memory.
        """
        with _enough_memory(f"a batch of {len(rows)} rows"):
            return self.decomposer.decompose(self.watch(rows, prefix))

    def watch(
        self,
        rows: Sequence[Sequence[int]],
        prefix: SharedPrefix | None = None,
        *,
        all_writes: bool = False,
    ) -> Sighting:
        """The activations that ``run`` decomposes, with every block's write where asked for."""
        tokens, answer = pad_right(rows, self.model.device)
        taps = self._all_taps if all_writes else self.taps
        if prefix is None:
            return taps.run(answer, lambda: self.model(input_ids=tokens, use_cache=False))
        return taps.run(answer, lambda: prefix.forward(tokens))


@contextmanager
def _enough_memory(what: str) -> Iterator[None]:
    """Turn the device's lack of memory into one line that says what to change."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise ResumableError(
            f"{what} does not fit into the device's memory; the finished rows are kept: choose a "
            "smaller --batch-tokens (with --force), or --device-map"
        ) from error

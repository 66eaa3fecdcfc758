"""How a group's rows become batches, and batches become numbers on their way to the host.

A plain copy to the CPU waits for all that the GPU was given by then, the next batch too, and the
GPU then stands still while the host looks at what came. Copied into pinned memory as soon as the
batch is launched, the numbers wait for their own batch alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor

from compread.extract.answer_rows import reads_of
from compread.extract.batches import most_rows, pack_batches, plan_batches
from compread.extract.engine import Engine
from compread.extract.groups import Group
from compread.extract.memory import batch_cost, is_out_of_memory, must_fit
from compread.model.decompose import BatchParts
from compread.model.linear import device_of

Ids = Sequence[Sequence[int]]

# Of rows that are read at many positions so many times the logits, or a batch were one row.
_ON_CPU = 4


class HostCopy:
    """The copy of one batch to the CPU, begun when it is made; on a CPU the batch itself."""

    def __init__(self, parts: BatchParts) -> None:
        """Begin to copy; the device's tensors are kept until ``wait`` has returned."""
        self._device = parts
        tensors = {field.name: getattr(parts, field.name) for field in fields(parts)}
        self._host = BatchParts(**{name: _begin_copy(tensor) for name, tensor in tensors.items()})
        places = {tensor.device for tensor in tensors.values() if tensor.is_cuda}
        self._events = [torch.cuda.current_stream(place).record_event() for place in places]

    def wait(self) -> BatchParts:
        """The numbers on the CPU, once they are there."""
        for event in self._events:
            event.synchronize()
        return self._host


def _begin_copy(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor.cpu()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def plan_group(
    engine: Engine, ids: Ids, group: Group, budget: int, *, row_wise: bool = False
) -> list[list[int]]:
    """The rows of each of a group's batches, behind its prefix, which is run for it.

    Args:
        engine: keeps the prefix, alone, or the one before would still be there beside it.
        ids: the tokens of each prompt.
        group: rows that share a prefix.
        budget: tokens of a batch at most.
        row_wise: a row is a batch.

    Raises:
        ResumableError: the prefix does not fit into the device's memory.
    """
    start, model = len(group.prefix), engine.model
    rows = [ids[row][start:] for row in group.rows]
    own = tuple(map(len, rows))
    device, reads = device_of(model), max(map(reads_of, rows))
    most = most_rows(model.config.get_text_config().vocab_size, device)
    if reads > 1:
        most = max(1, most * (_ON_CPU if device.type == "cpu" else 1) // reads)
    most = 1 if row_wise else most
    held, packs = _way(engine, ids, group)
    if packs:
        batches = pack_batches(own, budget, most)
    else:
        batches = plan_batches(own, budget, held, most, batch_cost(model, budget))
    return [[group.rows[i] for i in batch] for batch in batches]


def _way(engine: Engine, ids: Ids, group: Group) -> tuple[int, bool]:
    """How a group's rows are run behind its prefix, once that is there.

    Tokens of it that each row of a batch holds, and whether rows are packed without pads.
    """
    start = len(group.prefix)
    with must_fit(f"the shared prefix of {start} tokens"):
        shared = engine.share(group.prefix)
    if shared is None:
        return 0, False
    held = shared.held(start + max(len(ids[row][start:]) for row in group.rows))
    return held, engine.packs and not held


def launch(engine: Engine, own: Ids, prefix: Sequence[int]) -> HostCopy | None:
    """Begin to compute a batch, or None where the device's memory does not suffice.

    Args:
        engine: computes it, on a GPU while the caller goes on.
        own: the tokens of each of its rows beyond the prefix.
        prefix: with which all of them begin.
    """
    try:
        return HostCopy(engine.run(own, engine.share(prefix)))
    except Exception as error:  # devices have no common error for what does not fit
        if not is_out_of_memory(error):
            raise
    # Only here, when the error has released the tensors that its traceback held.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


class HeadStart:
    """Batches of a run's first group, launched before the proof that they may be kept.

    The proof's two passes over two rows are all launches and no work, a tenth of a second in which
    a GPU would wait: each goes between two batches, large enough to be computed meanwhile. These
    are kept if the proof holds, else dropped.
    """

    def __init__(self, engine: Engine, ids: Ids, budget: int, *, wanted: bool) -> None:
        """Nothing is launched yet, and nothing ever where it is not ``wanted``."""
        self._engine, self._ids, self._budget, self._wanted = engine, ids, budget, wanted
        self._group = Group((), ())
        self._plan: list[list[int]] = []
        self._way = 0, False
        self._launched: dict[tuple[int, ...], HostCopy] = {}

    def launch(self, group: Group) -> None:
        """Launch the batch of most tokens that is not launched yet of the group that is run first.

        Raises:
            ResumableError: the group's prefix does not fit into the device's memory.
        """
        if not self._wanted:
            return
        if not self._holds(group):
            self._group, self._launched = group, {}
            self._plan = plan_group(self._engine, self._ids, group, self._budget)
            self._way = _way(self._engine, self._ids, group)
        left = [rows for rows in self._plan if tuple(rows) not in self._launched]
        if not left:
            return
        start = len(group.prefix)
        rows = max(left, key=lambda rows: sum(len(self._ids[row]) - start for row in rows))
        copy = launch(self._engine, [self._ids[row][start:] for row in rows], group.prefix)
        if copy is None:
            self._wanted = False  # the runner halves what does not fit
        else:
            self._launched[tuple(rows)] = copy

    def plan(self, group: Group) -> list[list[int]]:
        """The rows of each of a group's batches, where they are planned already; else none."""
        return self._plan if self._holds(group) else []

    def take(self, prefix: Sequence[int], rows: Sequence[int]) -> HostCopy | None:
        """A batch that was launched, which is handed out once."""
        if tuple(prefix) != self._group.prefix:
            return None
        copy = self._launched.pop(tuple(rows), None)
        return copy if copy is not None and self._holds(self._group) else None

    def _holds(self, group: Group) -> bool:
        """Whether a group is planned, and would be run in the same way again.

        What was to borrow its prefix may have turned out to need copies of it, or pads.
        """
        planned = bool(self._plan) and group == self._group
        return planned and _way(self._engine, self._ids, group) == self._way

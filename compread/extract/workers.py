"""Several processes on one grid of runs, as ``torchrun`` starts them.

Every worker, a rank of ``torchrun``'s, loads the model and plans the same batches; each runs its
share of them into a journal of its own, and worker 0 joins the journals into the store that one
process would have written.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from compread.errors import CompreadError, ResumableError, UsageError, flag
from compread.text import one_line

T = TypeVar("T")

# A worker waits for the slowest one, however long that has to run; a dead one is noticed at once.
_PATIENCE = timedelta(days=7)
_exchanged: deque[tuple[Any, ...]] = deque(maxlen=32)
"""The tensors of the last exchanges, which outlive the group."""


@dataclass(frozen=True)
class Workers:
    """This process among ``size`` that work together."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes stores and results."""
        return self.rank == 0

    def mine(self, number: int) -> bool:
        """Whether this worker does the piece of work of this number."""
        return number % self.size == self.rank

    def gather(self, value: T) -> list[T]:
        """Every worker's value, in order of workers, on every worker.

        Raises:
            ResumableError: another worker has gone.
        """
        if self.size == 1:
            return [value]
        try:
            return [pickle.loads(own) for own in _exchange(pickle.dumps(value), self.size)]
        except RuntimeError as error:
            raise ResumableError(
                "another worker has ended before its work was done; the finished rows are kept: "
                f"the same command (without {flag('force')}) goes on from there"
            ) from error

    def all_right(self, error: CompreadError | None = None) -> None:
        """Wait for the others, and fail on every worker with the first error of any.

        Raises:
            CompreadError: the first worker's that has one.
        """
        for other in self.gather(error):
            if other is not None:
                raise other

    def first(self, make: Callable[[], T]) -> T:
        """What worker 0 makes, on every worker.

        Raises:
            CompreadError: what making it raised.
        """
        value, error = None, None
        if self.is_first:
            try:
                value = make()
            except CompreadError as problem:
                error = problem
        self.all_right(error)
        return self.gather(value)[0]  # type: ignore[return-value]  # worker 0 has made it


def _exchange(mine: bytes, size: int) -> list[bytes]:
    """What each of ``size`` workers gives, of any length.

    torch's own exchange of objects frees its tensors while a thread may still hold them. Up to
    torch 2.7 this thread then waits for the interpreter's lock, and whoever destroys the group at
    the end holds that lock and waits for the thread, for ever. So the tensors are kept.
    """
    import torch
    import torch.distributed as dist

    def gathered(own: torch.Tensor) -> list[torch.Tensor]:
        found = [torch.empty_like(own) for _ in range(size)]
        _exchanged.append((own, *found))
        dist.all_gather(found, own)
        return found

    lengths = [int(n) for n in gathered(torch.tensor([len(mine)]))]
    filled = mine.ljust(max(lengths), b"\0")
    found = gathered(torch.frombuffer(bytearray(filled), dtype=torch.uint8))
    return [own.numpy().tobytes()[:n] for own, n in zip(found, lengths, strict=True)]


def join_workers() -> Workers:
    """The ranks that ``torchrun`` has told this process of; one, where it did not.

    Raises:
        UsageError: the environment tells of ranks that cannot be reached.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if size == "1":
        return Workers()
    import torch.distributed as dist

    try:
        if not dist.is_initialized():
            # Only small objects are exchanged, so the processors' own network is enough.
            dist.init_process_group("gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = one_line(error)
        raise UsageError(
            f"WORLD_SIZE is {size}, but the workers cannot be joined ({reason}); start them with "
            "torchrun --nproc-per-node N -m compread extract ..."
        ) from error
    return Workers(dist.get_rank(), dist.get_world_size())


def speaks_for_all() -> bool:
    """Whether this process is the one that prints, told before the workers are joined."""
    return os.environ.get("RANK", "0") == "0"


def leave_workers() -> None:
    """End the connection to the other workers."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()

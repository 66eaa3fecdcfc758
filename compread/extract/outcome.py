"""What an extract is told about how to run, and what it says when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int, int], None]
"""Called with rows kept, rows in all, and tokens run by now, after each batch.

They share the batches in turn, and of several workers all are counted as being where this one is,
so that the last call has all rows and the time left is that of this one's share.
"""


@dataclass(frozen=True)
class ExtractOptions:
    """How a run is computed; none of this changes what is computed beyond rounding."""

    batch_tokens: int | None = None
    """Token budget of a batch, padding included; None: what memory and device suggest."""
    share: bool = True
    """Run the tokens that prompts share once."""
    force: bool = False
    """Replace an existing store and start over a stopped one."""
    command: str = ""
    """The command line, kept in the store."""
    checkpoint: str | None = None
    """The revision as the user names it, kept in the store."""


@dataclass(frozen=True)
class Extraction:
    """What a finished run did, on all workers together."""

    path: Path
    kept: int
    """Rows that an earlier run had left."""
    warnings: tuple[str, ...]
    rows: int = 0
    """Rows computed now."""
    seconds: float = 0.0
    tokens_whole: int = 0
    """Tokens that whole prompts would have taken for ``rows``."""
    tokens_run: int = 0
    """Tokens that were computed for them, shared prefixes once each."""
    worst_error: float = 0.0
    """Largest sum error of ``rows``, as a share of the logits' scale."""
    flops: float = 0.0
    """Floating-point operations of the model for ``tokens_run``."""
    memory: int = 0
    """Bytes at most while it ran, the model included: of tensors on a GPU, else of the process."""
    store_bytes: int = 0

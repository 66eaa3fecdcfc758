"""How far an unfinished run has come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import StoreError
from compread.store.axes import Axes
from compread.store.journal import JournalError, peek
from compread.store.paths import journal_path


@dataclass(frozen=True)
class PartialStatus:
    """The state of the journal beside a target."""

    journal: Path
    done: int
    """Rows kept."""
    total: int
    """Rows of all splits; 0 while the journal's start is not written yet."""
    run: dict[str, Any]
    """``RunInfo.to_dict`` of the run as it began; empty while the start is not written yet."""

    def __str__(self) -> str:
        return f"{self.done} of {self.total} rows are kept in {self.journal.name}"


def partial_status(target: str | Path) -> PartialStatus | None:
    """How far the run that writes ``target`` has come; None when no journal is beside it.

    Takes no lock and reads no numbers, so it may be asked while the run goes on.

    Raises:
        StoreError: the journal cannot be read.
    """
    path = journal_path(Path(target))
    try:
        header, lengths = peek(path)
    except FileNotFoundError:
        return None
    except JournalError as problem:
        raise StoreError(
            f"{path}: is {problem}; move it away or start over with --force"
        ) from problem
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    if header is None:
        return PartialStatus(path, 0, 0, {})
    axes = Axes.from_dict(header["axes"])
    done = sum(lengths) // axes.row_dtype().itemsize
    return PartialStatus(path, done, axes.n_rows, header["run"])

"""How far an unfinished run has come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import StoreError, flag
from compread.store.journal import JournalError, peek
from compread.store.kept import Header
from compread.store.paths import journal_path, part_journals


@dataclass(frozen=True)
class PartialStatus:
    """The state of the journal beside a target, those of other processes included."""

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
    looked = _look(path)
    if looked is None:
        return None
    header, size = looked
    if header is None:
        return PartialStatus(path, 0, 0, {})
    axes = header.axes
    size += sum(part[1] for other in part_journals(Path(target)) if (part := _look(other)))
    # Two processes may have run the same row, where a stopped run goes on with another number.
    done = min(axes.n_rows, size // axes.row_dtype().itemsize)
    return PartialStatus(path, done, axes.n_rows, header.run.to_dict())


def _look(journal: Path) -> tuple[Header | None, int] | None:
    """A journal's header and the bytes of its whole records; None where there is none.

    Raises:
        StoreError: it cannot be read, or is none.
    """
    try:
        payload, lengths = peek(journal)
        header = None if payload is None else Header.from_bytes(payload)
    except FileNotFoundError:
        return None
    except JournalError as problem:
        raise StoreError(
            f"{journal}: is {problem}; move it away or start over with {flag('force')}"
        ) from problem
    except OSError as error:
        raise StoreError(f"{journal}: cannot be read ({error.strerror})") from error
    return header, sum(lengths)

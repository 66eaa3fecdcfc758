"""The journals of several processes that fill one store, and how they become one.

The first process writes the store's own journal; each other one keeps its rows under a name of its
own, ``x.h5.rank1.partial``. Whoever opens the store next, the first process at the end or a new
run after a stop, takes those rows up and deletes the file.
"""

from __future__ import annotations

from compread.errors import TargetError, option
from compread.locks import LockedError
from compread.store.journal import Journal, JournalError
from compread.store.kept import journal_records, read_header
from compread.store.paths import part_journals
from compread.store.target import journal_unusable, writing
from compread.store.writer import StoreWriter


def merge_rank_journals(writer: StoreWriter, *, force: bool = False) -> None:
    """Merge in the rows of the other processes' journals, and delete those.

    ``force`` deletes them unread.

    Raises:
        TargetError: a journal is being written, or belongs to another run.
    """
    for path in part_journals(writer.path):
        with writing(writer.path):
            try:
                journal = Journal(path)
            except LockedError as error:
                raise TargetError(
                    f"{path}: another process is writing it ({error}): wait for it, or choose "
                    f"another {option('o')}"
                ) from error
            except JournalError as problem:
                raise journal_unusable(writer.path, f"{path.name} is {problem}") from problem
            try:
                if not force:
                    _absorb(writer, journal)
                journal.remove()
            finally:
                journal.close()


def _absorb(writer: StoreWriter, journal: Journal) -> None:
    try:
        header = read_header(journal)
        if header is None:
            return
        if told := writer.differing(header):
            raise journal_unusable(writer.path, f"{journal.path.name} belongs to a run {told}")
        for _, records in journal_records(writer.axes, journal):
            fresh = records[~writer.done[records["row"]]]
            numbers = {name: fresh[name] for name in ("parts", "full", "sum_error", "label_mass")}
            writer.append(fresh["row"], **numbers)
    except JournalError as problem:
        raise journal_unusable(writer.path, f"{journal.path.name} is {problem}") from problem

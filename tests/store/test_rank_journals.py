"""Rows that several processes kept become the store that one would have written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_sample import BATCHES, END, RUN, N, append, contents, open_writer, write

from compread.errors import TargetError
from compread.store import (
    journal_path,
    merge_rank_journals,
    part_journals,
    part_path,
    partial_status,
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the store goes, under a name that a pattern could mistake."""
    return tmp_path / "run[1].h5"


def keep(path: Path, numbers: list[int], run=RUN) -> None:
    """Keep these batches in the journal of one process, which then ends."""
    with open_writer(path, run) as writer:
        for n in numbers:
            append(writer, BATCHES[n])


def finish(target: Path) -> Path:
    """What the first process does at the end, or a new run at its start."""
    with open_writer(target) as writer:
        merge_rank_journals(writer)
        for rows in BATCHES:
            append(writer, rows)
        return writer.finish(END)


@pytest.mark.parametrize("split", [([0, 2, 4], [1, 3], [5]), ([0], [1], []), ([], [0, 1, 2], [])])
def test_the_store_is_that_of_one_process(
    tmp_path: Path, target: Path, split: tuple[list[int], ...]
) -> None:
    """All rows, and rows that are still to come, in the order of one process to the byte."""
    for rank, numbers in enumerate(split):
        keep(part_path(target, rank), numbers)
    finish(target)
    assert contents(target) == contents(write(tmp_path / "one.h5"))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one.h5", target.name]


def test_a_stopped_run_counts_all_its_processes(target: Path) -> None:
    """The status of a stopped run is the sum of what its processes kept."""
    for rank, numbers in enumerate(([0], [1, 2], [3])):
        keep(part_path(target, rank), numbers)
    status = partial_status(target)
    assert status is not None
    assert (status.done, status.total) == (sum(len(BATCHES[n]) for n in range(4)), N)
    assert [path.name for path in part_journals(target)] == [
        "run[1].h5.rank1.partial",
        "run[1].h5.rank2.partial",
    ]


def test_a_row_that_two_have_is_taken_once(tmp_path: Path, target: Path) -> None:
    """After a stop, another number of processes may run again what is kept already."""
    keep(target, [0, 1])
    keep(part_path(target, 1), [1, 2])
    finish(target)
    assert contents(target) == contents(write(tmp_path / "one.h5"))


def test_rows_of_another_run_are_refused(target: Path) -> None:
    """A part of a run that differs is named, and it stays where it is."""
    keep(part_path(target, 1), [0], replace(RUN, seed=1))
    with open_writer(target) as writer, pytest.raises(TargetError, match=r"rank1.* seed"):
        merge_rank_journals(writer)
    assert part_journals(target)


def test_force_deletes_them_unread(target: Path) -> None:
    """Starting over, parts of any run go."""
    keep(part_path(target, 1), [0], replace(RUN, seed=1))
    with open_writer(target) as writer:
        merge_rank_journals(writer, force=True)
        assert not writer.done.any()
    assert not part_journals(target)


def test_a_part_that_is_being_written_is_refused(target: Path) -> None:
    """While a process writes its part, nobody takes it away."""
    other = open_writer(part_path(target, 1))
    with other, open_writer(target) as writer, pytest.raises(TargetError, match="is writing it"):
        merge_rank_journals(writer)


def test_a_damaged_part_is_refused(target: Path) -> None:
    """A part that is no journal is an error that names it."""
    journal_path(part_path(target, 1)).write_bytes(b"something else entirely, and longer" * 9)
    with open_writer(target) as writer, pytest.raises(TargetError, match=r"rank1"):
        merge_rank_journals(writer)

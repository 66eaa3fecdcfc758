"""The journal: what a crash or damage leaves of it, and what is made of that."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from store_sample import BATCHES, C, K, N, contents, open_writer, stop_after, write

from compread.errors import StoreError, TargetError
from compread.store import journal_path, partial_status
from compread.store.journal import MAGIC, Journal

ROW_BYTES = 8 + 4 * (C * K + K + 2)
HEAD = 12  # bytes of length and CRC before each payload
ENDS = [(HEAD + ROW_BYTES * len(rows)) for rows in BATCHES[:4]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The contents of the sample run that nothing stopped."""
    return contents(write(tmp_path_factory.mktemp("whole") / "x.h5"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A run stopped after four of its six batches."""
    stop_after(tmp_path / "x.h5", 4)
    return tmp_path / "x.h5"


def boundaries(size: int) -> list[int]:
    """Where the header and each of the four records end."""
    found = [size]
    for record in reversed(ENDS):
        found.append(found[-1] - record)
    return found[::-1]


def test_a_torn_journal_goes_on_from_its_last_whole_record(
    target: Path, whole: dict[str, Any]
) -> None:
    """Cut anywhere, a journal keeps exactly its whole records, and the run ends the same."""
    journal = journal_path(target)
    data = journal.read_bytes()
    marks = boundaries(len(data))
    near = {mark + d for mark in marks for d in (-1, 0, 1, 5, 12, 13)}
    cuts = {0, 1, len(MAGIC) - 1, len(MAGIC), len(MAGIC) + 3, len(MAGIC) + 12, marks[0] // 2} | near
    for cut in sorted(cut for cut in cuts if cut <= len(data)):
        target.unlink(missing_ok=True)
        journal.write_bytes(data[:cut])
        kept = sum(len(r) for r, end in zip(BATCHES, marks[1:], strict=False) if end <= cut)
        status = partial_status(target)
        assert status is not None and status.done == kept
        assert status.total == (N if cut >= marks[0] else 0)
        with open_writer(target) as writer:
            assert writer.done.sum() == kept
        write(target)
        assert contents(target) == whole


def test_a_damaged_record_is_dropped(target: Path, whole: dict[str, Any]) -> None:
    """A flipped bit in a record, or a tail of zeros or noise, is never taken for finished rows."""
    journal = journal_path(target)
    data = journal.read_bytes()
    marks = boundaries(len(data))
    for offset in (0, 5, 8, 11, 12, 40, ENDS[2] - 1):
        target.unlink(missing_ok=True)
        damaged = bytearray(data)
        damaged[marks[2] + offset] ^= 0x10
        journal.write_bytes(damaged)
        with open_writer(target) as writer:
            assert writer.done.sum() == len(BATCHES[0]) + len(BATCHES[1])
        write(target)
        assert contents(target) == whole
    for tail in (bytes(5000), b"\xff" * 50, data[:300]):
        target.unlink(missing_ok=True)
        journal.write_bytes(data + tail)
        with open_writer(target) as writer:
            assert writer.done.sum() == sum(map(len, BATCHES[:4]))
        write(target)
        assert contents(target) == whole


def test_what_follows_the_last_whole_record_is_cut_off(target: Path) -> None:
    """Going on ends the file there, so that nothing behind it can come to life again."""
    journal = journal_path(target)
    data = journal.read_bytes()
    for tail in (bytes(40), data[-ENDS[3] : -1], b"\xff" * 500):
        journal.write_bytes(data + tail)
        with open_writer(target):
            assert journal.read_bytes() == data


def test_a_record_that_a_full_disk_cuts_off_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is as before, and the next record stands behind the last whole one."""
    journal = Journal(tmp_path / "x.partial")
    journal.start(b"header")
    journal.append(b"whole")
    before, really = journal.path.read_bytes(), os.pwrite

    def fills(fd: int, data: Any, offset: int) -> int:
        if len(data) < 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(fd, data[:9], offset)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "pwrite", fills)
        journal.append(b"cut off")
    assert journal.path.read_bytes() == before
    journal.append(b"next")
    assert [payload for _, payload in journal.resume()] == [b"whole", b"next"]
    journal.close()


def test_the_length_is_under_the_checksum(target: Path) -> None:
    """A record whose length changed is dropped, even where the payload's own CRC agrees."""
    journal = journal_path(target)
    data = journal.read_bytes()
    start = boundaries(len(data))[3]
    payload = data[start + HEAD :]
    for length in (len(payload), len(payload) - ROW_BYTES):
        head = struct.pack("<QI", length, zlib.crc32(payload[:length]))
        journal.write_bytes(data[:start] + head + payload[:length])
        with open_writer(target) as writer:
            assert writer.done.sum() == sum(map(len, BATCHES[:3]))
    # Nothing at all has the CRC 0, which a tail of zeros has as well.
    journal.write_bytes(data[:start] + bytes(HEAD))
    with open_writer(target):
        assert len(journal.read_bytes()) == start


@pytest.mark.parametrize("force", [False, True])
def test_a_fifo_in_the_journal_s_place(tmp_path: Path, force: bool) -> None:
    """Neither a writer nor ``status`` waits for somebody who writes to it."""
    os.mkfifo(tmp_path / "x.h5.partial")
    with pytest.raises(TargetError, match=r"not a regular file, but in the way: move it away"):
        open_writer(tmp_path / "x.h5", force=force)
    with pytest.raises(StoreError, match="not a regular file"):
        partial_status(tmp_path / "x.h5")


def test_a_signal_while_it_closes(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped right behind the closing of its file, a journal does not close another's."""
    close, closed = os.close, []

    def stopped(fd: int) -> None:
        close(fd)
        closed.append(fd)
        raise SystemExit(143)

    # Leaving the writer closes it once more.
    with (
        pytest.raises(SystemExit),
        open_writer(target) as writer,
        monkeypatch.context() as patch,
    ):
        patch.setattr(os, "close", stopped)
        writer.close()
    assert len(closed) == 1


def test_without_locks_a_run_goes_on(
    target: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, keeps a second one away, and leaves nothing but the store."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open_writer(target) as writer:
        assert writer.done.any() and "has no locks" in writer.notes[0]
        with pytest.raises(TargetError, match=r"another run is writing it \(x.h5.partial.owner"):
            open_writer(target, force=True)
    write(target)
    assert contents(target) == whole
    assert [path.name for path in target.parent.iterdir()] == ["x.h5"]


def test_a_file_system_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    """Where locking fails otherwise, no empty journal stays."""

    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(TargetError, match="Input/output error"):
        open_writer(tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())


def test_a_damaged_start_needs_force(target: Path) -> None:
    """A journal whose header is damaged is refused, for nobody knows whose rows it has."""
    journal = journal_path(target)
    data = bytearray(journal.read_bytes())
    data[len(MAGIC) + 100] ^= 1
    journal.write_bytes(data)
    with pytest.raises(TargetError, match=r"damaged at its start.*--force starts over"):
        open_writer(target)
    assert journal.read_bytes() == data
    with pytest.raises(StoreError, match=r"damaged at its start"):
        partial_status(target)
    write(target, force=True)


@pytest.mark.parametrize("byte", range(8))
def test_a_damaged_length_of_the_header_loses_no_row(target: Path, byte: int) -> None:
    """Each byte of it: told as damage, and the file stays as it is; nothing is run anew."""
    journal = journal_path(target)
    data = bytearray(journal.read_bytes())
    data[len(MAGIC) + byte] ^= 0x40
    journal.write_bytes(data)
    with pytest.raises(TargetError, match=r"damaged at its start.*--force starts over"):
        open_writer(target)
    with pytest.raises(StoreError, match="damaged at its start"):
        partial_status(target)
    assert journal.read_bytes() == data


def test_a_header_that_a_crash_cut_with_zeros_behind_it(target: Path) -> None:
    """It has no rows, so the run begins again without a word."""
    journal = journal_path(target)
    data = journal.read_bytes()
    journal.write_bytes(data[: boundaries(len(data))[0] - 30] + bytes(20))
    with open_writer(target) as writer:
        assert not writer.done.any()


def test_a_start_that_is_being_written_is_no_damage(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at while its first bytes come, a journal has no rows yet; it is not called damaged."""
    path = journal_path(target)
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    fstat = os.fstat

    def written_afterwards(fd: int) -> os.stat_result:
        """The file as it is, and the rest of it comes right after."""
        found = fstat(fd)
        path.write_bytes(whole)
        return found

    monkeypatch.setattr(os, "fstat", written_afterwards)
    status = partial_status(target)
    assert status is not None and status.done in (0, sum(map(len, BATCHES[:4])))


def test_a_newer_journal_needs_force(target: Path) -> None:
    """A journal of another format version is refused by its version."""
    journal_path(target).write_bytes(b"compread journal 2\n" + bytes(100))
    with pytest.raises(TargetError, match="another version of compread"):
        open_writer(target)
    write(target, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_a_foreign_file_is_never_taken(target: Path, force: bool) -> None:
    """A file of somebody else in the journal's place is left alone even with force."""
    journal_path(target).write_text("a diary")
    with pytest.raises(TargetError, match=r"not a journal of compread.*move it away"):
        open_writer(target, force=force)
    assert journal_path(target).read_text() == "a diary"


def test_status_of_no_run(tmp_path: Path) -> None:
    """Without a journal there is no status; with one it names the run, also during the run."""
    assert partial_status(tmp_path / "x.h5") is None
    with open_writer(tmp_path / "x.h5"):
        status = partial_status(tmp_path / "x.h5")
    assert status is not None
    assert (status.done, status.total, status.run["task"]) == (0, N, "sst2")
    assert str(status) == f"0 of {N} rows are kept in x.h5.partial"

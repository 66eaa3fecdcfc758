"""The append-only journal that a run writes beside its target, ``<target>.partial``.

HDF5 cannot be trusted after a ``kill -9``, a plain file can: a magic line, a header, then one
record per finished batch, each framed as

    length (8 bytes) · CRC-32 of length and payload (4 bytes) · payload

A frame counts only when all of it is there and its CRC agrees, so whatever a crash leaves at the
end is recognised, dropped and overwritten. The CRC takes in the length because a crash of the
machine can leave a tail of zeros, and the CRC of nothing is zero.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

from compread.locks import Lock, LockedError
from compread.store.sink import write_at

MAGIC = b"compread journal 1\n"
_MAGIC_START = MAGIC[: -len(b"1\n")]
_FRAME = struct.Struct("<QI")
_PIECE = 1 << 20
"""Bytes that are looked through at once."""


class JournalError(Exception):
    """The file at the journal's path cannot be gone on with."""


class NotAJournalError(JournalError):
    """It is somebody else's file."""


class Journal:
    """An open, locked journal.

    A record is appended after the last good one, so ``resume`` or ``start`` comes first.

    Raises:
        LockedError: another process holds the lock.
        NotAJournalError: a FIFO, a device or the like.
        OSError: the file cannot be opened, locked or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd, self._lock = _open_locked(path)
        self._first = self._end = 0  # where records begin, and where the last good one ends
        _OPEN.add(self)

    def start(self, header: bytes) -> None:
        """Throw away what the file holds and write a new header."""
        os.ftruncate(self._fd, 0)
        write_at(self._fd, MAGIC + _head(header) + header, 0)
        self._first = self._end = len(MAGIC) + _FRAME.size + len(header)

    def resume(self) -> Iterator[tuple[int, bytes]]:
        """The offset and payload of each record, then cut off what follows the last good one."""
        _, self._first = _read_header(self._fd)
        self._end = self._first
        while (payload := _read_frame(self._fd, self._end)) is not None:
            yield self._end + _FRAME.size, payload
            self._end += _FRAME.size + len(payload)
        os.ftruncate(self._fd, self._end)

    def header(self) -> bytes | None:
        """The header; None when the file ends before it does, which means that it has no records.

        Raises:
            JournalError: the file is somebody else's, of another version, or damaged at its start.
        """
        return _read_header(self._fd)[0]

    @property
    def has_records(self) -> bool:
        """Whether a batch was appended or loaded."""
        return self._end > self._first

    @property
    def is_blank(self) -> bool:
        """Whether the file has no bytes at all, as when locking has just created it."""
        return os.fstat(self._fd).st_size == 0

    def append(self, payload: bytes) -> int:
        """Hand a record to the operating system; give the offset of its payload.

        Raises:
            OSError: the record could not be written; the journal is as before.
        """
        try:
            write_at(self._fd, _head(payload) + payload, self._end)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        offset = self._end + _FRAME.size
        self._end = offset + len(payload)
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset`` on."""
        return _read_at(self._fd, offset, size)

    def remove(self) -> None:
        """Delete the file, then release the lock."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the lock was released."""
        return self._fd < 0

    @property
    def lock_note(self) -> str:
        """What a user should know of the lock; mostly nothing."""
        return self._lock.note

    def close(self) -> None:
        """Release the lock; the file stays."""
        # A signal may come between any two lines, and have this called again.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            self._lock.release()


def peek(path: Path) -> tuple[bytes | None, list[int]]:
    """A journal's header and the lengths of its whole records, without lock and without CRCs.

    Raises:
        JournalError: the file is somebody else's, of another version, or damaged at its start.
        OSError: the file cannot be read.
    """
    # A FIFO would have the opening wait for somebody who writes to it.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check_regular(fd)
        header, offset = _read_header(fd)
        size = os.fstat(fd).st_size
        lengths: list[int] = []
        while header is not None and len(head := _read_at(fd, offset, _FRAME.size)) == _FRAME.size:
            length = _FRAME.unpack(head)[0]
            offset += _FRAME.size + length
            if length == 0 or offset > size:
                break
            lengths.append(length)
        return header, lengths
    finally:
        os.close(fd)


# A forked child shares its parent's lock and would keep it after the parent was killed.
_OPEN: weakref.WeakSet[Journal] = weakref.WeakSet()


def _close_in_child() -> None:
    for journal in list(_OPEN):
        journal.close()


os.register_at_fork(after_in_child=_close_in_child)


def _open_locked(path: Path) -> tuple[int, Lock]:
    """Open and lock the file that ``path`` names once the lock is held.

    The holder before us may have deleted the file between our open and our lock; the lock would
    then be on a file without a name, and the next writer would get one of its own.
    """
    while True:
        fd, is_new = _open(path)
        try:
            _check_regular(fd)
            lock = Lock(fd, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return fd, lock
            lock.release()
        except LockedError:  # whoever locked the file that we made goes on with it
            os.close(fd)
            raise
        except BaseException:
            if is_new:
                path.unlink(missing_ok=True)
            os.close(fd)
            raise
        os.close(fd)


def _open(path: Path) -> tuple[int, bool]:
    """A descriptor of the file, and whether it had to be made."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        with contextlib.suppress(FileNotFoundError):
            make = os.O_CREAT if path.is_symlink() else 0  # of a link to nothing
            return os.open(path, flags | make, 0o666), False
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True


def _check_regular(fd: int) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise NotAJournalError("not a regular file")


def _head(payload: bytes) -> bytes:
    """What stands before a payload."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", zlib.crc32(payload, zlib.crc32(length)))


def _read_header(fd: int) -> tuple[bytes | None, int]:
    """The header and where it ends."""
    start = _read_at(fd, 0, len(MAGIC))
    if not MAGIC.startswith(start):
        if start.startswith(_MAGIC_START):
            raise JournalError("of another version of compread")
        raise NotAJournalError("not a journal of compread")
    # Before the frame is read: a run that begins may be writing it meanwhile, which is no damage.
    size = os.fstat(fd).st_size
    payload = _read_frame(fd, len(MAGIC))
    if payload is None:
        if _holds_more(fd, size):
            raise JournalError("damaged at its start")
        return None, len(start)
    return payload, len(MAGIC) + _FRAME.size + len(payload)


def _holds_more(fd: int, size: int) -> bool:
    """Whether a file of ``size`` bytes has more than a part of a header: damage, and no crash."""
    head = _read_at(fd, len(MAGIC), _FRAME.size)
    if len(head) < _FRAME.size:
        return False
    begin = len(MAGIC) + _FRAME.size
    if size >= begin + max(1, _FRAME.unpack(head)[0]):
        return True
    # The length may be what is damaged. A header is text, and a crash can leave zeros behind its
    # part; a record begins with a length that has zeros in it, and goes on with other bytes.
    ended = False
    for offset in range(begin, size, _PIECE):
        piece = _read_at(fd, offset, min(_PIECE, size - offset))
        if not ended:
            _, zero, piece = piece.partition(b"\0")
            ended = bool(zero)
        if ended and piece.strip(b"\0"):
            return True
    return False


def _read_frame(fd: int, offset: int) -> bytes | None:
    """The payload of the frame at ``offset``, or None when it is torn or damaged."""
    head = _read_at(fd, offset, _FRAME.size)
    if len(head) < _FRAME.size:
        return None
    length, _ = _FRAME.unpack(head)
    # Before reading: a damaged length may ask for more memory than there is.
    if length > os.fstat(fd).st_size - offset - _FRAME.size:
        return None
    payload = _read_at(fd, offset + _FRAME.size, length)
    return payload if _head(payload) == head else None


def _read_at(fd: int, offset: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.pread(fd, min(size, 1 << 30), offset)):
        pieces.append(piece)
        offset, size = offset + len(piece), size - len(piece)
    return b"".join(pieces)

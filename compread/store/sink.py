"""A file object that HDF5 can write to on a full disk.

When a write fails under HDF5's own driver, the library can close the file no more, and the
process dies of it on exit (measured with HDF5 2.0: a segmentation fault at every size of a file
size limit). Behind this object HDF5 believes that every write succeeded, closes in peace, and the
first error is raised afterwards.
"""

from __future__ import annotations

import os
from pathlib import Path


class Sink:
    """A new file for ``h5py.File(sink, "w")``; ``error`` holds the first failure."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._position = 0
        self.error: BaseException | None = None

    def raise_error(self) -> None:
        """Raise the first failure, if there was one."""
        if self.error is not None:
            raise self.error

    def sync(self) -> None:
        """Force everything onto the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file."""
        # A signal may come between any two lines, and have this called again.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as in ``io.RawIOBase``."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        self._position = offset + (os.fstat(self._fd).st_size if base is None else base)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; it is by this method that h5py knows a file object."""
        data = os.pread(self._fd, size, self._position)
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer from the file."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, buffer: memoryview) -> int:
        """Write the whole buffer, or keep the error; either way report success."""
        view = memoryview(buffer).cast("B")
        if self.error is None:
            try:
                write_at(self._fd, view, self._position)
            except BaseException as error:  # a Ctrl-C must not reach HDF5 either
                self.error = error
        self._position += len(view)
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the file's size, or keep the error."""
        if self.error is None:
            try:
                os.ftruncate(self._fd, size)
            except BaseException as error:
                self.error = error
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""


def write_at(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``; a short write of the system is continued."""
    view = memoryview(data)
    while view:
        n = os.pwrite(fd, view, offset)
        view, offset = view[n:], offset + n

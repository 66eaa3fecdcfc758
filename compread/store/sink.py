"""A file object that HDF5 can write to on a full disk.

When a write fails under HDF5's own driver, the library can close the file no more, and the
process dies of it on exit (measured with HDF5 2.0: a segmentation fault at every size of a file
size limit). Behind this object HDF5 believes that every write succeeded, closes in peace, and the
first error is raised afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any


class Sink:
    """A new file for ``h5py.File(sink, "w")``.

    ``error`` holds the first failure, ``signal`` what a signal's handler raised (``signals_kept``).
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._position = self._size = 0
        self.error: BaseException | None = None
        self.signal: BaseException | None = None

    @property
    def is_to_end(self) -> bool:
        """Whether what follows is written for nothing."""
        return self.error is not None or self.signal is not None

    def raise_error(self) -> None:
        """Raise what a signal asks for, else the first failure, if there was one."""
        if (error := self.signal or self.error) is not None:
            raise error

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
        self._position = offset + (self._size if base is None else base)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; it is by this method that h5py knows a file object."""
        data = b""
        try:
            data = os.pread(self._fd, size, self._position)
        except BaseException as error:
            self.error = self.error or error.with_traceback(None)
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
            except BaseException as error:  # nothing may reach HDF5, whatever it is
                self.error = error.with_traceback(None)
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the file's size, or keep the error."""
        if self.error is None:
            try:
                os.ftruncate(self._fd, size)
            except BaseException as error:
                self.error = error.with_traceback(None)
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""


@contextlib.contextmanager
def signals_kept(sink: Sink) -> Iterator[None]:
    """Let what handlers of Ctrl-C and SIGTERM raise wait in a sink until the file is closed.

    Python runs handlers whenever HDF5 calls one of the sink's methods, before its first line; what
    they raise there HDF5 takes for a failure that it cannot close the file after.
    """

    def keep(number: int, frame: FrameType | None) -> None:
        try:
            before[number](number, frame)
        except BaseException as error:
            # Writing goes on until HDF5 has closed the file. Without the trace, whose frames would
            # keep what h5py opens the file with beyond the interpreter's end: it crashes then.
            sink.signal = sink.signal or error.with_traceback(None)

    before: dict[int, Any] = {}
    try:
        # Only the main thread runs handlers, and only it may set them.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, keep)
        yield
    finally:
        for kept, handler in before.items():
            signal.signal(kept, handler)


def write_at(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``; a short write of the system is continued."""
    view = memoryview(data)
    while view:
        n = os.pwrite(fd, view, offset)
        view, offset = view[n:], offset + n

"""The list of what ``extract`` was asked to run into a folder: what waits, and what took how long.

``.compread-runs.jsonl`` beside the stores has one JSON object a line and is only ever appended to,
under a lock, so that calls one after the other and processes side by side add to one list:

    {"asked": "sst2-said-k4-s0.h5", "at": "…", "rows": 320, "work": 51234, "run": {"model": …}}
    {"began": "sst2-said-k4-s0.h5", "at": "…", "rows": 40}
    {"ended": "sst2-said-k4-s0.h5", "at": "…", "rows": 320, "seconds": 312.4}
    {"failed": "sst2-said-k4-s0.h5", "at": "…", "reason": "…"}

``work`` is in characters to read, ``rows`` of a beginning are those kept from before. No store
depends on the list: who deletes it forgets what waits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from compread.errors import StoreError, TargetError, option
from compread.locks import Lock
from compread.store.typed import parse, typed
from compread.text import one_line

LIST_NAME = ".compread-runs.jsonl"
EVENTS = ("asked", "began", "ended", "failed")
RUN_KEYS = ("model", "checkpoint", "task", "template", "shots", "seed")
"""What the list and ``status`` say of a run."""
_PATIENCE = 10.0
"""Seconds to wait for another process that appends."""


@dataclass(frozen=True)
class Asked:
    """One run of the list."""

    rows: int
    """Of all its splits."""
    work: float
    """What it takes, in characters to read."""
    run: Mapping[str, Any] = field(default_factory=dict)
    """Its ``RUN_KEYS``."""
    at: str = ""
    """When it was asked for, ISO 8601 in UTC; so are the following."""
    began: str = ""
    """When it was last begun; empty where it never was, or is begun anew."""
    kept: int = 0
    """Rows that were there when it was last begun."""
    ended: str = ""
    """When its store was finished; empty until then."""
    seconds: float = 0.0
    """From its last beginning to its end."""
    reason: str = ""
    """Why it could not be made when it was last tried."""

    def after(self, event: str, line: Mapping[str, Any]) -> Asked:
        """The run once an event of the list has happened to it."""
        at, rows = line["at"], line.get("rows", 0)
        if event == "began":
            return replace(self, began=at, kept=rows, ended="", seconds=0.0, reason="")
        if event == "ended":
            return replace(self, ended=at, seconds=line["seconds"], reason="")
        return replace(self, reason=line["reason"])


def read_list(folder: Path) -> dict[str, Asked]:
    """The runs of a folder's list by their stores' names, in the order asked; none: no list.

    A line that a crash has cut short says nothing.

    Raises:
        StoreError: the list cannot be read, or is none.
    """
    path = folder / LIST_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    found: dict[str, Asked] = {}
    for number, text in enumerate(data.split(b"\n"), 1):
        if text.endswith(b"}"):
            try:
                _add(found, typed(parse(text), dict[str, Any], "run"))
            except StoreError as error:
                raise StoreError(
                    f"{path}, line {number}: {error.message}; delete the list, which no store needs"
                ) from error
    return found


def lists_below(folder: Path) -> list[Path]:
    """The folders with a list: this one and those below it, hidden ones left out.

    Raises:
        OSError: a folder cannot be listed.
    """
    found = []
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if LIST_NAME in names:
            found.append(Path(place))
    return found


class RunList:
    """The list of one folder, for those who add to it."""

    def __init__(self, folder: Path, now: Callable[[], datetime] | None = None) -> None:
        """Get ready to add to the list of ``folder``; nothing is written yet."""
        self._folder = folder
        self._now = now or (lambda: datetime.now(timezone.utc))

    def ask(self, runs: Mapping[str, Asked]) -> None:
        """Add the runs that are not there already, by their stores' names, and make the folder.

        Raises:
            TargetError: the list cannot be written.
            StoreError: what stands there is none.
        """
        at = self._at()

        def lines(there: Mapping[str, Asked]) -> list[dict[str, Any]]:
            return [
                {"asked": name, "at": at, "rows": one.rows, "work": one.work, "run": {**one.run}}
                for name, one in runs.items()
                if not self._is_asked(name, one, there.get(name))
            ]

        self._append(lines)

    def began(self, name: str, kept: int) -> None:
        """A run begins, ``kept`` of its rows being there.

        Raises:
            TargetError: the list cannot be written.
        """
        line = {"began": name, "at": self._at(), "rows": kept}
        self._append(lambda there: [line])

    def ended(self, name: str, rows: int, seconds: float) -> None:
        """A run's store is finished.

        Raises:
            TargetError: the list cannot be written.
        """
        line = {"ended": name, "at": self._at(), "rows": rows, "seconds": round(seconds, 3)}
        self._append(lambda there: [line])

    def failed(self, name: str, reason: str) -> None:
        """A run was not made.

        Raises:
            TargetError: the list cannot be written.
        """
        line = {"failed": name, "at": self._at(), "reason": reason}
        self._append(lambda there: [line])

    def _is_asked(self, name: str, one: Asked, there: Asked | None) -> bool:
        """Whether the list has a run as it is; one whose store was deleted is asked for anew."""
        if there is None or (there.ended and not (self._folder / name).exists()):
            return False
        return (there.rows, there.work, {**there.run}) == (one.rows, one.work, {**one.run})

    def _append(self, lines: Callable[[Mapping[str, Asked]], Iterable[dict[str, Any]]]) -> None:
        path = self._folder / LIST_NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                lock = Lock(fd, path, _PATIENCE)
                try:
                    text = "".join(
                        f"{json.dumps(line)}\n" for line in lines(read_list(path.parent))
                    )
                    if text:
                        _write(fd, text.encode())
                finally:
                    lock.release()
            finally:
                os.close(fd)
        except OSError as error:
            reason = error.strerror or one_line(error)
            raise TargetError(
                f"{path}: the list of runs cannot be written ({reason}); choose another "
                f"{option('o')}"
            ) from error

    def _at(self) -> str:
        return self._now().isoformat(timespec="seconds")


def _write(fd: int, data: bytes) -> None:
    """Append whole lines, also behind one that a crash has cut short."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        data = b"\n" + data
    while data:
        data = data[os.write(fd, data) :]


_KINDS = {
    "at": str,
    "rows": int,
    "work": float,
    "run": dict[str, Any],
    "seconds": float,
    "reason": str,
}
_NEEDED = {
    "asked": ("at", "rows", "work", "run"),
    "began": ("at", "rows"),
    "ended": ("at", "seconds"),
    "failed": ("at", "reason"),
}


def _add(found: dict[str, Asked], line: dict[str, Any]) -> None:
    """Take up one line; what newer versions may add is passed over.

    Raises:
        StoreError: it lacks a value, or has one of another type.
    """
    event = next((event for event in EVENTS if event in line), None)
    if event is None:
        return
    name = typed(line[event], str, event)
    for key in _NEEDED[event]:
        line[key] = typed(line.get(key), _KINDS[key], key)
    if event == "asked":
        before = found.get(name, Asked(0, 0.0))
        found[name] = replace(
            before, rows=line["rows"], work=line["work"], run=line["run"], at=line["at"], ended=""
        )
    elif name in found:
        found[name] = found[name].after(event, line)

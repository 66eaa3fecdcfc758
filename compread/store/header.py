"""Whose rows a journal keeps: the run and the axes that it was begun with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from compread.errors import StoreError
from compread.store.axes import Axes
from compread.store.journal import Journal, JournalError
from compread.store.schema import RunInfo
from compread.store.typed import parse, typed


@dataclass(frozen=True, eq=False)
class Header:
    """What a journal says before its first record."""

    run: RunInfo
    axes: Axes
    replace: bool = False
    """Whether the finished store may take an existing one's place."""

    def to_bytes(self) -> bytes:
        """As a journal keeps it."""
        run, axes = self.run.to_dict(), self.axes.to_dict()
        return json.dumps({"run": run, "axes": axes, "replace": self.replace}).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Header:
        """The inverse, also of what earlier versions wrote.

        Raises:
            JournalError: no run ever wrote this.
        """
        try:
            values = typed(parse(payload), dict[str, Any], "header")
            run = RunInfo.from_dict(values.get("run"))
            axes = Axes.from_dict(values.get("axes"))
            return cls(run, axes, typed(values.get("replace"), bool, "replace"))
        except StoreError as error:
            raise JournalError(f"damaged at its start ({error})") from error


def read_header(journal: Journal) -> Header | None:
    """A journal's header; None when the file ends before it does: it has no records then.

    Raises:
        JournalError: the file is somebody else's, of another version, or damaged at its start.
    """
    payload = journal.header()
    return None if payload is None else Header.from_bytes(payload)

"""A signal that comes while HDF5 calls back is raised as what it is, and never by HDF5."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_sample import BATCHES, append, contents, open_writer, write

from compread.store.sink import Sink


@pytest.fixture(autouse=True)
def terminated() -> Iterator[None]:
    """SIGTERM unwinds the stack, as it does under the command line; so does SIGINT.

    A shell starts what it runs in the background with SIGINT ignored.
    """
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    yield
    assert signal.getsignal(signal.SIGTERM) not in (before, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, interrupt)


@pytest.mark.parametrize(("number", "raised"), [(15, SystemExit), (2, KeyboardInterrupt)])
@pytest.mark.parametrize(
    ("name", "n"), [("seek", 1), ("seek", 3), ("write", 1), ("write", 9), ("truncate", 1)]
)
def test_a_signal_while_the_store_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    n: int,
    number: int,
    raised: type[BaseException],
) -> None:
    """The run ends as the signal says, keeps its rows, and makes the same store when it goes on."""
    target = tmp_path / "x.h5"
    with open_writer(target) as writer:
        for rows in BATCHES:
            append(writer, rows)
    real: Callable[..., Any] = getattr(Sink, name)
    calls = 0

    def struck(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == n:
            os.kill(os.getpid(), number)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Sink, name, struck)
        with pytest.raises(raised):
            write(target)
    assert calls >= n and not target.exists()
    assert contents(write(target)) == contents(write(tmp_path / "whole.h5"))

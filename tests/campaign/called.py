"""Which tests call which functions of the package: a plugin of pytest, run once before mutants.

``pytest -p tests.campaign.called`` writes it to the file that ``CALLED`` names. Calls in processes
that a test starts are not seen.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

OUTPUT = "CALLED"
ROOT = str(Path.cwd() / "compread") + os.sep

_calls: dict[str, set[str]] = defaultdict(set)
"""``file:first line`` of a function, and the tests that call it."""
_seconds: dict[str, float] = {}
_now: set[str] = set()
_shared: dict[tuple[str, str], set[str]] = defaultdict(set)
"""What fixtures call that several tests share, by where they are and their name."""


def _trace(frame: Any, event: str, argument: Any) -> None:
    """Note a call; None: the function's own lines are not traced."""
    del event, argument
    code = frame.f_code
    if code.co_filename.startswith(ROOT):
        _now.add(f"{code.co_filename[len(ROOT) :]}:{code.co_firstlineno}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Collect the calls of one test, those of its fixtures included."""
    global _now
    _now = set()
    sys.settrace(_trace)
    threading.settrace(_trace)
    yield
    sys.settrace(None)
    for (where, name), functions in _shared.items():
        if item.nodeid.startswith(where) and name in getattr(item, "fixturenames", ()):
            _now |= functions
    for function in _now:
        _calls[function].add(item.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
    """Keep apart what a shared fixture calls: all of its tests depend on it."""
    global _now
    before, _now = _now, set()
    yield
    if fixturedef.scope != "function":
        _shared[fixturedef.baseid, fixturedef.argname] |= _now
    _now |= before


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up how long a test takes."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish() -> None:
    """Write what was found."""
    found = {name: sorted(tests) for name, tests in _calls.items()}
    document = {"calls": found, "seconds": _seconds}
    Path(os.environ[OUTPUT]).write_text(json.dumps(document))

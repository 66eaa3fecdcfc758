"""How the run that began a journal differs from the one that would go on with it."""

from __future__ import annotations

import json
from typing import Any

from compread.store.axes import Axes
from compread.store.schema import ALL_SPLITS, RunInfo


def differences(header: dict[str, Any], run: RunInfo, axes: Axes) -> list[str]:
    """The identity fields, axes and splits in which a journal's header differs, for a message."""
    return run_differences(header["run"], run) + _of_axes(header["axes"], axes)


def run_differences(there: dict[str, Any], run: RunInfo) -> list[str]:
    """The identity fields in which another run's dictionary differs."""
    there = json.loads(json.dumps(there))  # as JSON keeps it, whose lists are tuples here
    here = json.loads(json.dumps(run.identity()))
    return [_change(key, there.get(key), here[key]) for key in here if there.get(key) != here[key]]


def _of_axes(header: dict[str, Any], axes: Axes) -> list[str]:
    # Through Axes, so that what an earlier version began compares as of this one.
    there, here = Axes.from_dict(header).to_dict(), axes.to_dict()
    names = [key for key in ("components", "labels") if there[key] != here[key]]
    splits = [split for split in ALL_SPLITS if there["splits"][split] != here["splits"][split]]
    return names + [f"{split} rows" for split in splits]


def _change(key: str, there: Any, here: Any) -> str:
    """``"dtype ('float32' there, 'bfloat16' here)"``; long values are left out."""
    values = f"{there!r} there, {here!r} here"
    return f"{key} ({values})" if len(values) <= 80 else key

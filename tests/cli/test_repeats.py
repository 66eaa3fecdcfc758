"""Rows that repeat: what each command makes of them, and says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compread.cli import main
from compread.reweight.fit import reweight
from compread.reweight.registry import make_methods
from compread.store import open_store


def test_a_method_scores_equal_prompts_once(doubled: Any) -> None:
    """Accuracy, interval and n of reweighting are those of rows that stand once."""
    rows = []
    for path in (doubled("1.h5", 1), doubled("2.h5", 2)):
        with open_store(path, "logsumexp") as store:
            (fit,) = reweight([store], make_methods(["full"], "official"))
            rows.append(fit.row() | {"store": None})
    assert rows[0] == rows[1]
    assert rows[0]["n"] == 60


@pytest.mark.parametrize(
    "arguments",
    [
        ["rank", "{2}"],
        ["analyze", "{2}"],
        ["analyze", "{2}", "--versus", "{b}"],
        ["reweight", "{2}", "--methods", "full"],
        ["plot", "change", "{2}", "--versus", "{b}", "-o", "{out}"],
    ],
    ids=" ".join,
)
def test_every_command_tells_of_repeated_rows(
    doubled: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Whatever scores rows says on stderr that some were left out."""
    names = {"2": doubled("2.h5", 2), "b": doubled("2b.h5", 2, seed=1), "out": tmp_path / "p.png"}
    places = {f"{{{name}}}": str(path) for name, path in names.items()}
    assert main([places.get(word, word) for word in arguments]) == 0
    assert "2.h5: 60 of 120); they are left out" in capsys.readouterr().err

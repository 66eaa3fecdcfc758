"""Stores whose columns are whole answers: what shows them, and what refuses them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from compread.cli import main

sys.path.append(str(Path(__file__).parents[1] / "store"))
from test_row_answers import ANSWERS, FULL, write


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of four rows with two to four answers."""
    return write(tmp_path / "cloze.h5")


def test_show_prints_a_row_with_its_answers(store: Path, capsys: Any) -> None:
    """The first test row's answers, their lengths and log-probabilities, and which is right."""
    assert main(["show", str(store)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Answers of test row b" in out and "normalizer 1" in out
    assert f"' y ' 2 3 {FULL[1, 3]:.3f} yes" in out and "Labels" not in out


def test_show_in_json(store: Path, capsys: Any) -> None:
    """The answers are rows of their own."""
    assert main(["show", str(store), "--format", "json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [row["answer"] for row in answers] == list(ANSWERS[1].text)
    assert [row["right"] for row in answers] == [False, False, False, True]
    assert answers[0]["log_probability"] == float(FULL[1, 0])


@pytest.mark.parametrize(
    "command", [["analyze"], ["rank"], ["plot", "heatmap"], ["report"]], ids=" ".join
)
def test_components_are_scored(command: list[str], store: Path, capsys: Any) -> None:
    """A row chooses among its own answers; labels are their positions."""
    file = {"plot": "plot.png", "report": "report.html"}.get(command[0])
    end = ["-o", str(store.parent / file)] if file else []
    assert main([*command, str(store), *end]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_the_normalizer_is_not_ranked_among_components(store: Path, capsys: Any) -> None:
    """It is there where all kinds are asked for, as embed and bias are."""
    found = {}
    for kind in ("head", "all"):
        assert main(["rank", str(store), "--kind", kind, "--top", "0", "--format", "json"]) == 0
        found[kind] = {row["component"] for row in json.loads(capsys.readouterr().out)}
    assert "normalizer" not in found["head"] and "normalizer" in found["all"]


def test_what_cannot_read_answers_refuses_them(store: Path, capsys: Any) -> None:
    """In one line, with the status of a store that does not fit."""
    assert main(["reweight", str(store)]) == 4
    err = capsys.readouterr().err
    assert "its columns are whole answers" in err and len(err.strip().splitlines()) == 1

"""Stores whose columns are whole answers: what shows them, and what refuses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answer_sample import ANSWERS, FULL, write

from compread.cli import main


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


SCORED = [
    ["analyze"], ["rank"], ["plot", "heatmap"], ["plot", "scatter"], ["plot", "transfer"],
    ["plot", "bias"], ["report"],
]  # fmt: skip


@pytest.mark.parametrize("how", ["none", "tokens", "bytes", "characters"])
@pytest.mark.parametrize("command", SCORED, ids=" ".join)
def test_components_are_scored(command: list[str], how: str, store: Path, capsys: Any) -> None:
    """A row chooses among its own answers; a normalisation stands in titles."""
    file = {"plot": "-", "report": "-"}.get(command[0])
    end = ["-o", file] if file else []
    assert main([*command, str(store), "--normalize", how, *end]) == 0
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    told = {"none": "log p per", "tokens": "log p per token"}.get(how, f"per {how[:-1]}")
    assert (told.replace("byte", "UTF-8 byte") in " ".join(out.split())) == (how != "none")


def test_a_change_is_read_of_answers(store: Path, tmp_path: Path, capsys: Any) -> None:
    """Two runs over the same answers are paired, and made alike in length in the same way."""
    other = tmp_path / "other" / "o.h5"
    other.parent.mkdir()
    write(other, fingerprint="beef")
    command = ["analyze", str(store), "--versus", str(other), "--normalize", "bytes"]
    assert main([*command, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[-1]["component"] == "full" and rows[-1]["change"] == 0
    assert {row["normalize"] for row in rows} == {"bytes"}


def test_the_normalizer_is_not_ranked_among_components(store: Path, capsys: Any) -> None:
    """It is there where all kinds are asked for, as embed and bias are."""
    found = {}
    for kind in ("head", "all"):
        assert main(["rank", str(store), "--kind", kind, "--top", "0", "--format", "json"]) == 0
        found[kind] = {row["component"] for row in json.loads(capsys.readouterr().out)}
    assert "normalizer" not in found["head"] and "normalizer" in found["all"]


@pytest.mark.parametrize(
    ("by", "note"),
    [
        ("accuracy", "by permutation of the right answers, corrected"),
        ("accuracy", "predicts this position among a row's own answers"),
        ("accuracy", "balanced accuracy, macro F1, entropy: over the positions."),
        ("mcc", "correlation of predicted and right positions"),
        ("ece", "the softmax over a row's own answers, in 15 bins"),
    ],
)
def test_notes_call_columns_what_they_are(
    by: str, note: str, store: Path, capsys: Any, monkeypatch: Any
) -> None:
    """Where answers are a row's own, no note speaks of labels that rows have in common."""
    monkeypatch.setenv("COLUMNS", "300")  # notes are on columns that there is room for
    assert main(["rank", str(store), "--by", by, "--explain"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert note in out and "label" not in out


def test_what_cannot_read_answers_refuses_them(store: Path, capsys: Any) -> None:
    """In one line, with the status of a store that does not fit."""
    assert main(["reweight", str(store), "--methods", "bc"]) == 4
    err = capsys.readouterr().err
    assert "each row has answers of its own" in err and len(err.strip().splitlines()) == 1

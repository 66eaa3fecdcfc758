"""``compread predictions`` says what components predict on each row."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import answer_sample
import numpy as np
import pytest
from store_sample import ROWS, write

from compread.cli import main
from compread.store import open_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of random numbers, three labels, two layers."""
    return write(tmp_path / "run.h5")


def said(capsys: Any, *arguments: str | Path, form: str = "json") -> Any:
    """What the command prints."""
    assert main(["predictions", *map(str, arguments), "--format", form]) == 0
    out = capsys.readouterr().out
    return json.loads(out) if form == "json" else out


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_row_has_the_largest_logit_s_label(store: Path, split: str, capsys: Any) -> None:
    """Of the full model and of components in the order asked for; the margin is to the next."""
    rows = said(capsys, store, "--component", "L0H1,full,l1*", "--split", split)
    names = ["L0H1", "full", "L1MIX", "L1MLP"]
    with open_store(store) as one:
        numbers, labels = one.split(split), one.labels.names
        place = {component.name: j for j, component in enumerate(one.components)}
    assert [row["component"] for row in rows] == names * len(numbers.id)
    for n, id_ in enumerate(numbers.id):
        for row in rows[n * 4 : n * 4 + 4]:
            name = row["component"]
            own = numbers.full[n] if name == "full" else numbers.parts[n, place[name]]
            first, second = sorted(own.tolist(), reverse=True)[:2]
            assert (row["row"], row["gold"]) == (id_, labels[numbers.gold[n]])
            assert row["prediction"] == labels[int(np.argmax(own))] == row["class"]
            assert row["correct"] == (int(np.argmax(own)) == numbers.gold[n])
            assert row["margin"] == pytest.approx(first - second)


def test_wrong_keeps_the_rows_of_the_first_one(store: Path, capsys: Any) -> None:
    """Rows on which the first named is right are left out, whatever the second says."""
    whole = said(capsys, store, "--component", "full,embed")
    wrong = {r["row"] for r in whole if r["component"] == "full" and not r["correct"]}
    found = said(capsys, store, "--component", "full,embed", "--wrong")
    assert (
        found == [row for row in whole if row["row"] in wrong] and 0 < len(wrong) < len(whole) / 2
    )


def test_answers_of_a_row_s_own_are_named_by_their_texts(tmp_path: Path, capsys: Any) -> None:
    """A column that a row has no answer for is never predicted."""
    store = answer_sample.write(tmp_path / "cloze.h5")
    rows = said(capsys, store, "--component", "full")
    full, answers = answer_sample.FULL, answer_sample.ANSWERS
    with open_store(store) as one:
        numbers = one.split("test")
        texts = [of.text for of in one.answers("test")]
    assert len(full) == len(answers)
    for row, own, text in zip(rows, numbers.full, texts, strict=True):
        assert row["prediction"] == text[int(np.nanargmax(own))] and row["class"] is None


def test_how_answers_are_made_alike_is_said(tmp_path: Path, capsys: Any) -> None:
    """In each row, and above the table; nothing where they are as stored."""
    store = answer_sample.write(tmp_path / "cloze.h5")
    assert {r["normalize"] for r in said(capsys, store, "--normalize", "bytes")} == {"bytes"}
    assert "log p per UTF-8 byte" in said(capsys, store, "--normalize", "bytes", form="md")
    assert "normalize" not in said(capsys, store)[0]


def test_rows_have_the_texts_that_the_store_keeps(store: Path, tmp_path: Path, capsys: Any) -> None:
    """Whole in JSON, in one line of a table without what all begin with; none of other stores."""
    texts = tuple(f"Instruction.\nReview: film {i}\n" * 20 for i in range(13))
    kept = {**ROWS, "test": replace(ROWS["test"], text=texts)}
    kept["train"] = replace(ROWS["train"], text=("x",) * 7)
    other = write(tmp_path / "kept.h5", splits=kept)
    assert [row["text"] for row in said(capsys, other)] == list(texts)
    assert "text" not in said(capsys, store)[0]
    both = said(capsys, other, store)
    assert [row["text"] for row in both] == [*texts, *[None] * 13]
    table = said(capsys, other, form="table")
    assert " Review: film 0" in table and "Instruction. Review" not in table.split("film 0 ")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_texts_that_are_not_kept_cannot_be_shown(store: Path, capsys: Any) -> None:
    """The column of texts names the option that keeps them."""
    assert main(["predictions", str(store), "--columns", "row,text"]) == 2
    assert "keep no texts; extract them again with --keep-text" in capsys.readouterr().err


def test_a_table_is_cut_and_says_so(store: Path, capsys: Any) -> None:
    """CSV is whole."""
    table = said(capsys, store, "--component", "*", "--top", "3", form="table")
    lines = list(csv.reader(io.StringIO(said(capsys, store, "--component", "*", form="csv"))))
    assert f"{len(lines) - 1 - 3} more; --top 0 shows all" in " ".join(table.split())
    assert len({row[3] for row in lines[1:]}) * 8 == len(lines) - 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("L0H9", "did you mean 'L0H"),
        ("mlp*", "a pattern such as L3H*"),
        (" ", "no component is named"),
    ],
)
def test_an_unknown_name_is_refused(store: Path, name: str, words: str, capsys: Any) -> None:
    """In one line, with what there is."""
    assert main(["predictions", str(store), "--component", name]) == 2
    assert words in capsys.readouterr().err

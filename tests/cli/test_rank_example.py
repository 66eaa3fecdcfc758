"""``compread rank --example`` and ``compread.rank(example=...)``: one row's answer in its parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_sample

import compread
from compread.cli import main
from compread.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store whose parts add up to the full model's logits, with its rows' texts."""
    texts = {
        name: replace(rows, text=tuple(f"Say:\n<{id_}>" for id_ in rows.id))
        for name, rows in store_sample.ROWS.items()
    }
    numbers = {**store_sample.NUMBERS, "full": store_sample.NUMBERS["parts"].sum(axis=1)}
    with store_sample.open_writer(tmp_path / "run.h5", splits=texts) as writer:
        writer.append(np.arange(len(writer.done)), **numbers)
        return writer.finish(store_sample.END)


def test_the_running_sum_ends_in_the_full_model_s_margin(store: Path, capsys: Any) -> None:
    """JSON has every component; the table the largest, the sum of the rest, and the text."""
    assert main(["rank", str(store), "--example", "r9", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    full = rows[-1]
    assert len(rows) == store_sample.C + 1 and full["component"] == "full"
    assert rows[-2]["running_sum"] == pytest.approx(full["logit_difference"], abs=1e-5)
    assert list(map(dict, compread.rank(store, example="r9"))) == rows
    assert main(["rank", str(store), "--example", "r9", "--top", "2"]) == 0
    table = " ".join(capsys.readouterr().out.split())
    assert f"right is {full['right']}, the full model says {full['prediction']}" in table
    assert "Say: <r9>" in table and "3 more" in table
    assert f"{rows[1]['component']} {rows[1]['kind']}" in table
    assert rows[3]["component"] not in table


def test_a_sum_that_is_shown_otherwise_than_the_margin_is_told(
    store: Path, tmp_path: Path, capsys: Any
) -> None:
    """The model's own logits are rounded to its format; the note says so where it shows."""
    parts = store_sample.NUMBERS["parts"]
    full = parts.sum(axis=1) * np.float32(1.004)
    with store_sample.open_writer(tmp_path / "rounded.h5") as writer:
        writer.append(np.arange(len(writer.done)), **{**store_sample.NUMBERS, "full": full})
        rounded = writer.finish(store_sample.END)
    for path, told in ((store, False), (rounded, True)):
        assert main(["rank", str(path), "--example", "r9"]) == 0
        words = " ".join(capsys.readouterr().out.split())
        assert ("full model's margin, which it gives in" in words) is told


def test_one_head_is_one_line(store: Path, capsys: Any) -> None:
    """The full model stays beside it; a pattern names several."""
    assert main(["rank", str(store), "--example", "r9", "--component", "l0h*"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = [line.split()[0] for line in lines if line]
    assert {"L0H0", "L0H1", "full"} <= set(first)
    assert not any(line.startswith(("L1", "embed", "L0MLP")) for line in lines)
    assert "Those of all components, these and the others, add up" in " ".join(lines)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--component", "L0H0"], "--component L0H0 chooses what --example ID shows"),
        (
            ["--example", "r9", "--by", "margin", "--per", "seed"],
            "--by, --per is about the rank",
        ),
        (["--example", "r9", "--component", "L7H7"], "there is no component 'L7H7'"),
        (["--example", "r99"], "did you mean 'r9'?"),
    ],
)
def test_what_does_not_go_together_is_refused(
    store: Path, options: list[str], words: str, capsys: Any
) -> None:
    """In one line that says which option and what to do."""
    assert main(["rank", str(store), *options]) == 2
    assert words in capsys.readouterr().err


def test_the_text_of_one_row_is_read(store: Path, monkeypatch: Any) -> None:
    """And not those of the split."""
    asked: list[slice] = []
    read = Store.texts

    def texts(self: Any, split: str, rows: slice = slice(None)) -> Any:
        asked.append(rows)
        return read(self, split, rows)

    monkeypatch.setattr(Store, "texts", texts)
    assert main(["rank", str(store), "--example", "r9"]) == 0
    assert [rows.stop - rows.start for rows in asked] == [1]

"""``compread predict`` on rows that bring answers of their own."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_folder import save_tiny, write_rows

from compread.cli import main
from compread.reweight.rows import rows_of
from compread.reweight.scoring import finite_scores
from compread.reweight.select import choose
from compread.reweight.weights_file import Weights
from compread.store import open_store

OPTIONS = ([" good", " bad", " a film"], [" bad", " bad film"], [" good film", " x", " fine", " y"])


def rows(split: str, n: int) -> list[dict[str, Any]]:
    """Rows with two to four answers."""
    return [
        {"prompt": f"Review: a film\nIt was {split[1]}{i}:", "options": OPTIONS[i % 3],
         "label": i % 2, "split": split, "id": f"{split}{i}"}
        for i in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model, a store and weights that were fitted on it, per token and as it is."""
    folder = tmp_path_factory.mktemp("own")
    prompts = write_rows(folder / "own.jsonl", [*rows("train", 10), *rows("test", 9)])
    model, store = save_tiny(folder / "tiny"), folder / "own.h5"
    extract = ["extract", "--model", model, "--prompts", prompts, "-o", store, "--quiet"]
    assert main(list(map(str, [*extract, "--unconditional"]))) == 0
    for how in ("none", "tokens", "pmi"):
        fit = ["reweight", store, "--save", folder / f"{how}.json", "--normalize", how]
        assert main(list(map(str, fit))) == 0
    return SimpleNamespace(folder=folder, model=model, store=store)


def predicted(made: SimpleNamespace, how: str, lines: list[dict[str, Any]], *more: str) -> int:
    """The status of the command on these rows."""
    file = write_rows(made.folder / "new.jsonl", lines)
    weights = made.folder / f"{how}.json"
    command = ["predict", "--model", made.model, "--weights", weights, "--input", file, *more]
    return main(list(map(str, command)))


@pytest.mark.parametrize("how", ["none", "tokens"])
@pytest.mark.parametrize("method", ["full", "comprw", "blend-row"])
def test_the_answer_is_that_of_reweight(
    made: SimpleNamespace, how: str, method: str, capsys: Any
) -> None:
    """Its text, with a probability for each of the row's own answers and no other."""
    capsys.readouterr()
    more = [] if method == "full" else ["--explain", "2"]
    assert predicted(made, how, rows("test", 9), "--method", method, *more) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fit = choose(Weights.read(made.folder / f"{how}.json").fits, method)
    with open_store(made.store, None, how) as store:
        scores = finite_scores(fit.fitted, rows_of(store.split("test"), store.components))
        answers = store.answers("test")
    assert [row["id"] for row in said] == [f"test{i}" for i in range(9)]
    for row, own, score in zip(said, answers, scores, strict=True):
        assert row["label"] == own.text[int(score.argmax())]
        assert tuple(row["probabilities"]) == own.text
        assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert len({len(row["probabilities"]) for row in said}) == 3
    assert np.isfinite([row.get("margin", 0.0) for row in said]).all()


@pytest.mark.parametrize("how", ["none", "tokens"])
@pytest.mark.parametrize("method", ["full", "comprw", "blend-row"])
def test_rows_alone_are_answered_as_among_others(
    made: SimpleNamespace, how: str, method: str, capsys: Any
) -> None:
    """However many answers a row brings, fewer or more than the rows of the fit had."""
    lines = [*rows("test", 6), {"prompt": "It was:", "options": [f" film{n}" for n in range(6)]}]
    more = ["--method", method, *([] if method == "full" else ["--explain", "2"])]
    capsys.readouterr()
    assert predicted(made, how, lines, *more) == 0
    together = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, before in zip(lines, together, strict=True):
        assert predicted(made, how, [line], *more) == 0
        after = json.loads(capsys.readouterr().out)
        assert (after["label"], [*after["probabilities"]]) == (before["label"], line["options"])
        assert after["probabilities"] == pytest.approx(before["probabilities"], abs=1e-4)
        assert after.get("against", line["options"][0]) in line["options"]
        assert "against" not in after or after["against"] == before["against"] != after["label"]


@pytest.mark.parametrize(
    "options", [None, [" good"], [" good", " good"], [" good", ""], " good", [" x"] * 27]
)
def test_rows_without_answers_are_refused(made: SimpleNamespace, options: Any, capsys: Any) -> None:
    """In one line that says what is expected."""
    line = {"prompt": "It was:", **({} if options is None else {"options": options})}
    assert predicted(made, "none", [line]) != 0
    err = capsys.readouterr().err
    assert "expected 2 to 26 different texts" in err and "Traceback" not in err


def test_pmi_is_of_no_row_alone(made: SimpleNamespace, capsys: Any) -> None:
    """Weights on what is less an unconditional prompt's are refused."""
    assert predicted(made, "pmi", rows("test", 1)) == 2
    assert "fitted with --normalize pmi" in capsys.readouterr().err


CLOZE = """\
description: which one?
fields: {endings: choices}
label: {index: right}
templates:
  cloze: {text: "{{ question }}:", options: endings.text, answer: " {{ option | trim }}!"}
"""


@pytest.fixture(scope="module")
def cloze(made: SimpleNamespace) -> tuple[Any, list[dict[str, Any]]]:
    """Weights of a task that makes each row's options of its fields, and the test rows."""
    folder = made.folder / "cloze"
    (folder / "data" / "mine").mkdir(parents=True)
    (folder / "mine.yaml").write_text(CLOZE)
    for split in ("train", "test"):
        data = [
            {"question": f"{split[1]} film {i}", "right": i % 2,
             "choices": {"text": [one.strip() for one in OPTIONS[i % 3]]}}
            for i in range(24)
        ]  # fmt: skip
        write_rows(folder / "data" / "mine" / f"{split}.jsonl", data)
    extract = ["extract", "--model", made.model, "--tasks", folder / "mine.yaml", "--quiet"]
    extract += ["--data-dir", folder / "data", "-o", folder / "c.h5", "--n-train", 8]
    assert main(list(map(str, extract))) == 0
    fit = ["reweight", folder / "c.h5", "--methods", "full", "--save", made.folder / "cloze.json"]
    assert main(list(map(str, fit))) == 0
    with open_store(folder / "c.h5") as store:
        ids = store.split("test").id
    return folder / "c.h5", [{**data[int(i.split("-")[1])], "id": i} for i in ids]


def test_answers_are_made_of_the_row_as_extract_makes_them(
    made: SimpleNamespace, cloze: Any, capsys: Any
) -> None:
    """A row of the task's data needs no ``options``; one that has them chooses from those."""
    path, new = cloze
    capsys.readouterr()
    assert predicted(made, "cloze", new) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with open_store(path) as store:
        full, answers = store.split("test").full, store.answers("test")
    for row, own, score in zip(said, answers, full, strict=True):
        assert tuple(row["probabilities"]) == own.text and own.text[0].endswith("!")
        assert row["label"] == own.text[int(np.nanargmax(score))] and "class" not in row
    given = [{**new[0], "options": [" good", " a film"]}]
    assert predicted(made, "cloze", given) == 0
    assert list(json.loads(capsys.readouterr().out)["probabilities"]) == [" good", " a film"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": None}, "row 'x': template 'cloze': its 'options' .*is null"),
        ({"choices": {"text": ["a"]}}, "are 1; expected 2 to 26"),
        ({"choices": {"text": ["a", "a "]}}, "expected 2 to 26 different texts"),
        ({"prompt": "A:"}, "'options' is None"),
    ],
)
def test_answers_that_cannot_be_made(
    made: SimpleNamespace, cloze: Any, change: dict[str, Any], message: str, capsys: Any
) -> None:
    """The row is named, and what it lacks."""
    capsys.readouterr()
    assert predicted(made, "cloze", [{**cloze[1][0], "id": "x", **change}]) == 1
    err = capsys.readouterr().err
    assert re.search(message, err) and "Traceback" not in err

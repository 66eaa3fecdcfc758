"""``compread predict`` on rows that bring answers of their own."""

from __future__ import annotations

import json
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

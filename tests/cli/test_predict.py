"""``compread predict`` on a tiny model: the labels of ``reweight``, row by row and in order."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pytest
from scipy.special import softmax
from tiny_folder import review_rows, save_tiny, write_rows

from compread.cli import main, predict
from compread.reweight.apply import retold
from compread.reweight.rows import rows_of
from compread.reweight.select import choose, choose_ensemble
from compread.reweight.weights_file import Weights
from compread.store import open_store

Run = Callable[..., tuple[int, str, str]]
WORDS = ("good", "bad", "fine", "film", "x")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model, a store of a task with its weights, and the store's test rows as new rows."""
    folder = tmp_path_factory.mktemp("predict")
    data = folder / "data" / "sst2"
    data.mkdir(parents=True)
    rows = {}
    for split, n in (("train", 30), ("test", 40)):
        rows[split] = [
            {"sentence": f"{WORDS[i % 5]} {split[1]}{i}", "label": i % 2} for i in range(n)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows[split])
        (data / f"{split}.jsonl").write_text(lines)
    model, store, weights = save_tiny(folder / "tiny"), folder / "a.h5", folder / "w.json"
    extract = ["extract", "--model", model, "--tasks", "sst2", "--num-fewshot", 2]
    extract += ["--n-train", 12, "--data-dir", folder / "data", "-o", store, "--quiet"]
    assert main(list(map(str, extract))) == 0
    reweight = ["reweight", store, "--methods", "full,bc,comprw,vote,blend", "--save", weights]
    assert main(list(map(str, reweight))) == 0
    with open_store(store) as opened:
        split, components = opened.split("test"), opened.components
    new = [{**rows["test"][int(i.split("-")[1])], "id": i} for i in split.id]
    return SimpleNamespace(
        folder=folder, model=model, store=store, weights=weights, new=new, split=split,
        components=components,
    )  # fmt: skip


@pytest.fixture
def run(
    made: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """A function that predicts rows from stdin: its status, stdout and stderr.

    Without the line that says that rows are labelled alone.
    """

    def call(rows: Any, *arguments: Any, model: Any = None) -> tuple[int, str, str]:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        stdin = SimpleNamespace(buffer=io.BytesIO("\n".join(lines).encode()))
        monkeypatch.setattr("sys.stdin", stdin)
        command = ["predict", "--model", str(model or made.model), "--input", "-"]
        command += ["--weights", str(made.weights), *map(str, arguments)]
        capsys.readouterr()
        status = main(command)
        out, err = capsys.readouterr()
        return (
            status,
            out,
            re.sub(r"^\S+: each row is labelled alone\n", "", err, count=1, flags=re.M),
        )

    return call


def scores(made: SimpleNamespace, method: str | None = None) -> tuple[Any, np.ndarray]:
    """The chosen fit and its scores of the store's test rows."""
    fit = choose(Weights.read(made.weights).fits, method)
    return fit, fit.fitted.scores(rows_of(made.split, made.components))


@pytest.mark.parametrize("method", [None, "comprw", "full", "vote"])
def test_labels_are_those_of_reweight(made: SimpleNamespace, run: Run, method: str | None) -> None:
    """The store's rows given as new rows get the store's scores, in order, over several windows."""
    assert len(made.new) > 2 * predict.FIRST_WINDOW
    status, out, err = run(made.new, *(("--method", method) if method else ()))
    assert (status, err) == (0, "")
    rows = list(map(json.loads, out.splitlines()))
    assert [row["id"] for row in rows] == list(made.split.id)
    fit, wanted = scores(made, method)
    assert fit.method == (method or "blend-row")
    got = np.array([[row["probabilities"][word] for word in fit.labels.word] for row in rows])
    assert fit.temperature is not None and fit.temperature != 1
    np.testing.assert_allclose(got, softmax(wanted / fit.temperature, axis=1), atol=1e-4)
    words = [fit.labels.word[k] for k in wanted.argmax(axis=1)]
    assert [row["label"] for row in rows] == words
    assert method or len(set(words)) == 2  # the default tells the rows apart


def test_weights_without_a_temperature_say_so(
    made: SimpleNamespace, run: Run, tmp_path: Path
) -> None:
    """A file of before has the softmax of the scores, as it had, and a note on stderr."""
    fits = [replace(fit, temperature=None) for fit in Weights.read(made.weights).fits]
    Weights(tuple(fits)).write(old := tmp_path / "old.json")
    status, out, err = run(made.new, "--weights", old)
    fit, wanted = scores(made)
    rows = list(map(json.loads, out.splitlines()))
    got = np.array([[row["probabilities"][word] for word in fit.labels.word] for row in rows])
    np.testing.assert_allclose(got, softmax(wanted, axis=1), atol=1e-4)
    assert status == 0 and err.count("\n") == 1
    assert "has no temperature for blend-row" in err and "reweight --save" in err


def test_the_order_is_that_of_the_input(made: SimpleNamespace, run: Run) -> None:
    """Rows of mixed lengths, turned round, come back turned round."""
    rows = [{**r, "sentence": r["sentence"] + " good" * (i % 7)} for i, r in enumerate(made.new)]
    there = [json.loads(line) for line in run(rows)[1].splitlines()]
    back = [json.loads(line) for line in run(rows[::-1])[1].splitlines()]
    assert [row["id"] for row in back] == [row["id"] for row in rows[::-1]]
    for one, other in zip(there, back[::-1], strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


def test_a_file_is_a_stream_in_larger_windows(made: SimpleNamespace, run: Run) -> None:
    """Rows of a file get what the same rows on stdin get."""
    path = made.folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n\n" for row in made.new))
    status, out, err = run([], "--input", path)
    assert (status, err) == (0, "")
    for line, other in zip(out.splitlines(), run(made.new)[1].splitlines(), strict=True):
        one, two = json.loads(line), json.loads(other)
        assert (one["id"], one["label"]) == (two["id"], two["label"])
        assert one["probabilities"] == pytest.approx(two["probabilities"], abs=1e-4)


def test_a_whole_prompt_is_the_row_behind_the_demonstrations(
    made: SimpleNamespace, run: Run
) -> None:
    """The store's sample prompt, given whole, is its first row; ids are row numbers."""
    with open_store(made.store) as store:
        sample = store.run.sample_prompt
        shown, words = store.run.protocol["shown"], store.labels.word
    assert len(shown) == 2 and all(text + word in sample for text, word in shown)
    (line,) = run([{"prompt": sample}])[1].splitlines()
    row = json.loads(line)
    assert row["id"] == "0" and set(row["probabilities"]) == set(words)
    with open_store(made.store) as store:
        train = store.split("train")
    fit, _ = scores(made)
    wanted = softmax(fit.fitted.scores(rows_of(train, made.components))[0] / fit.temperature)
    assert list(row["probabilities"].values()) == pytest.approx(list(wanted), abs=1e-4)


def test_explanations_add_up(made: SimpleNamespace, run: Run) -> None:
    """Components and rest are the margin, and the largest stand first."""
    out = run(made.new, "--explain", 3)[1]
    fit, wanted = scores(made)
    for line, score in zip(out.splitlines(), wanted, strict=True):
        row = json.loads(line)
        shares = list(row["components"].values())
        assert len(shares) == 3 and sorted(shares, key=abs, reverse=True) == shares
        assert sum(shares) + row["rest"] == pytest.approx(row["margin"])
        assert row["margin"] == pytest.approx(abs(score[0] - score[1]), abs=1e-3)
        assert {row["label"], row["against"]} == set(fit.labels.word)


def test_rows_are_answered_before_the_next_are_read(
    made: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first window is printed before the row behind it is asked for."""
    printed: list[int] = []

    def lines() -> Any:
        for number, row in enumerate(made.new):
            if number == predict.FIRST_WINDOW:
                printed.append(len(capsys.readouterr().out.splitlines()))
            yield json.dumps(row).encode() + b"\n"

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=lines()))
    command = ["predict", "--model", made.model, "--weights", made.weights, "--input", "-"]
    assert main(list(map(str, command))) == 0
    assert printed == [predict.FIRST_WINDOW]


@pytest.mark.parametrize("bad", ["{", '{"text": "x"}'])
def test_rows_before_a_wrong_one_are_answered(made: SimpleNamespace, run: Run, bad: str) -> None:
    """A bad line, or a row that lacks a field, costs nothing of what came before it."""
    status, out, err = run([*made.new[:5], bad, made.new[5]])
    assert (status, len(out.splitlines()), len(err.splitlines())) == (1, 5, 1)
    assert out == run(made.new[:5])[1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_read_like_json_lines(made: SimpleNamespace, run: Run, suffix: str) -> None:
    """Its rows have the same labels, under their ids or else their places."""
    table = pandas.DataFrame([{"sentence": row["sentence"]} for row in made.new[:5]])
    file = made.folder / f"new.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    lines = [json.loads(line) for line in run([], "--input", file)[1].splitlines()]
    wanted = [json.loads(line) for line in run(made.new[:5])[1].splitlines()]
    assert [line["label"] for line in lines] == [line["label"] for line in wanted]
    assert [line["id"] for line in lines] == ["0", "1", "2", "3", "4"]


def test_a_pipe_is_read_like_a_file(made: SimpleNamespace, run: Run) -> None:
    """As the shell's ``--input <(command)`` gives it."""
    path = made.folder / "pipe"
    os.mkfifo(path)
    text = "".join(json.dumps(row) + "\n" for row in made.new[:5])
    writer = threading.Thread(target=path.write_text, args=(text,))
    writer.start()
    status, out, err = run([], "--input", path)
    writer.join()
    assert (status, err, out) == (0, "", run(made.new[:5])[1])


def test_words_of_one_class_are_pooled(
    made: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights of a prompt file with two words a class label whole prompts by class."""
    rows = review_rows(30, n_train=10)
    options = [[" negative", " bad"], [" positive", " good"]]
    file = write_rows(tmp_path / "p.jsonl", [{**row, "options": options} for row in rows])
    store, weights = tmp_path / "p.h5", tmp_path / "w.json"
    extract = ["extract", "--model", made.model, "--prompts", file, "-o", store, "-q"]
    assert main(list(map(str, extract))) == 0
    assert (
        main(["reweight", str(store), "--methods", "blend,bc-train", "--save", str(weights)]) == 0
    )
    new = write_rows(
        tmp_path / "new.jsonl",
        [{"prompt": r["prompt"], "id": r["id"]} for r in rows if r["split"] == "test"],
    )
    for method in ("blend-row", "bc-train"):
        capsys.readouterr()
        command = ["predict", "--model", made.model, "--weights", weights, "--input", new]
        assert main(list(map(str, [*command, "--method", method]))) == 0
        found = [json.loads(line)["probabilities"] for line in capsys.readouterr().out.splitlines()]
        fit = choose(Weights.read(weights).fits, method)
        with open_store(store, fit.pool) as opened:
            scores = fit.fitted.scores(rows_of(opened.split("test"), opened.components))
        wanted = softmax(scores / fit.temperature, axis=1)
        assert fit.labels.word == (" negative", " positive") and len(fit.words.word) == 4
        got = [[row[word] for word in fit.labels.word] for row in found]
        np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "shares", "said"),
    [
        (None, None, "blend-row: each row is labelled alone"),
        ("blend", None, "blend: a row is labelled with those so far, the labels' shares estimated"),
        ("bc", None, "bc: a row is labelled with those so far, the labels' shares taken to be ev"),
        (None, "0.8,0.2", "blend: a row is labelled with those so far, the labels' shares taken to "
         "be 0.8, 0.2"),
    ],
)  # fmt: skip
def test_rows_are_labelled_alone_or_with_those_so_far(
    made: SimpleNamespace, capsys: pytest.CaptureFixture[str], method: Any, shares: Any, said: str
) -> None:
    """The command says which; the last window of a file has the scores of `reweight --apply`."""
    file = write_rows(made.folder / "all.jsonl", made.new)
    command = ["predict", "--model", made.model, "--weights", made.weights, "--input", file]
    command += [*(("--method", method) if method else ())]
    command += [*(("--label-shares", shares) if shares else ())]
    capsys.readouterr()
    assert main(list(map(str, command))) == 0
    out, err = capsys.readouterr()
    assert err.startswith(said) and err.count("\n") == 1
    fit = choose(Weights.read(made.weights).fits, "blend" if shares else method)
    told = retold(fit, (0.8, 0.2)) if shares else fit
    wanted = told.fitted.scores(rows_of(made.split, made.components))
    got = np.array([list(json.loads(r)["probabilities"].values()) for r in out.splitlines()])
    np.testing.assert_allclose(got, softmax(wanted / fit.temperature, axis=1), atol=1e-4)


@pytest.fixture(scope="module")
def worded(made: SimpleNamespace) -> SimpleNamespace:
    """The same rows in a second template, and weights of both together."""
    folder, weights = made.folder / "worded", made.folder / "both.json"
    templates = "review-sentiment,review-question"
    extract = ["extract", "--model", made.model, "--tasks", "sst2", "--num-fewshot", 2]
    extract += ["--templates", templates, "--n-train", 12, "--data-dir", made.folder / "data"]
    assert main(list(map(str, [*extract, "-o", folder, "--quiet"]))) == 0
    reweight = ["reweight", folder, "--ensemble", "templates", "--methods", "full,comprw,blend"]
    assert main(list(map(str, [*reweight, "--save", weights]))) == 0
    return SimpleNamespace(folder=folder, weights=weights)


@pytest.mark.parametrize("method", [None, "comprw"])
def test_an_ensemble_runs_each_of_its_prompts(
    made: SimpleNamespace, worded: SimpleNamespace, run: Run, method: str | None
) -> None:
    """Probabilities are the softmax of the two stores' averaged scores; explanations add up."""
    named = ("--method", method) if method else ()
    status, out, err = run(made.new, "--weights", worded.weights, "--explain", 2, *named)
    rows = list(map(json.loads, out.splitlines()))
    assert (status, err) == (0, "") and [row["id"] for row in rows] == list(made.split.id)
    one = choose_ensemble(Weights.read(worded.weights).ensembles, method)
    total = np.zeros((len(rows), 2))
    for member, size in zip(one.members, one.sizes, strict=True):
        with open_store(member.store) as store:
            scores = member.fitted.scores(rows_of(store.split("test"), store.components))
        total += scores / size / 2
    got = np.array([list(row["probabilities"].values()) for row in rows])
    np.testing.assert_allclose(got, softmax(total / one.temperature, axis=1), atol=1e-4)
    for row, score in zip(rows, total, strict=True):
        assert sum(row["components"].values()) + row["rest"] == pytest.approx(row["margin"])
        assert row["margin"] == pytest.approx(abs(score[0] - score[1]), abs=1e-3)


def test_what_an_ensemble_cannot_answer(
    made: SimpleNamespace, worded: SimpleNamespace, run: Run
) -> None:
    """A whole prompt has but one wording; a store's own weights take it."""
    given = ("--weights", worded.weights)
    status, out, err = run([{"prompt": "a"}], *given)
    assert (status, out, err.count("\n")) == (1, "", 1) and "words each row in 2 ways" in err
    status, out, err = run([{"prompt": "a"}], *given, "--store", "review-sentiment-k2-s0.h5")
    assert (status, err, len(out.splitlines())) == (0, "", 1)
    status, _, err = run(made.new, *given, "--method", "vote")
    assert status == 2 and "they have blend on 12 rows a store; blend-row on 12" in err
    whole = run(made.new[:17], *given)[1].splitlines()
    status, out, err = run([*made.new[:17], "{"], *given)
    assert status == 1 and err.count("\n") == 1
    for line, other in zip(out.splitlines(), whole, strict=True):
        one, two = json.loads(line), json.loads(other)
        assert one["probabilities"] == pytest.approx(two["probabilities"], abs=1e-4)


def test_another_model_is_refused(made: SimpleNamespace, run: Run) -> None:
    """A model of the same shape with other numbers is not the weights'."""
    other = save_tiny(made.folder / "other", seed=1)
    status, out, err = run(made.new, model=other)
    assert (status, out) == (4, "") and "fingerprint" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("row", "swapped", "message"),
    [
        ({"sentence": "x"}, True, "label words [' negative', ' positive'] are the tokens"),
        ({"text": "x"}, False, "row '0'"),
    ],
    ids=["tokens", "row"],
)
def test_a_file_s_first_row_is_tried_before_the_weights_are_loaded(
    made: SimpleNamespace, run: Run, tmp_path: Path, row: Any, swapped: bool, message: str
) -> None:
    """A tokenizer that numbers the label words otherwise, or a wrong row, needs no weights."""
    model = Path(shutil.copytree(made.model, tmp_path / "model"))
    (model / "model.safetensors").write_bytes(b"")
    if swapped:
        saved = json.loads((model / "tokenizer.json").read_text())
        words = saved["model"]["vocab"]
        one, other = "Ġnegative", "Ġpositive"
        words[one], words[other] = words[other], words[one]
        (model / "tokenizer.json").write_text(json.dumps(saved))
    file = write_rows(tmp_path / "rows.jsonl", [row])
    status, out, err = run([], "--input", file, model=model)
    assert (status, out) == (1, "") and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("row", "arguments", "status", "message"),
    [
        ({"text": "x", "id": "r7"}, (), 1, "row 'r7'"),
        ("{", (), 1, "standard input, line 1: not valid JSON"),
        ({"prompt": ""}, (), 1, "row '0': 'prompt' is ''"),
        ({"sentence": None}, (), 1, "row '0'"),
        ({"sentence": "x", "id": [1]}, (), 1, "id must be a string or a whole number, got [1]"),
        (
            {"sentence": "x"},
            ("--label-shares", "1,2"),
            2,
            "--label-shares '1,2': shares are above 0",
        ),
        ({"sentence": "x"}, ("--label-shares", "0.2,0.3,0.5"), 2, "3 shares, and the rows have 2"),
        ({"sentence": "x"}, ("--label-shares", "train"), 2, "fit them with --label-shares train"),
        (
            {"sentence": "x"},
            ("--label-shares", "balanced", "--method", "comprw"),
            2,
            "comprw scores each alone; the weights have bc, blend",
        ),
        ({"sentence": "x"}, ("--method", "linc"), 2, "no such fit; they have bc on 12 rows"),
        ({"sentence": "x"}, ("--n-train", "7"), 2, "no such fit"),
        ({"sentence": "x"}, ("--method", "full", "--explain", "2"), 2, "no component weights"),
        ({"sentence": "x"}, ("--weights", "nope.json"), 4, "no such weights file"),
        ({"sentence": "x"}, ("--input", "nope.jsonl"), 1, "nope.jsonl: no such file"),
        ({"sentence": "x"}, ("--input", "."), 1, ". is a folder"),
    ],
)
def test_what_cannot_be_is_one_line(
    run: Run, row: Any, arguments: tuple[str, ...], status: int, message: str
) -> None:
    """One clear line on stderr and nothing on stdout."""
    got, out, err = run([row], *arguments)
    assert (got, out) == (status, "")
    assert message in err and len(err.splitlines()) == 1


MINE = """\
description: is it good?
fields: {sentence: says}
label: {field: label, values: [0, 1]}
templates:
  plain:
    text: "{{ sentence }}{{ more | default('.') }}\\nSentiment:"
    labels: {"bad": [" negative"], "good": [" positive"]}
"""


@pytest.fixture(scope="module")
def own(made: SimpleNamespace) -> SimpleNamespace:
    """Weights of a task of one's own, with another name for a field, whose file is gone."""
    folder = made.folder / "own"
    (folder / "data" / "mine").mkdir(parents=True)
    (folder / "mine.yaml").write_text(MINE)
    rows = [{"says": f"{WORDS[i % 5]} {i}", "label": i % 2} for i in range(40)]
    for split in ("train", "test"):
        own = [row for row in rows if (row["label"] + int(row["says"].split()[1]) // 2) % 2]
        write_rows(folder / "data" / "mine" / f"{split}.jsonl", own if split == "test" else [
            {**row, "says": "so " + row["says"]} for row in rows
        ])  # fmt: skip
    store, weights = folder / "own.h5", folder / "w.json"
    extract = ["extract", "--model", made.model, "--tasks", folder / "mine.yaml", "-o", store]
    extract += ["--data-dir", folder / "data", "--num-fewshot", 2, "--n-train", 8, "--quiet"]
    assert main(list(map(str, extract))) == 0
    assert main(["reweight", str(store), "--methods", "full", "--save", str(weights)]) == 0
    (folder / "mine.yaml").rename(folder / "mine.txt")
    with open_store(store) as opened:
        ids = opened.split("test").id
    tests = (folder / "data" / "mine" / "test.jsonl").read_text().splitlines()
    new = [{**json.loads(tests[int(i.split("-")[1])]), "id": i} for i in ids]
    return SimpleNamespace(folder=folder, weights=weights, new=new, store=store)


def test_weights_carry_what_rows_need_of_their_task(
    own: SimpleNamespace, made: SimpleNamespace, run: Run
) -> None:
    """Without the task's file rows are worded as the run's were; classes stand beside words."""
    status, out, err = run(own.new, "--weights", own.weights)
    assert (status, err) == (0, "")
    rows = list(map(json.loads, out.splitlines()))
    with open_store(own.store) as store:
        full = store.split("test").full
    (fit,) = Weights.read(own.weights).fits
    got = np.array([list(row["probabilities"].values()) for row in rows])
    np.testing.assert_allclose(got, softmax(full / fit.temperature, axis=1), atol=1e-4)
    names = {" negative": "bad", " positive": "good"}
    assert fit.labels.class_name == ("bad", "good")
    assert [row["class"] for row in rows] == [names[row["label"]] for row in rows]
    assert fit.run.protocol["fields"] == {"sentence": "says"}
    (line,) = run(made.new[:1])[1].splitlines()
    row = json.loads(line)
    assert row["class"] == row["label"].strip()


def test_weights_of_before_still_need_the_task(own: SimpleNamespace, run: Run) -> None:
    """Those of a run that has not kept its task's fields ask for its file, and take no other's."""
    before = []
    for fit in Weights.read(own.weights).fits:
        kept = {key: value for key, value in fit.run.protocol.items() if key != "fields"}
        before.append(replace(fit, run=replace(fit.run, protocol=kept)))
    old = own.folder / "old.json"
    Weights(tuple(before)).write(old, force=True)
    (own.folder / "tasks").mkdir()
    status, out, err = run(own.new, "--weights", old, "--include-path", own.folder / "tasks")
    assert (status, out) == (1, "") and "there is no task 'mine'" in err
    shutil.copy(own.folder / "mine.txt", file := own.folder / "tasks" / "mine.yaml")
    status, out, err = run(own.new, "--weights", old, "--include-path", file.parent)
    assert (status, err) == (0, "") and out == run(own.new, "--weights", own.weights)[1]
    file.write_text(file.read_text().replace("Sentiment", "Mood"))
    status, out, err = run(own.new, "--weights", old, "--include-path", file.parent)
    assert (status, out) == (1, "") and "is not the one that the weights were fitted with" in err
    new = ("--weights", own.weights, "--include-path", file.parent)
    assert run(own.new, *new)[1] == run(own.new, "--weights", own.weights)[1]

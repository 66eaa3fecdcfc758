"""``extract`` over grids: where rows come from, templates, seeds, checkpoints, label words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from stores import contents
from tiny_folder import save_tiny, write_rows

from compread.cli import main
from compread.store import open_store, store_states
from compread.store.run_list import lists_below, read_list

Run = Callable[..., tuple[int, str, str]]
TASK = """\
description: is the film good?
source: {id: HUB, splits: {train: train, test: validation}}
label: {field: label, values: [0, 1]}
templates:
  plain:
    text: "Review: {{ sentence }}\\nSentiment:"
    labels: LABELS
  plain-contrast:
    text: "Review: {{ sentence }} \\nSentiment:"
    labels: LABELS
    contrast_of: plain
"""
ONE_WORD = '[" negative", " positive"]'
WORDS = '{low: [" negative", " bad"], high: [" positive", " good"]}'
SMALL = ("--tasks", "films", "--n-train", 4, "--limit", 6, "--num-fewshot", 2)


def rows(split: str, n: int) -> list[dict[str, Any]]:
    """Made-up reviews, some with what parquet and CSV readers like to change."""
    texts = ["null", "NA", 'a "film", good', "a\u2028good film", "001"]
    return [
        {"sentence": f"{texts[i % 5]} {split} {i}" if i > 4 else texts[i], "label": i % 2}
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, and two of its checkpoints as subfolders of a folder."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "tiny")
    for seed, name in enumerate(("step1000", "step4000")):
        save_tiny(folder / "steps" / name, seed=seed)
    return folder


@pytest.fixture
def run(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> Run:
    """A function that runs ``extract`` in ``tmp_path``: status, stdout and stderr."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: Any, model: str = "tiny") -> tuple[int, str, str]:
        capfd.readouterr()
        status = main(["extract", "--model", str(models / model), *map(str, arguments)])
        return status, *capfd.readouterr()

    return call


def write_films(folder: Path, labels: str = ONE_WORD) -> Path:
    """The task ``films`` in ``tasks/``; its rows as a hub layout and as two data folders."""
    (folder / "tasks").mkdir()
    text = TASK.replace("LABELS", labels).replace("HUB", str(folder / "hub"))
    (folder / "tasks" / "films.yaml").write_text(text)
    for split, ours, n in (("train", "train", 60), ("validation", "test", 12)):
        table = datasets.Dataset.from_list(rows(ours, n))
        table.to_parquet(str(folder / "hub" / "data" / f"{split}-00000-of-00001.parquet"))
        for kind in ("jsonl", "parquet", "csv"):
            (folder / kind / "films").mkdir(parents=True, exist_ok=True)
        write_rows(folder / "jsonl" / "films" / f"{ours}.jsonl", rows(ours, n))
        table.to_parquet(str(folder / "parquet" / "films" / f"{ours}.parquet"))
        table.to_csv(str(folder / "csv" / "films" / f"{ours}.csv"))
    return folder / "tasks"


@pytest.fixture
def films(tmp_path: Path) -> tuple[Any, ...]:
    """Options that name the task and its rows in JSON Lines."""
    return (*SMALL, "--include-path", write_films(tmp_path), "--data-dir", tmp_path / "jsonl")


def test_rows_are_the_same_whichever_way(run: Run, tmp_path: Path) -> None:
    """JSON Lines, parquet, CSV, a folder in hub layout and the filled cache give equal stores."""
    options = (*SMALL, "--include-path", write_films(tmp_path), "--seeds", 1)
    ways = {kind: ("--data-dir", tmp_path / kind) for kind in ("jsonl", "parquet", "csv")}
    ways |= {"hub": (), "cache": ("--offline",)}
    found = {}
    for name, way in ways.items():
        status, _, err = run(*options, *way, "-o", f"{name}.h5")
        assert status == 0, err
        found[name] = contents(tmp_path / f"{name}.h5")
    assert all(found[name] == found["jsonl"] for name in ways)
    # The twin: one character more in one test row gives another store.
    other = rows("test", 12)
    other[5]["sentence"] += "!"
    write_rows(tmp_path / "jsonl" / "films" / "test.jsonl", other)
    assert run(*options, *ways["jsonl"], "-o", "other.h5")[0] == 0
    assert contents(tmp_path / "other.h5") != found["jsonl"]


def test_templates_and_seeds_are_one_grid(run: Run, films: Any, tmp_path: Path) -> None:
    """One command makes a store for each template and seed; the same again runs nothing."""
    grid = (*films, "--templates", "all,contrast", "--seeds", "0-2", "-o", "out")
    status, out, err = run(*grid)
    names = [f"films-{t}-k2-s{s}.h5" for t in ("plain", "plain-contrast") for s in range(3)]
    assert (status, out.split()) == (0, [f"out/{name}" for name in names]), err
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names}
    (tmp_path / "out" / names[4]).unlink()
    status, out, _ = run(*grid)
    assert (status, len(out.split())) == (0, 6)
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names}
    assert [name for name in names if before[name] != after[name]] == [names[4]]


def test_checkpoints_are_an_axis(run: Run, films: Any, tmp_path: Path) -> None:
    """Each revision of a folder is a subfolder; its name is in the store and in its file's name."""
    status, out, err = run(
        *films, "--seeds", "0-1", "--revisions", "step1000,step4000", "-o", "out", model="steps"
    )
    names = [
        f"out/films-plain-k2-s{s}-{step}.h5" for step in ("step1000", "step4000") for s in (0, 1)
    ]
    assert (status, out.split()) == (0, names), err
    with open_store(names[0]) as one, open_store(names[2]) as two:
        assert (one.run.checkpoint, two.run.checkpoint) == ("step1000", "step4000")
        assert one.run.prompt_set == two.run.prompt_set
        assert np.abs(one.split("test").full - two.split("test").full).max() > 0.1
    assert main(["status", "out", "--format", "json"]) == 0


def test_revisions_that_are_not_there(run: Run, films: Any) -> None:
    """A checkpoint that the folder lacks is told before any is loaded."""
    status, out, err = run(*films, "--revisions", "step1000,step9", "-o", "out", model="steps")
    assert (status, out) == (2, "") and "steps has no such subfolder" in err


def test_several_words_a_class(run: Run, tmp_path: Path, capfd: Any) -> None:
    """Each word is a column; analyze pools them into classes, in four ways without the model."""
    options = (*SMALL, "--include-path", write_films(tmp_path, WORDS))
    status, _, err = run(*options, "--data-dir", tmp_path / "jsonl", "-o", "out.h5")
    assert status == 0, err
    with open_store("out.h5") as store:
        assert store.labels.word == (" negative", " bad", " positive", " good")
        assert store.labels.class_name == ("low", "low", "high", "high")
        full, gold = store.split("test").full, store.split("test").gold
        assert set(gold.tolist()) == {0, 2}
    by_hand = {
        "max": full.reshape(-1, 2, 2).max(2),
        "mean": full.reshape(-1, 2, 2).mean(2),
        "first": full[:, ::2],
        "logsumexp": np.log(np.exp(full.astype(float)).reshape(-1, 2, 2).sum(2)),
    }
    for pool, logits in by_hand.items():
        capfd.readouterr()
        assert main(["analyze", "out.h5", "--pool", pool, "--format", "json"]) == 0
        found = json.loads(capfd.readouterr().out)
        (row,) = found if isinstance(found, list) else next(iter(found.values()))
        assert row["full_accuracy"] == pytest.approx(np.mean(logits.argmax(1) == gold // 2))


def test_demonstrations_of_set_classes(run: Run, films: Any) -> None:
    """``--demo-labels 0,0,0`` shows three of one class, and the store's name says so."""
    films = [option for option in films if option not in ("--num-fewshot", 2)]
    status, out, err = run(*films, "--demo-labels", "0,0,0", "-o", "out")
    assert (status, out) == (0, "out/films-plain-k3-s0-demos0_0_0.h5\n"), err
    with open_store(out.strip()) as store:
        assert store.run.sample_prompt.count("Sentiment: negative\n") == 3
        assert store.run.protocol["demo_labels"] == [0, 0, 0]


def test_a_system_message_is_in_the_prompt(run: Run, films: Any) -> None:
    """It stands in front of each prompt, and the store's name tells such runs apart."""
    status, out, err = run(*films, "--system-instruction", "Be brief.", "-o", "out")
    assert status == 0 and "-system" in out, err
    with open_store(out.strip()) as store:
        assert store.run.sample_prompt.startswith("Be brief.\n\nReview:")


def test_a_prompt_beyond_the_context(run: Run, films: Any, tmp_path: Path) -> None:
    """Too many demonstrations for the context are an error before the first run, nothing cut."""
    films = [option for option in films if option not in ("--num-fewshot", 2)]
    status, out, err = run(*films, "--num-fewshot", 24, "--seeds", "0-1", "-o", "out")
    assert (status, out) == (1, "") and "the model's context has 256: use fewer shots" in err
    assert "row '" in err and not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--prompt-selection", "nearest"), "go together"),
        (("--embedder", "x"), "go together"),
        (("--fewshot-as-multiturn",), "--apply-chat-template"),
        (("--demo-labels", "0,9"), "the classes of 'films' are 0 to 1"),
        (("--demo-labels", "a"), "expected numbers"),
        (("--templates", "plane"), "did you mean 'plain'"),
        (("--revision", "a", "--revisions", "b"), "give one of them"),
        (("--apply-chat-template",), "no chat template"),
    ],
)
def test_choices_that_exclude_each_other(run: Run, films: Any, options: Any, words: str) -> None:
    """Each is one line that says what to give."""
    given = [option for option in films if option not in ("--num-fewshot", 2)]
    status, out, err = run(*given, *options, "-o", "out")
    assert status in (1, 2) and out == "" and words in err and "Traceback" not in err


def test_a_grid_says_little_in_a_log(run: Run, films: tuple[Any, ...]) -> None:
    """What is loaded, a line a run with its place, and one warning of low mass for all."""
    status, out, err = run(*films, *SMALL, "--templates", "all,contrast", "-o", "s/")
    lines = err.splitlines()
    assert status == 0 and len(out.splitlines()) == 2
    assert lines[0].startswith("loading ") and lines[0].endswith("kB")
    runs = [line for line in lines if line.startswith("run ")]
    assert [line.split(", ")[0] for line in runs] == ["run 1 of 2", "run 2 of 2"]
    low = [line for line in lines if "the label words have less than 1%" in line]
    assert len(low) == 1 and "of 2 of 2 runs (worst 0." in low[0] and lines[-1] == low[0]
    assert "it/s" not in err and "\r" not in err
    status, out, err = run(*films, *SMALL, "--templates", "all", "-o", "quiet/", "-q")
    assert status == 0 and not [line for line in err.splitlines() if "warning" not in line]


def test_a_grid_says_how_long_the_others_will_take(run: Run, films: tuple[Any, ...]) -> None:
    """With each of its runs but the last; of one run alone there is nothing to say."""
    for seeds, told in (("0-2", [True, False]), ("0", [False, False])):
        status, _, err = run(*films, *SMALL, "--seeds", seeds, "-o", f"s{seeds}/")
        runs = [line for line in err.splitlines() if " rows in " in line]
        assert status == 0 and [" left, " in runs[0], " left, " in runs[-1]] == told


WORDS_OF_LOG = (": begins, ", ": not made: ", ": done, ")


def test_a_grid_leaves_its_list_and_its_log(run: Run, films: Any, tmp_path: Path) -> None:
    """Of all that was asked, with times; a run that cannot be made waits, and the log says why."""
    log = tmp_path / "night.log"
    (tmp_path / "out" / "tiny" / "films-plain-k2-s1.h5").parent.mkdir(parents=True)
    (tmp_path / "out" / "tiny" / "films-plain-k2-s1.h5").write_bytes(b"something else")
    status, out, err = run(*films, "--seeds", "0-1", "-o", "out/{model}", "--log", log)
    assert (status, out) == (4, "out/tiny/films-plain-k2-s0.h5\n")
    assert "run 1 of 2, " in err
    lines = log.read_text().splitlines()  # a store is finished while the next run begins
    begins, not_made, done = (next(line for line in lines if word in line) for word in WORDS_OF_LOG)
    assert len(lines) == 3
    assert begins[20:] == "run 1 of 2, out/tiny/films-plain-k2-s0.h5: begins, 10 rows"
    assert done[20:].startswith("run 1 of 2, out/tiny/films-plain-k2-s0.h5: done, 10 rows in ")
    assert not_made[20:].startswith("out/tiny/films-plain-k2-s1.h5: not made: ")
    listed = read_list(tmp_path / "out" / "tiny")
    first, second = (listed[f"films-plain-k2-s{seed}.h5"] for seed in (0, 1))
    assert first.rows == second.rows == 10 and first.seconds > 0 and first.ended
    assert first.run["model"].endswith("tiny") and second.run["seed"] == 1
    assert not second.ended and second.reason.startswith("out/tiny/films-plain-k2-s1.h5: ")
    (tmp_path / "out" / "tiny" / "films-plain-k2-s1.h5").unlink()
    assert [one.state for one in store_states([tmp_path / "out"])] == ["finished", "waiting"]
    assert run(*films, "--seeds", "0-2", "-o", "out/{model}", "--log", log, "-q")[0] == 0
    states = store_states([tmp_path / "out"])
    assert [(one.state, one.asked.kept) for one in states] == [("finished", 0)] * 3
    lines = log.read_text().splitlines()[3:]
    assert sorted(line.rpartition(": ")[2].split()[0].strip(",") for line in lines) == [
        "begins", "begins", "done", "done", "done",
    ]  # fmt: skip
    assert "done before, 10 rows" in lines[0]


def test_rows_that_were_kept_are_told_in_list_and_log(
    run: Run, films: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on says how many rows were there."""
    from compread.store import StoreWriter

    whole = StoreWriter.append

    def stop(writer: Any, *rows: Any) -> None:
        whole(writer, *rows)
        raise KeyboardInterrupt

    few = (*films, "--batch-tokens", 200, "-o", "out", "--log", tmp_path / "log")
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "append", stop)
        assert run(*few)[0] == 130
    (one,) = store_states([tmp_path / "out"])
    assert one.state == "partial" and 0 < one.done < 10
    assert run(*few)[0] == 0
    (after,) = store_states([tmp_path / "out"])
    assert (after.state, after.asked.kept) == ("finished", one.done)
    assert f"begins, 10 rows, {one.done} of them kept" in (tmp_path / "log").read_text()


def test_prompts_that_fail_are_not_listed(run: Run, films: Any, tmp_path: Path) -> None:
    """What cannot be run as asked leaves no list; nor does a single store's path, or a dry run."""
    assert run(*films, "--num-fewshot", 24, "-o", "out")[0] == 1  # beyond the context
    assert run(*films, "--dry-run", "-o", "out")[0] == 0
    assert run(*films, "-o", "one/a.h5")[0] == 0
    assert lists_below(tmp_path) == []


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_dry_run_has_a_line_a_run(run: Run, films: Any, seeds: int) -> None:
    """And of several their sum below; of one there is nothing to sum up."""
    status, out, _ = run(
        *films, "--seeds", ",".join(map(str, range(seeds))), "--dry-run", "-o", "o"
    )
    assert status == 0 and sum(f"-s{n}" in out for n in range(3)) == seeds
    rows = [line.split()[1] for line in out.splitlines() if "FLOP " in line]
    assert rows[:seeds] == ["10"] * seeds and len(rows) == seeds + (seeds > 1)


def test_a_log_that_cannot_be_written(run: Run, films: Any, tmp_path: Path) -> None:
    """It is told before the model is loaded."""
    status, out, err = run(*films, "-o", "out", "--log", tmp_path / "none" / "log")
    assert (status, out) == (1, "") and "the log cannot be written (No such file" in err
    assert "loading" not in err


def test_another_model_in_the_folder(run: Run, films: Any) -> None:
    """Its store is not replaced, and the way out is a folder a model."""
    assert run(*films, "-o", "out", model="steps/step1000")[0] == 0
    status, _, err = run(*films, "-o", "out", model="steps/step4000")
    assert status == 1 and "such as out/{model}" in err
    assert run(*films, "-o", "out/{model}", model="steps/step4000")[1].startswith("out/step4000/")

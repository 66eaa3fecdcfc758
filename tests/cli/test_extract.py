"""``compread extract`` on a tiny model: paths on stdout, one line for what is wrong, statuses."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from stores import contents, rot
from tiny_folder import CONTEXT, LABELS, review_rows, save_tiny, write_rows

from compread.cli import main
from compread.components import NORMALIZER
from compread.extract import Finisher
from compread.extract.runner import Runner
from compread.extract.sum_check import SumCheck
from compread.model import Decomposer
from compread.store import StoreWriter, open_store, partial_status
from compread.store.journal import Journal

Run = Callable[..., tuple[int, str, str]]
NAME = "sst2-review-sentiment-k4-s{}.h5"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models: ``tiny``, ``lower`` (deaf to case) and ``mute`` (no tokenizer)."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "tiny")
    save_tiny(folder / "lower", lower=True)
    save_tiny(folder / "mute", tokenizer=False)
    return folder


@pytest.fixture
def run(
    models: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """A function that runs ``extract``: its status, stdout and stderr. The folder is ``tmp_path``.

    The line that says which model is loaded is left out.
    Whatever a library prints past Python's streams is caught too.
    """
    # ``--offline`` and the command's silence are for a process; put back what they set.
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()

    def call(*arguments: Any, model: Any = None) -> tuple[int, str, str]:
        command = ["extract", "--model", str(model or models / "tiny"), *map(str, arguments)]
        status = main(command)
        out, err = capfd.readouterr()
        return status, out, re.sub(r"\Aloading .*\n", "", err)

    return call


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A prompt file of twelve rows."""
    return write_rows(tmp_path / "reviews.jsonl", review_rows(12, n_train=4))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an ``sst2`` of made-up rows."""
    folder = tmp_path / "data"
    (folder / "sst2").mkdir(parents=True)
    for split, n in (("train", 130), ("test", 20)):
        rows = [{"sentence": f"a {split} film {i}", "label": i % 2} for i in range(n)]
        write_rows(folder / "sst2" / f"{split}.jsonl", rows)
    return folder


# --- what it does -----------------------------------------------------------------------------


def test_a_prompt_file_becomes_a_store(run: Run, prompts: Path, tmp_path: Path) -> None:
    """Stdout is the path alone; stderr says what was run, how fast and how exact."""
    status, out, err = run("--prompts", prompts, "-o", "run.h5")
    assert (status, out) == (0, "run.h5\n")
    assert err.startswith("run.h5: 12 rows in ") and "worst sum error" in err
    *summary, warning = err.splitlines()
    assert len(summary) == 1  # in a log; on a terminal its parts stand below one another
    assert re.fullmatch(r"warning: run.h5: the label words have 0\.\d\d% of .*", warning)
    with open_store(tmp_path / "run.h5") as store:
        assert (store.rows("train"), store.rows("test")) == (4, 8)
        assert (store.run.task, store.run.template, store.run.seed) == ("reviews", None, None)
        assert store.run.command.startswith("compread extract --model")
        assert store.run.command.endswith("-o run.h5")


def test_quiet_says_nothing(run: Run, prompts: Path) -> None:
    """With ``-q`` stderr has warnings alone: no summary, no noise of libraries."""
    status, out, err = run("--prompts", prompts, "-o", "run.h5", "-q")
    assert (status, out) == (0, "run.h5\n")
    assert all(line.startswith("warning: run.h5: the label words") for line in err.splitlines())


def test_a_store_keeps_texts_where_asked(run: Run, data: Path, tmp_path: Path) -> None:
    """Each row's own input without demonstrations; without --keep-text it is another run."""
    task = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-o", "run.h5")
    assert run(*task, "--keep-text")[0] == 0
    with open_store(tmp_path / "run.h5") as store:
        for split, n in (("train", 20), ("test", 10)):
            texts = store.texts(split)
            assert len(texts) == n
            assert all(re.fullmatch(r"Review: .*\nSentiment:", text) for text in texts)
        assert store.run.sample_prompt.endswith(store.texts("train")[0])
    status, _, err = run(*task)
    assert status == 1 and "made with keep-text=on; you ask for keep-text=off" in err
    assert run(*task, "--keep-text")[0] == 0


def test_a_grid_of_seeds_becomes_a_folder(run: Run, data: Path, tmp_path: Path) -> None:
    """One store a seed under its own name, one path a line; disjoint demonstrations."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--seeds", "0-1", "--limit", 10, "-o", "out")
    status, out, _ = run(*grid)
    names = [f"out/sst2-review-sentiment-k4-s{seed}.h5" for seed in (0, 1)]
    assert (status, out.split()) == (0, names)
    demonstrations = []
    for seed, name in enumerate(names):
        with open_store(tmp_path / name) as store:
            run_info = store.run
            assert (run_info.task, run_info.seed, run_info.shots) == ("sst2", seed, 4)
            assert (store.rows("train"), store.rows("test")) == (20, 10)
            assert store.labels.word == LABELS
            demonstrations.append(set(run_info.demonstrations))
    assert not demonstrations[0] & demonstrations[1]


def test_a_grid_goes_on_where_it_was(run: Run, data: Path, tmp_path: Path) -> None:
    """Finished stores of the grid are left as they are; their paths are printed all the same."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-o", "out")
    assert run(*grid, "--seeds", "0")[0] == 0
    first = tmp_path / "out" / "sst2-review-sentiment-k4-s0.h5"
    made = first.stat().st_mtime_ns
    status, out, err = run(*grid, "--seeds", "0,1")
    assert (status, len(out.split())) == (0, 2)
    assert first.stat().st_mtime_ns == made
    assert "s0.h5: all 30 rows were kept from before" in err


def test_all_templates(run: Run, data: Path) -> None:
    """``--templates all`` makes a store of each; one whose labels are not one token says which."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 4, "--num-fewshot", 0, "-o", "out")
    wanted = "review-sentiment,review-question"
    status, out, _ = run(*grid, "--n-train", 2, "--templates", wanted)
    assert status == 0
    assert out.split() == [f"out/sst2-{name}-k0-s0.h5" for name in wanted.split(",")]
    status, _, err = run(*grid, "--n-train", 2, "--templates", "all")
    assert status == 0 and "label words are not one token each (' sad' 4" in " ".join(err.split())


def test_prompts_from_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--prompts -`` reads stdin; ``--labels`` gives the options that the rows leave out."""
    rows = review_rows(4)
    for row in rows:
        del row["options"]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    status, out, _ = run("--prompts", "-", "--labels", " negative, positive", "-o", "out/")
    assert (status, out) == (0, "out/stdin.h5\n")
    with open_store(tmp_path / "out" / "stdin.h5") as store:
        assert store.labels.word == LABELS


def test_sharing_off_gives_the_same_parts(run: Run, prompts: Path, tmp_path: Path) -> None:
    """``--no-share`` runs whole prompts, whose parts are within 1e-4."""
    run("--prompts", prompts, "-o", "shared.h5")
    status, _, err = run("--prompts", prompts, "-o", "whole.h5", "--no-share")
    assert status == 0 and "tokens run, 0% saved by sharing" in err
    with open_store(tmp_path / "shared.h5") as shared, open_store(tmp_path / "whole.h5") as whole:
        assert (shared.run.shared_prefix, whole.run.shared_prefix) == (True, False)
        off = abs(shared.split("test").parts - whole.split("test").parts)
    assert off.max() < 1e-4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(run: Run, prompts: Path, tmp_path: Path, dtype: str) -> None:
    """``--dtype`` is what the model runs in; the sum holds within that type's tolerance."""
    assert run("--prompts", prompts, "-o", "run.h5", "--dtype", dtype)[0] == 0
    with open_store(tmp_path / "run.h5") as store:
        assert store.run.dtype == dtype


def test_show_prompts(run: Run, prompts: Path) -> None:
    """``--show-prompts`` prints on stderr what the model reads, and the right label."""
    status, out, err = run("--prompts", prompts, "-o", "run.h5", "--show-prompts", 1)
    assert (status, out) == (0, "run.h5\n")
    assert "Review: a good film\nSentiment: positive\nReview: good 0\nSentiment:\n" in err
    assert "right label: ' negative'" in err and "row r1" not in err
    with open_store("run.h5") as store:
        mass = store.split("train").label_mass[0]
    assert f"--- row r0: the label words have {mass:.1%} of the probability; likeliest: '" in err


def test_no_prompts_are_shown_where_none_are_asked_for(run: Run, prompts: Path) -> None:
    """0 is what leaving the option out is."""
    status, out, err = run("--prompts", prompts, "-o", "x.h5", "--dry-run", "--show-prompts", 0)
    assert status == 0 and out and "Review:" not in err


def test_the_same_command_again(run: Run, prompts: Path, tmp_path: Path) -> None:
    """A finished store of this very run is kept, and done; ``--force`` makes it anew."""
    command = ("--prompts", prompts, "-o", "run.h5")
    assert run(*command)[0] == 0
    before = (tmp_path / "run.h5").stat()
    status, out, err = run(*command)
    assert (status, out) == (0, "run.h5\n") and "all 12 rows were kept from before" in err
    assert (tmp_path / "run.h5").stat().st_mtime_ns == before.st_mtime_ns
    assert run(*command, "--force")[:2] == (0, "run.h5\n")
    assert (tmp_path / "run.h5").stat().st_mtime_ns > before.st_mtime_ns


def test_another_run_at_the_target(run: Run, data: Path, tmp_path: Path) -> None:
    """It is refused before the model is loaded, in the words of the options that differ."""
    task = ("--tasks", "sst2", "--data-dir", data, "-o", "run.h5")
    assert run(*task, "--n-train", 4)[0] == 0
    before = (tmp_path / "run.h5").read_bytes()
    nowhere = {"model": "/no/such/model"}
    for options, told in {
        ("--n-train", 4, "--limit", 10): r"made with .*limit=all; you ask for .*limit=10:",
        ("--n-train", 6): r"made with .*n-train=4; you ask for .*n-train=6:",
        ("--n-train", 4, "--seeds", 1): r"made with .*seed=0; you ask for .*seed=1:",
    }.items():
        status, out, err = run(*task, *options, **nowhere)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert re.search(rf"run.h5: exists already, {told}.*--force replaces it", err), err
    status, out, err = run(*task, "--n-train", 4, "--dtype", "bfloat16")
    assert (status, out) == (1, "") and "dtype=float32; you ask for dtype=bfloat16" in err
    assert (tmp_path / "run.h5").read_bytes() == before


def test_a_rotten_store_is_not_kept(run: Run, prompts: Path, tmp_path: Path) -> None:
    """A damaged one is status 4 with the place and the next step, and stays as it is."""
    command = ("--prompts", prompts, "-o", "run.h5")
    assert run(*command)[0] == 0
    rot(tmp_path / "run.h5")
    status, out, err = run(*command)
    assert (status, out, err.count("\n")) == (4, "", 1)
    assert "damaged or cut short at /test/parts, rows 0 to 7" in err and "give --force" in err
    assert run(*command, "--force")[0] == run(*command)[0] == 0


def test_a_rotten_store_in_a_grid(run: Run, data: Path, tmp_path: Path) -> None:
    """The other runs are made and their paths printed; the status at the end is 4."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-o", "out")
    assert run(*grid, "--seeds", "0-1")[0] == 0
    rot(tmp_path / "out" / "sst2-review-sentiment-k4-s0.h5")
    status, out, err = run(*grid, "--seeds", "0-2", "-q")
    assert status == 4
    assert out.split() == [f"out/sst2-review-sentiment-k4-s{seed}.h5" for seed in (1, 2)]
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "s0.h5: the store is damaged or cut short at /test/parts" in errors[0]
    assert errors[1:] == ["error: 1 of 3 runs were not made, as said above; the others are done"]


def test_a_broken_journal_in_a_grid(run: Run, data: Path, tmp_path: Path) -> None:
    """It keeps no other run from being made."""
    (tmp_path / "out").mkdir()
    broken = tmp_path / "out" / "sst2-review-sentiment-k4-s0.h5.partial"
    broken.write_bytes(b"compread journal 1\n" + bytes(500))
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-o", "out")
    status, out, err = run(*grid, "--seeds", "0-1", "-q", "--batch-tokens", 512)
    assert (status, out) == (4, "out/sst2-review-sentiment-k4-s1.h5\n")
    assert f"{broken.name}: is damaged at its start" in err and "--force" in err


# --- what can be wrong ------------------------------------------------------------------------

Rows = list[dict[str, Any]]


def with_row(**changes: Any) -> Callable[[Rows], None]:
    """A prompt file whose row 1 is changed."""
    return lambda rows: rows[1].update(changes)


def with_options(*options: str) -> Callable[[Rows], None]:
    """A prompt file with other labels."""

    def change(rows: Rows) -> None:
        for i, row in enumerate(rows):
            row.update(options=list(options), label=options[i % len(options)])

    return change


BAD_ROWS: dict[str, tuple[Callable[[Rows], None], str]] = {
    "empty prompt": (with_row(prompt=""), "reviews.jsonl, line 2: 'prompt' is ''"),
    "not an option": (with_row(label=" great"), "line 2: label ' great' is not among the options"),
    "too long": (with_row(prompt="x" * CONTEXT), f"has {CONTEXT + 1} tokens, the model's context"),
    "one option": (with_options(" negative"), "two or more are needed"),
    "same id": (with_row(id="r0"), "line 2: id 'r0' stands twice"),
    "split": (with_row(split="dev"), "line 2: split 'dev' is neither 'train' nor 'test'"),
}


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry run"])
@pytest.mark.parametrize(("change", "words"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows(
    run: Run, tmp_path: Path, change: Callable[[Rows], None], words: str, more: tuple[str, ...]
) -> None:
    """A row that cannot be used is named in one line, with status 1 and nothing written.

    A dry run says the same of it.
    """
    rows = review_rows(3)
    change(rows)
    write_rows(tmp_path / "reviews.jsonl", rows)
    status, out, err = run("--prompts", "reviews.jsonl", "-o", "out/run.h5", *more)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: ") and words in err
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_a_broken_line_is_named_by_its_number(run: Run, tmp_path: Path) -> None:
    """JSON that breaks off on line 3 is said to be on line 3."""
    file = write_rows(tmp_path / "reviews.jsonl", review_rows(4))
    lines = file.read_text().splitlines()
    lines[2] = lines[2][:20]
    file.write_text("\n".join(lines))
    status, out, err = run("--prompts", file, "-o", "run.h5")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"{file}, line 3: not valid JSON" in err


def test_two_labels_of_one_token(run: Run, models: Path, tmp_path: Path) -> None:
    """Words that the tokenizer cannot tell apart are refused by name."""
    rows = review_rows(2, labels=(" positive", " Positive"))
    write_rows(tmp_path / "p.jsonl", rows)
    status, out, err = run("--prompts", "p.jsonl", "-o", "run.h5", model=models / "lower")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "labels ' positive' and ' Positive' are the same token" in err


def test_bad_labels_are_all_told_before_the_weights_are_read(run: Run, tmp_path: Path) -> None:
    """Every word that cannot be read is in the one message, which no weights are needed for."""
    folder = save_tiny(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"not read")
    rows = review_rows(2, labels=("negative", "positive"))
    write_rows(tmp_path / "p.jsonl", [{**row, "prompt": row["prompt"] + " "} for row in rows])
    status, out, err = run("--prompts", "p.jsonl", "-o", "run.h5", model=folder)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "label 'negative' merges" in err and "label 'positive' merges" in err
    assert err.count("choose words") == 1


def test_label_words_of_several_tokens(run: Run, tmp_path: Path) -> None:
    """They are read as whole answers, and then as any labels: ranked, reweighted, pooled."""
    rows = review_rows(12, n_train=6, labels=(" negative", " awful"))
    write_rows(tmp_path / "p.jsonl", rows)
    status, _, err = run("--prompts", "p.jsonl", "-o", "run.h5")
    told = "label words are not one token each (' negative' 1, ' awful' 6 tokens)"
    assert status == 0 and told in " ".join(err.split())
    with open_store(tmp_path / "run.h5", "mean") as store:
        assert store.labels.word == (" negative", " awful") and store.components[-1] == NORMALIZER
        assert [answers.tokens for answers in store.answers("test")] == [(1, 6)] * 6
        split = store.split("test")
        np.testing.assert_allclose(split.parts.sum(1), split.full, atol=1e-4)
    assert main(["rank", "run.h5"]) == 0
    assert main(["reweight", "run.h5", "--n-train", "4"]) == 0


def test_a_tokenizer_that_changes_the_text_is_a_warning(
    run: Run, models: Path, prompts: Path
) -> None:
    """A warning on stderr; the run goes on."""
    status, out, err = run("--prompts", prompts, "-o", "run.h5", model=models / "lower")
    assert (status, out) == (0, "run.h5\n")
    assert "warning: the tokenizer changes upper and lower case" in err.splitlines()


def test_a_warning_of_every_run_is_said_once(run: Run, models: Path, data: Path) -> None:
    """Not again for each run of a grid."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--seeds", "0-1", "--limit", 4, "--n-train", 4)
    status, out, err = run(*grid, "-o", "out", model=models / "lower")
    assert status == 0 and len(out.splitlines()) == 2
    assert err.count("warning: the tokenizer changes upper and lower case") == 1


USAGE = {
    "neither": ([], "give either --tasks or --prompts"),
    "both": (["--tasks", "sst2", "--prompts", "reviews.jsonl"], "give either --tasks or --prompts"),
    "seeds of a file": (
        ["--prompts", "reviews.jsonl", "--seeds", "0-2"],
        "makes prompts of --tasks",
    ),
    "limit of a file": (["--prompts", "reviews.jsonl", "--limit", "5"], "makes prompts of --tasks"),
    "labels of a task": (["--tasks", "sst2", "--labels", "a,b"], "--labels goes with --prompts"),
    "no task": (["--tasks", ","], "--tasks is empty"),
    "no template": (["--tasks", "sst2", "--templates", ","], "--templates is empty"),
    "seeds": (["--tasks", "sst2", "--seeds", "zero"], "--seeds zero: expected numbers"),
    "no seeds": (["--tasks", "sst2", "--seeds", ""], "--seeds is empty: expected numbers"),
    "no seeds of a file": (
        ["--prompts", "reviews.jsonl", "--seeds", ""],
        "makes prompts of --tasks",
    ),
    "device": (["--prompts", "reviews.jsonl", "--device", "gpu"], "no device `gpu`: expected auto"),
    "dtype": (["--prompts", "reviews.jsonl", "--dtype", "int8"], "no data type `int8`"),
}


@pytest.mark.parametrize(("options", "words"), USAGE.values(), ids=USAGE)
def test_options_that_make_no_sense(
    run: Run, prompts: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    """Status 2, one line, nothing written."""
    status, out, err = run(*options, "-o", "run.h5")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err and not (tmp_path / "run.h5").exists()


def test_two_runs_do_not_fit_one_store(run: Run, data: Path) -> None:
    """A .h5 path for a grid of two is refused with the number of runs."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--seeds", "0-1", "--limit", 4)
    status, _, err = run(*grid, "-o", "run.h5")
    assert status == 2 and "ask for 2 runs; give a folder" in err


def test_a_task_named_twice_is_run_once(run: Run, data: Path) -> None:
    """``--tasks sst2,sst2`` is one run."""
    status, out, _ = run("--tasks", "sst2,sst2", "--data-dir", data, "--limit", 4, "-o", "run.h5")
    assert (status, out) == (0, "run.h5\n")


def test_an_unknown_task_gets_the_nearest_name(run: Run) -> None:
    """``ss2`` is answered with ``sst2``."""
    status, out, err = run("--tasks", "ss2", "-o", "out")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "did you mean 'sst2'" in err


MODELS = {
    "no folder": ("/no/such/model", "no such model: /no/such/model"),
    "no gguf": ("nowhere.gguf", "no such file: nowhere.gguf"),
    "no hub id": ("two words", "neither a folder nor a hub id"),
    "not cached": ("someone/no-such-model", "not in the local cache and the hub is off"),
    "no config": (".", "is a folder without a config.json"),
}


@pytest.mark.parametrize(("model", "words"), MODELS.values(), ids=MODELS)
def test_models_that_are_not_there(
    run: Run, prompts: Path, tmp_path: Path, model: str, words: str
) -> None:
    """One line, status 1, nothing written."""
    status, out, err = run("--prompts", prompts, "--offline", "-o", "out/run.h5", model=model)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err and not (tmp_path / "out").exists()


def test_a_model_without_a_tokenizer(run: Run, models: Path, prompts: Path) -> None:
    """The folder is named, and the file that it lacks."""
    status, out, err = run("--prompts", prompts, "-o", "run.h5", model=models / "mute")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "mute has no tokenizer; expected tokenizer.json" in err


@pytest.mark.parametrize(
    ("kind", "words"),
    [(RepositoryNotFoundError, "no such model on the hub"), (GatedRepoError, "is gated; accept")],
)
def test_what_the_hub_refuses(
    run: Run, prompts: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], words: str
) -> None:
    """A model that the hub does not have, or does not give, is one line."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        response = SimpleNamespace(status_code=401, headers={}, request=None)
        raise kind("raw\ntext", response=response)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    status, out, err = run("--prompts", prompts, "-o", "run.h5", model="someone/secret")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("reviews.jsonl/run.h5", "reviews.jsonl is a file"),
        ("reviews.jsonl/out/run.h5", "reviews.jsonl is a file"),
        ("reviews.jsonl/out", "reviews.jsonl is a file"),
        ("reviews.jsonl", "is a file; give a .h5 path or a folder"),
        ("folder.h5", "is a folder: name a file in it"),
    ],
)
def test_outputs_that_cannot_be_written(
    run: Run, prompts: Path, tmp_path: Path, output: str, words: str
) -> None:
    """Known before the model is loaded; nothing is made and nothing is changed."""
    (tmp_path / "folder.h5").mkdir()
    before = prompts.read_bytes()
    status, out, err = run("--prompts", prompts, "-o", output, model="/no/such/model")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err and prompts.read_bytes() == before


def test_a_folder_without_permission(
    run: Run, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only folder is one line, before the model is loaded."""
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write into any folder
        monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "locked")
    status, out, err = run("--prompts", prompts, "-o", "locked/run.h5", model="/no/such/model")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "cannot be written (no permission in" in err


def test_a_second_writer_is_refused(run: Run, prompts: Path, monkeypatch: Any) -> None:
    """While a run is on, another one of the same target is told so."""
    inner: list[tuple[int, str, str]] = []
    real = Runner.run

    def with_another_inside(self: Runner, *args: Any) -> Any:
        if not inner:
            inner.append(run("--prompts", prompts, "-o", "run.h5", "-q"))
        return real(self, *args)

    monkeypatch.setattr(Runner, "run", with_another_inside)
    assert run("--prompts", prompts, "-o", "run.h5", "-q")[0] == 0
    ((status, out, err),) = inner
    assert (status, out) == (1, "") and "another run is writing it" in err


def test_a_busy_target_in_a_grid(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other runs are made; the error is told where its turn was, and the status is 1."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-q")
    inner: list[tuple[int, str, str]] = []
    real = Runner.run

    def with_another_inside(self: Runner, *args: Any) -> Any:
        if not inner:
            inner.append((0, "", ""))
            inner[0] = run(*grid, "--seeds", "0-2", "-o", "out")
        return real(self, *args)

    monkeypatch.setattr(Runner, "run", with_another_inside)
    assert run(*grid, "-o", "out")[0] == 0
    ((status, out, err),) = inner
    assert (status, out.split()) == (1, [f"out/{NAME.format(seed)}" for seed in (1, 2)])
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert re.match(r"error: out/.*s0.h5: another run is writing it", errors[0])
    assert errors[1:] == ["error: 1 of 3 runs were not made, as said above; the others are done"]


def test_what_appears_at_a_target_of_a_grid(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that cannot be finished keeps its rows and no other run from being made."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-q", "--seeds", "0-2")
    real = StoreWriter.finish

    def too_late(writer: StoreWriter, *known: Any) -> Path:
        if writer.path.name == NAME.format(1):
            writer.path.write_text("somebody else's")
        return real(writer, *known)

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "finish", too_late)
        status, out, err = run(*grid, "-o", "out")
    assert (status, out.split()) == (1, [f"out/{NAME.format(seed)}" for seed in (0, 2)])
    assert "s1.h5: appeared while this run was writing it; all rows are kept" in err
    (tmp_path / "out" / NAME.format(1)).unlink()
    assert run(*grid, "-o", "out")[0] == 0


@pytest.mark.parametrize("seeds", ["0", "0-2"])
def test_a_full_disk_ends_a_grid(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, seeds: str
) -> None:
    """It would be full for the next run too: status 1 with the one line that says what to do."""

    def full(self: Journal, payload: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Journal, "append", full)
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-q", "--seeds", seeds)
    status, out, err = run(*grid, "-o", "out")
    assert (status, out, err.count("error: ")) == (1, "", 1)
    assert "s0.h5: the disk is full" in err


def test_ctrl_c_while_the_store_before_is_finished(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 130 and what to do; the run that was computed meanwhile keeps its rows."""
    grid = ("--tasks", "sst2", "--data-dir", data, "--limit", 10, "-q", "--seeds", "0-1")
    real, calls = Finisher.wait, []

    def interrupted(self: Finisher) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Finisher, "wait", interrupted)
        status, out, err = run(*grid, "-o", "out")
    assert (status, out) == (130, f"out/{NAME.format(0)}\n")
    assert f"out/{NAME.format(1)}: finished rows are kept; the same command goes on" in err
    kept = partial_status(Path("out") / NAME.format(1))
    assert kept is not None and kept.done == kept.total > 0
    assert run(*grid, "-o", "out")[0] == 0


def test_a_wrong_sum_is_status_3(
    run: Run, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that do not add up end with 3, one line with the next step, and no store."""
    real = Decomposer.decompose

    def decompose(self: Decomposer, activations: Any) -> Any:
        batch = real(self, activations)
        return replace(batch, parts=batch.parts * 1.01)

    monkeypatch.setattr(Decomposer, "decompose", decompose)
    status, out, err = run("--prompts", prompts, "-o", "run.h5")
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert "add up to" in err and "compread check" in err
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_ctrl_c_in_the_middle(
    run: Run, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 130, the next step on stderr, nothing on stdout; the same command goes on."""
    command = ("--prompts", prompts, "--batch-tokens", 20)
    run(*command, "-o", "whole.h5")
    calls: list[int] = []

    def interrupt(self: Any, done: int, total: int, tokens: int) -> None:
        calls.append(done)
        if len(calls) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("compread.cli.progress.RowProgress.__call__", interrupt)
        status, out, err = run(*command, "-o", "run.h5")
    assert (status, out) == (130, "")
    assert "run.h5: finished rows are kept; the same command goes on from there" in err
    status, out, err = run(*command, "-o", "run.h5")
    assert (status, out) == (0, "run.h5\n") and f"(+ {calls[-1]} kept from before)" in err
    assert contents(tmp_path / "run.h5") == contents(tmp_path / "whole.h5")


def test_ctrl_c_under_force_says_how_to_go_on(
    run: Run, prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a stopped ``--force``, the command without it goes on and replaces the old store."""
    command = ("--prompts", prompts, "-o", "run.h5", "--batch-tokens", 20)
    run(*command, "--no-share")
    real, calls = SumCheck.__call__, 0

    def interrupt(self: SumCheck, *args: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(SumCheck, "__call__", interrupt)
        status, _, err = run(*command, "--force")
    assert status == 130 and "the same command without --force goes on" in err
    with open_store(tmp_path / "run.h5") as store:
        assert not store.run.shared_prefix
    status, _, err = run(*command)
    assert status == 0 and "kept from before" in err
    with open_store(tmp_path / "run.h5") as store:
        assert store.run.shared_prefix


# --- in bash ----------------------------------------------------------------------------------


def test_the_chain_in_bash(models: Path, prompts: Path, tmp_path: Path) -> None:
    """``extract && rank --format json | …`` and ``extract | xargs rank`` get results alone."""
    compread = f"{sys.executable} -m compread"
    parse = f"{sys.executable} -c 'import json, sys; print(len(json.load(sys.stdin)))'"
    line = (
        "set -euo pipefail\n"
        f"{compread} extract --model {models}/tiny --prompts {prompts} -o a.h5 --offline >out\n"
        f"{compread} rank $(cat out) --format json | {parse}\n"
        f"{compread} extract --model {models}/tiny --prompts {prompts} -o b/ --offline"
        f" | xargs {compread} rank --top 1 --format csv | wc -l"
    )
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    entries, csv_lines = map(int, done.stdout.split())
    assert entries > 0 and csv_lines > 1
    assert (tmp_path / "out").read_text() == "a.h5\n"
    said = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    begins = [f"loading {models}/tiny, ", "a.h5: 12 rows", f"loading {models}/tiny, ", "reviews.h5"]
    assert all(line.startswith(begin) for line, begin in zip(said, begins, strict=True)), said


def test_hostile_ids_and_a_name_that_is_not_utf_8(run: Run, tmp_path: Path) -> None:
    """An id that clears screens is shown as text; any bytes may be the store's name."""
    rows = review_rows(6, n_train=2)
    rows[0]["id"] = "r\x1b[2J\u202e"
    prompts = write_rows(tmp_path / "rows.jsonl", rows)
    name = os.fsdecode(b"caf\xe9.h5")
    command = ["--prompts", prompts, "--show-prompts", "1", "-o", name]
    status, _, err = run(*command)
    assert status == 0 and r"row r\x1b[2J\u202e" in err
    assert err.replace("\n", "").isprintable()
    with open_store(tmp_path / name) as store:
        assert name in store.run.command

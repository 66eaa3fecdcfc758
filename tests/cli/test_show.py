"""``compread show`` on planted stores."""

import json

import numpy as np
import pytest

from compread.cli import main
from compread.components import LayerShape, component_axis
from compread.store import Labels, RunInfo, SplitRows, StoreWriter, open_store


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs ``show``: its status, stdout and stderr, at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        status = main(["show", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def store(stores):
    """One planted store."""
    return stores / "sst2-t1-k4-s0.h5"


def test_everything_is_on_one_screen(run, store):
    """Run, labels with tokens, sizes, sum error and the prompt's end, within 80 columns."""
    status, out, err = run(store)
    assert (status, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    flat = " ".join(out.split())
    for words in (
        "model tiny", "fingerprint f00d", "demonstrations a, b", "compread extract -o s.h5",
        "7 tokens that all prompts share, run once", "0 ' negative' 100", "1 ' positive' 101",
        "rows' texts not kept", "head 4", "mixer 1", "1.0e-06 0.800",
        "worst sum error 2.0e-07 logits (tolerance: 1.0e-04 of the logits' scale)",
    ):  # fmt: skip
        assert words in flat
    assert out.rstrip().endswith("Review: dull\n  Sentiment:")


def test_the_prompt_is_cut_at_its_start(run, store):
    """Only the last lines are shown, and from which line on; ``--prompt`` shows all."""
    out = run(store)[1]
    assert "from line 7 on" in out and out.count("Review: ok") == 2
    assert run(store, "--prompt")[1].count("Review: ok") == 4


def test_json_is_everything(run, store):
    """JSON has the whole run, and counts that agree with the store."""
    document = json.loads(run(store, "--format", "json")[1])
    with open_store(store) as opened:
        (row,) = document["runs"]
        assert RunInfo.from_dict(row) == opened.run
        assert [label["word"] for label in document["labels"]] == list(opened.labels.word)
        assert sum(kind["count"] for kind in document["components"]) == len(opened.components)
        for split in document["splits"]:
            assert split["rows"] == opened.rows(split["split"])
            assert split["worst_sum_error"] == opened.array(split["split"], "sum_error").max()


def test_several_stores_are_one_document(run, stores):
    """JSON of a folder is still one document, each row with its store."""
    document = json.loads(run(stores, "--format", "json")[1])
    assert len(document["runs"]) == 3
    assert len({row["store"] for row in document["labels"]}) == 3
    status, out, _ = run(stores)
    assert status == 0 and out.count("Sample prompt") == 3


def test_an_unfinished_run_says_how_far_it_is(run, tmp_path):
    """A target with a journal beside it is status 4, with the rows kept and the next step."""
    axis = component_axis([LayerShape(1)])
    rows = {"test": SplitRows([0, 1, 0], ["a", "b", "c"], ["0"] * 3)}
    with open_store_template(tmp_path / "s.h5", axis, rows) as writer:
        shape = (2, len(axis), 2)
        writer.append([0, 1], np.ones(shape), np.ones((2, 2)), np.zeros(2), np.ones(2))
    status, out, err = run(tmp_path / "s.h5")
    assert (status, out) == (4, "") and err.count("\n") == 1
    assert "2 of 3 rows are kept" in err and "again" in err


def open_store_template(path, axis, rows):
    """A writer of a small run."""
    info = RunInfo(
        model="tiny", model_type="llama", revision=None, fingerprint="f00d", dtype="float32",
        task="sst2", template=None, template_text=None, demonstrations=(), seed=None, shots=None,
        prompt_set="beef", shared_prefix=False, prefix_tokens=0, soft_cap=None, tolerance=1e-4,
        batch_tokens=1024,
    )  # fmt: skip
    return StoreWriter.open(path, info, axis, Labels((" a", " b"), (1, 2)), rows)


def test_a_store_without_its_prompts_shows_none(run, tmp_path):
    """No heading over nothing."""
    axis = component_axis([LayerShape(1)])
    rows = {"test": SplitRows([0, 1], ["a", "b"], ["0"] * 2)}
    with open_store_template(tmp_path / "s.h5", axis, rows) as writer:
        shape = (2, len(axis), 2)
        writer.append([0, 1], np.ones(shape), np.ones((2, 2)), np.zeros(2), np.ones(2))
        writer.finish(writer.run)
    status, out, _ = run(tmp_path / "s.h5")
    assert status == 0 and "Rows" in out and "Sample prompt" not in out
    assert not out.endswith("\n\n")


def test_the_sample_prompt_is_for_reading_alone(run, stores):
    """A prompt may hold what LaTeX and Markdown read as commands: there are tables alone there."""
    for form in ("latex", "md"):
        status, out, _ = run(stores / "sst2-t1-k4-s0.h5", "--format", form)
        assert status == 0 and "Sample prompt" not in out

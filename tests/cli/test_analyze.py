"""``compread analyze`` on planted stores."""

import csv
import io
import json
import subprocess
import sys

import pandas
import pytest

import compread
from compread.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs ``analyze``: its status, stdout and stderr, at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        status = main(["analyze", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def test_one_store_is_a_row_and_a_tally(run, stores):
    """One run shows its accuracies and, by kind, counts and shares; the oracle is named."""
    status, out, err = run(stores / "sst2-t1-k4-s0.h5")
    assert (status, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    flat = " ".join(out.split())
    assert "L0H0 0.900" in flat and "L0H1 0.000" in flat
    assert "what the best shows where labels are shuffled" in flat
    assert "same rows that it is scored on" not in flat
    explained = run(stores / "sst2-t1-k4-s0.h5", "--explain")[1]
    assert "same rows that it is scored on" in " ".join(explained.split())
    assert "heads 4 1 (25.0%) 1 (25.0%) 2 (50.0%)" in flat
    assert "mean" not in out.split()


def test_several_stores_have_mean_and_sd(run, stores):
    """Several runs are a row each, then mean and sd, within 80 columns."""
    status, out, _ = run(stores)
    assert status == 0 and max(map(len, out.splitlines())) <= 80
    firsts = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert firsts.count("mean") == firsts.count("sd") == 2
    assert "population form" in " ".join(run(stores, "--explain")[1].split())


def test_the_summary_alone_is_mean_and_sd(run, stores):
    """``--table summary`` prints its two rows; of one store there are none, and that is said."""
    lines = run(stores, "--table", "summary")[1].splitlines()
    firsts = [line.split()[0] for line in lines if line]
    assert firsts.count("mean") == firsts.count("sd") == 2
    _, _, err = run(stores / "sst2-t1-k4-s0.h5", "--table", "summary")
    assert "--table summary is empty: it needs two stores" in err


def test_json_has_runs_and_summary(run, stores):
    """The document has both lists, with stable keys, whether there is one run or three."""
    one = json.loads(run(stores / "sst2-t1-k4-s0.h5", "--format", "json")[1])
    all_ = json.loads(run(stores, "--format", "json")[1])
    assert [len(one["runs"]), len(one["summary"])] == [1, 0]
    assert [len(all_["runs"]), len(all_["summary"])] == [3, 2]
    assert one["runs"][0]["best"] == "L0H0"
    assert {"full_accuracy", "best", "worst", "biased_share", "good_share", "bad_share"} <= set(
        one["runs"][0]
    )
    mean = sum(row["full_accuracy"] for row in all_["runs"]) / 3
    assert all_["summary"][0]["full_accuracy"] == pytest.approx(mean)


def test_csv_is_one_table(run, stores):
    """Runs and summary share their columns, so CSV is one table that names the list."""
    tables = ["--table", "runs", "--table", "summary", "--format", "csv"]
    rows = list(csv.DictReader(io.StringIO(run(stores, *tables)[1])))
    assert [row["store"] for row in rows][3:] == ["mean", "sd"]
    document = json.loads(run(stores, "--format", "json")[1])
    for text, row in zip(rows, document["runs"] + document["summary"], strict=True):
        assert list(text) == ["table", *row]
        assert float(text["full_accuracy"]) == row["full_accuracy"]


def test_markdown_has_both_tables(run, stores):
    """Both tables are GitHub tables under their titles."""
    out = run(stores, "--format", "md")[1]
    assert out.count("**") == 6 and out.count("| mean |") == 2


def test_sums_without_and_of_some_components(run, stores):
    """A line a group beside the full model, for each store and on average; CSV is one table."""
    options = ["--without", "L0H0,L1*", "--without", "heads", "--only", "mlps"]
    status, out, err = run(stores, *options)
    assert (status, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    assert out.count("without L0H0,L1*") == 4 and "mean of 3 stores" in out
    rows = list(csv.DictReader(io.StringIO(run(stores, *options, "--format", "csv")[1])))
    names = ["full", "all components", "without L0H0,L1*", "without heads", "only mlps"]
    assert [row["sum"] for row in rows] == names * 4
    found = compread.analyze(stores, without=["L0H0,L1*", "heads"], only="mlps")
    assert [row["accuracy"] for row in found["sums"]] == [float(row["accuracy"]) for row in rows]


def test_early_exit_has_a_line_a_layer(run, stores):
    """Of the mean in a table, of each store in JSON; the last sum is that of all components."""
    status, out, err = run(stores, "--early-exit")
    assert (status, err) == (0, "") and "each of the 3 stores" in " ".join(out.split())
    assert [line.split()[0] for line in out.splitlines() if line[:1].isdigit()] == ["0", "1", "2"]
    rows = json.loads(run(stores, "--early-exit", "--format", "json")[1])["sums"]
    for store in {row["store"] for row in rows}:
        of = {(row["sum"], row["layer"]): row["accuracy"] for row in rows if row["store"] == store}
        assert of["all", 2] == of["all components", None]
        assert {key for key in of if key[1] is not None} == {
            (name, layer) for name in ("all", "attention", "mlp") for layer in range(3)
        }
    assert list(compread.analyze(stores, early_exit=True)["sums"]) == rows


def test_early_exit_of_what_has_no_mean_is_of_each(run, stores, write_store, tmp_path):
    """Runs of other shots have none, so that each has its table; nor has a single store."""
    one = stores / "sst2-t1-k4-s0.h5"
    other = write_store(tmp_path / "b.h5", shots=8)
    for paths in ([one], [one, other]):
        status, out, _ = run(*paths, "--early-exit")
        assert status == 0 and "The other formats have each" not in " ".join(out.split())
        assert out.count("Accuracy up to each layer") == len(paths)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--early-exit", "--only", "heads"], "leave --without and --only out"),
        (["--without", "heads", "--top", "3", "--alpha", "0.1"], "--alpha, --top is about single"),
        (["--only", "L9"], "a layer (L0 to L2)"),
    ],
)
def test_sums_that_cannot_be_made(run, stores, options, words):
    """One line says which option, or what there is."""
    status, _, err = run(stores, *options)
    assert status == 2 and words in err


def test_stores_need_not_share_their_axes(run, stores, tmp_path, write_store):
    """A run of another task is just another row."""
    write_store(tmp_path / "rte.h5", words=(" no", " yes"), task="rte")
    status, out, _ = run(stores, tmp_path, "--format", "json")
    assert status == 0
    assert [row["task"] for row in json.loads(out)["runs"]] == ["sst2"] * 3 + ["rte"]


def test_rows_that_are_not_there_are_a_usage_error(run, tmp_path, write_store):
    """A split without rows is status 2."""
    status, out, err = run(write_store(tmp_path / "s.h5", n_train=0), "--split", "train")
    assert (status, out) == (2, "") and "has no train rows" in err


@pytest.mark.parametrize("format", ["table", "json", "csv", "md", "latex", "parquet"])
def test_every_form_of_every_table(stores, format):
    """Each form is printed, Parquet as bytes that pandas reads."""
    command = [sys.executable, "-m", "compread", "analyze", str(stores), "--format", format]
    tables = [x for name in ("runs", "layers", "transfer", "pairs") for x in ("--table", name)]
    out = subprocess.run([*command, *tables], capture_output=True, check=True).stdout
    if format == "parquet":
        frame = pandas.read_parquet(io.BytesIO(out))
        assert len(frame) == 3 and not frame.drop(columns="revision").isna().all().any()
    else:
        assert "L0H0" in out.decode() and ("demonstrations" in out.decode()) == (format != "csv")


def test_layers_add_up(run, stores):
    """The counts by layer add up to those of the run."""
    document = json.loads(
        run(stores, "--table", "layers", "--table", "runs", "--format", "json")[1]
    )
    assert list(document) == ["runs", "layers"]
    for row in document["runs"]:
        of = [layer for layer in document["layers"] if layer["store"] == row["store"]]
        for key in ("component_count", "good_count", "bad_count", "biased_count"):
            assert sum(layer[key] for layer in of) == row[key]


def test_revisions_have_curves(run, tmp_path, write_store):
    """Stores of two revisions of one model have a table over training."""
    for step in (1, 20):
        write_store(tmp_path / f"{step}.h5", checkpoint=f"step{step}", fingerprint=f"{step}")
    out = run(tmp_path)[1]
    assert "Accuracy over training" in out and "step20" in out
    document = json.loads(run(tmp_path, "--format", "json")[1])
    assert [row["revision"] for row in document["training"]] == ["step1", "step20"]
    assert [row["pair_kind"] for row in document["transfer"]] == ["revision"]


def test_versus_shows_the_change(run, stores, tmp_path, write_store):
    """Two models' stores are paired; the full model's change stands first, in 80 columns."""
    other = write_store(tmp_path / "chat.h5", model="chat", fingerprint="c0ffee")
    status, out, _ = run(stores / "sst2-t1-k4-s0.h5", "--versus", other)
    assert status == 0 and max(map(len, out.splitlines())) <= 80
    assert "full" in out and "McNemar" in out
    rows = json.loads(run(stores / "sst2-t1-k4-s0.h5", "--versus", other, "--format", "json")[1])
    assert len(rows) == 11 and {row["change"] for row in rows} == {0.0}


@pytest.mark.parametrize("option", ["--alpha", "--bias-share", "--good-accuracy", "--bad-accuracy"])
def test_thresholds_are_checked(run, stores, option):
    """A threshold that is no share is a usage error that names the option."""
    status, out, err = run(stores, option, "1.5")
    assert (status, out) == (2, "") and f"{option} 1.5" in err


def test_drawn_pairs_are_told(run, stores):
    """The note says how many of how many pairs were compared, and how to have all."""
    note = " ".join(run(stores, "--table", "transfer", "--pairs", "2")[1].split())
    assert "2 of the 3 pairs that differ in demonstrations; --pairs all" in note
    for all_ in ("3", "all"):
        out = run(stores, "--table", "transfer", "--pairs", all_)[1]
        assert "Drawn at random" not in out
    rows = json.loads(run(stores, "--table", "pairs", "--pairs", "2", "--format", "json")[1])
    assert len(rows["pairs"]) == 2


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "some"])
def test_a_number_of_pairs_is_whole(run, stores, value):
    """Anything else than a whole number or all is a usage error."""
    status, out, err = run(stores, "--pairs", value)
    assert (status, out) == (2, "") and f"--pairs {value}" in err

"""``compread rank`` on planted stores."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from compread.analysis.measures import MEASURES
from compread.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs ``rank``: its status, stdout and stderr, at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        status = main(["rank", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def store(stores):
    """One planted store."""
    return stores / "sst2-t1-k4-s0.h5"


def test_the_table_has_every_column_in_eighty(run, store):
    """All columns fit 80 characters; the full model is on top, the best component under it."""
    status, out, err = run(store)
    assert (status, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    table = out.splitlines()
    for word in (
        "component",
        "kind",
        "value",
        "margin",
        "negative",
        "positive",
        "category",
    ):
        assert word in table[2]
    assert "[95 % interval]" in table[2] and "accuracy" in table[1]
    assert table[4].split()[:2] == ["full", "0.730"]
    assert table[6].split()[:5] == ["1", "L0H0", "0.900", "[.83,", ".94]"]
    assert table[6].endswith("good") and "Not shown: balanced accuracy, macro F1" in out


def test_ties_are_reported(run, store):
    """A component whose logits are equal is named below the table."""
    assert "L1H1 has the most, on 100% of the rows" in " ".join(run(store)[1].split())


def test_json_starts_with_the_best_and_ends_with_the_full_model(run, store):
    """``.[0]`` is the top component; the full model is last, without a rank."""
    rows = json.loads(run(store, "--format", "json")[1])
    assert (rows[0]["rank"], rows[0]["component"], rows[0]["accuracy"]) == (1, "L0H0", 0.9)
    assert (rows[-1]["rank"], rows[-1]["component"], rows[-1]["kind"]) == (None, "full", "model")
    assert {row["n"] for row in rows} == {100}


@pytest.mark.parametrize("several", [False, True])
def test_csv_equals_json(run, stores, store, several):
    """CSV has the keys of JSON and, to the last digit, its values."""
    where = stores if several else store
    rows = json.loads(run(where, "--format", "json")[1])
    lines = list(csv.DictReader(io.StringIO(run(where, "--format", "csv")[1])))
    assert [list(line) for line in lines] == [list(row) for row in rows]
    for line, row in zip(lines, rows, strict=True):
        for key, value in row.items():
            text = line[key]
            assert (float(text) if isinstance(value, float) else text) == (
                "" if value is None else value if isinstance(value, float) else str(value)
            )


def test_markdown_has_every_row(run, store):
    """Markdown has a line for the header, its rule, the full model and each component."""
    out = run(store, "--format", "md")[1]
    assert sum(line.startswith("|") for line in out.splitlines()) == 2 + 1 + 8


def test_several_stores_are_averaged(run, stores, write_store, tmp_path):
    """The table says how many stores, and which test and interval they have together."""
    status, out, _ = run(stores)
    note = " ".join(run(stores, "--explain")[1].split())
    assert status == 0 and "averaged over 3 stores" in out
    assert "variance over rows and stores" in note
    assert "for each set of rows, the sets combined by Cauchy's rule" in note
    assert max(map(len, out.splitlines())) <= 80
    one = stores / "sst2-t1-k4-s0.h5"
    again = write_store(tmp_path / "again.h5", seed=0, template="t2")
    note = " ".join(run(one, again, "--explain")[1].split())
    assert "the same one for all stores, which are over the same rows" in note


def test_stores_may_come_on_stdin(run, stores, monkeypatch):
    """``-`` reads paths, one a line, as extract prints them."""
    paths = "".join(f"{path}\n" for path in sorted(stores.iterdir()))
    monkeypatch.setattr("sys.stdin", io.StringIO(paths))
    piped = run("-", "--format", "json")[1]
    assert piped == run(stores, "--format", "json")[1]


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (["--ascending"], "L0H1"),
        (["--kind", "mlp"], "MLP"),
        (["--kind", "mixer"], "L2MIX"),
        (["--kind", "mixers"], "L2MIX"),
        (["--kind", "MLPs,embed", "--ascending"], "MLP"),
        (["--kind", "embed"], "embed"),
        (["--kind", "bias", "--kind", "embed", "--top", "1"], ""),
    ],
)
def test_options_choose(run, store, options, first):
    """``--ascending`` turns the order, ``--kind`` limits it, ``--top`` cuts it."""
    rows = json.loads(run(store, *options, "--format", "json")[1])
    assert first in rows[0]["component"]
    if "--top" in options:
        assert len(rows) == 2 and rows[0]["kind"] in ("bias", "embed")


def test_all_kinds_and_all_ranks(run, store):
    """``--kind all --top 0`` is the whole axis and the full model."""
    rows = json.loads(run(store, "--kind", "all", "--top", "0", "--format", "json")[1])
    assert len(rows) == 10 + 1


def test_split_chooses_the_rows(run, store):
    """``--split train`` scores on the train rows."""
    assert json.loads(run(store, "--split", "train", "--format", "json")[1])[0]["n"] == 10
    assert "10 train rows" in run(store, "--split", "train")[1]


def test_many_labels_still_fit(run, tmp_path, write_store):
    """With four labels the columns that the name repeats make room, then the labels' together."""
    words = (" World", " Sports", " Business", " Technology")
    path = write_store(tmp_path / "ag.h5", words=words)
    out = run(path)[1]
    assert max(map(len, out.splitlines())) <= 80
    header, _, left_out = out.partition("Not shown: ")
    assert "World" in left_out
    assert not any(word.strip() in header for word in words) and "category" in header


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere.h5"], 4, "no such store"),
        (["STORE", "--kind", "mixer"], 0, ""),
        (["STORE", "nowhere.h5"], 4, "no such store"),
    ],
)
def test_statuses(run, store, arguments, status, words):
    """A missing store is status 4 and one line, and nothing is on stdout."""
    got, out, err = run(*[store if a == "STORE" else a for a in arguments])
    assert got == status and words in err and bool(out) == (status == 0)
    assert err.count("\n") == (1 if status else 0)


@pytest.mark.parametrize(
    "others",
    [["--by", "1 - mcc"], ["--by", "weight", "--weights", "w.json"], ["--heatmap"]],
    ids=["arithmetic", "weight", "map"],
)
def test_what_is_shown_per_store_is_a_measure_in_a_table(run, store, others):
    """Everything else with ``--per`` is refused before a file is read."""
    status, out, err = run(store, "--per", "seed", *others)
    assert (status, out) == (2, "") and "--per shows a measure in a table" in err


def test_stores_that_differ_are_refused(run, store, tmp_path, write_store):
    """Stores of more labels cannot be averaged: status 4, both named."""
    other = write_store(tmp_path / "other.h5", words=(" no", " maybe", " yes"))
    status, out, err = run(store, other)
    assert (status, out) == (4, "") and str(store) in err and str(other) in err


def test_a_damaged_store_is_refused(run, store, tmp_path):
    """A flipped bit in the numbers is status 4, not a wrong table."""
    data = bytearray(store.read_bytes())
    data[len(data) // 2] ^= 1
    broken = tmp_path / "broken.h5"
    broken.write_bytes(data)
    status, out, err = run(broken)
    assert (status, out) == (4, "") and "damaged" in err


@pytest.mark.parametrize("width", ["80", "120", "garbage", "0"])
def test_no_colour_and_no_wide_line_in_a_pipe(run, store, monkeypatch, width):
    """What is piped has no escape codes and keeps COLUMNS, or 80 where that says nothing."""
    monkeypatch.setenv("COLUMNS", width)
    out = run(store)[1]
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= (120 if width == "120" else 80)


@pytest.mark.parametrize(("no_color", "styled"), [("", True), ("1", False)])
def test_colour_on_a_terminal(run, store, monkeypatch, no_color, styled):
    """A terminal gets styles unless NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert ("\x1b" in run(store)[1]) == styled


def test_rules_suit_the_encoding(store):
    """A stdout that is not UTF-8 gets hyphens for lines, one that is gets lines."""
    code = "import sys; from compread.cli import main; sys.exit(main())"

    def ran(encoding):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-c", code, "rank", str(store)]
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    assert ran("ascii").decode("ascii") == ran("utf-8").decode().replace("─", "-")


def test_templates_of_other_words_are_one_mean(run, stores, write_store, tmp_path):
    """Each template has a column of the measure in every form; labels are headed by all words."""
    for template, words in (("t1", (" negative", " positive")), ("t2", (" sad", " happy"))):
        write_store(tmp_path / f"{template}.h5", template=template, words=words)
    status, out, err = run(tmp_path, "--per", "template")
    note = " ".join(out.split())
    assert (status, err) == (0, "") and max(map(len, out.splitlines())) <= 80
    assert "they are matched by their order: negative/sad, positive/happy." in note
    for form in ("json", "csv", "md", "latex"):
        shown = run(tmp_path, "--per", "template", "--format", form)[1]
        assert re.search(r"accuracy_in_t2|in t2| & t2 ", shown)


def test_what_is_left_out_of_a_mean_is_said(run, store, write_store, tmp_path):
    """A copy is dropped and other shots are told on stderr; other weights are refused."""
    shutil.copy(store, tmp_path / "copy.h5")
    status, _, err = run(store, tmp_path, write_store(tmp_path.parent / "k8.h5", shots=8))
    assert status == 0 and "copy.h5 (as " in err
    assert "means are over runs of several settings: 4-shot; 8-shot" in err
    other = write_store(tmp_path / "chat.h5", seed=9, model="chat", fingerprint="c0de")
    status, out, err = run(store, other)
    assert (status, out) == (4, "") and "--across-models" in err and err.count("\n") == 1
    assert run(store, other, "--across-models")[0] == 0


def test_what_is_sorted_by_is_shown(run, store):
    """Every measure has a column at any width when it is sorted by, and a key in json."""
    for by, measure in MEASURES.items():
        if measure.answers:
            continue
        out = run(store, "--by", by)[1]
        row = json.loads(run(store, "--by", by, "--format", "json")[1])[0]
        assert by in row
        # The lower end of the interval stands beside the accuracy.
        words = "accuracy" if by == "accuracy_low" else (measure.header or by).replace("\n", " ")
        heads = out.partition("\n──")[0].splitlines()[-2:]
        assert set(words.split()) <= set(" ".join(heads).split())
        note = " ".join(out.split()).partition("Not shown: ")[2]
        assert words not in note.partition(" and ")[0].split(", ")
        assert heads[1].split()[:2] == ["rank", "component"]

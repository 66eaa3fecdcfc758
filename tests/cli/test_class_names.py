"""A label's class stands beside its word wherever people read words."""

import re

import pytest

from compread.cli import main


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs compread and gives its stdout, in lines wide enough for every column."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        assert main(list(map(str, arguments))) == 0
        return capsys.readouterr().out

    return call


MD = ["--format", "md", "--columns"]
SHOWN = [
    (["rank", "STORE", *MD, "component,predicted_great"], "predicted great (pos)"),
    (["rank", "STORE", "--example", "row-12"], "right is great (pos)"),
    (["predictions", "STORE"], "great (pos)"),
    (["show", "STORE", *MD, "split,gold_great"], "gold great (pos)"),
    (["plot", "scatter", "STORE", "-o", "-"], "share predicted “great” (pos)"),
    (["plot", "bias", "STORE", "-o", "-"], "logit of “great” (pos)"),
    (["plot", "bias", "STORE", "-o", "-"], "says “terrible” (neg) on"),
    (["plot", "waterfall", "STORE", "--example", "row-12", "-o", "-"], "less “terrible” (neg)"),
]


@pytest.mark.parametrize(("line", "words"), SHOWN)
@pytest.mark.parametrize(
    "classes", [("neg", "pos"), ("Terrible", " great"), ()], ids=["other", "same", "none"]
)
def test_a_class_stands_beside_its_word(run, write_store, tmp_path, line, words, classes):
    """In brackets where it is called otherwise; where it is the word itself, that stands once."""
    store = write_store(tmp_path / "s.h5", words=(" terrible", " great"), classes=classes)
    out = " ".join(run(*[store if part == "STORE" else part for part in line]).split())
    wanted = words if classes == ("neg", "pos") else re.sub(r" \(\w+\)", "", words)
    assert wanted in out
    assert ("(pos)" in out or "(neg)" in out) == (classes == ("neg", "pos"))
    assert "(great)" not in out and "(Terrible)" not in out


def test_the_report_names_the_classes_of_each_task(run, write_store, tmp_path):
    """Beside the words where all stores have the same, else alone."""
    for name, words in (("a", (" terrible", " great")), ("b", (" No", " Yes"))):
        write_store(tmp_path / f"{name}.h5", words=words, classes=("neg", "pos"), template=name)
    run("report", tmp_path / "a.h5", "-o", tmp_path / "a.html")
    assert "sst2: terrible (neg) / great (pos)" in (tmp_path / "a.html").read_text()
    run("report", tmp_path, "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "sst2: neg / pos" in page


def test_keys_stay_those_of_the_words(run, write_store, tmp_path):
    """JSON's names have the word alone, as scripts read them."""
    store = write_store(tmp_path / "s.h5", words=(" terrible", " great"), classes=("neg", "pos"))
    assert '"predicted_great"' in run("rank", store, "--format", "json")

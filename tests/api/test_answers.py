"""``rank``, ``analyze``, ``change``, ``reweight``, ``apply_weights`` say what the commands say."""

from __future__ import annotations

import json
import shutil

import pytest

import compread
from compread.cli import main
from compread.errors import StoreError, TargetError, UsageError


@pytest.fixture
def told(capsys):
    """A function that runs a command and gives back its JSON."""

    def call(*arguments):
        assert main([*map(str, arguments), "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


RANKED = [
    ({}, []),
    ({"by": "margin", "top": 3, "ascending": True}, ["--by", "margin", "--top", 3, "--ascending"]),
    ({"kind": "head", "split": "train"}, ["--kind", "head", "--split", "train"]),
    ({"kind": ["mlp", "mixer"]}, ["--kind", "mlp", "--kind", "mixer"]),
    ({"kind": "mlps,mixer"}, ["--kind", "mlp,mixers"]),
    ({"kind": "all", "top": 0, "per": "seed"}, ["--kind", "all", "--top", 0, "--per", "seed"]),
    ({"alpha": 0.2, "good_accuracy": 0.8}, ["--alpha", 0.2, "--good-accuracy", 0.8]),
    ({"bias_share": 0.9, "bad_accuracy": 0.1}, ["--bias-share", 0.9, "--bad-accuracy", 0.1]),
    ({"pool": "max"}, ["--pool", "max"]),
]


@pytest.mark.parametrize(("named", "options"), RANKED)
def test_rank_is_the_commands(stores, told, named, options):
    """Rows equal to the command's, under the same names and defaults."""
    found = compread.rank(stores, **named)
    assert list(found) == told("rank", stores, *options)
    assert list(found.to_pandas()["component"]) == [row["component"] for row in found]


def test_runs_bring_their_split(stores, told):
    """Runs that were opened on the train rows are ranked on these."""
    runs = compread.open(stores, split="train")
    assert list(compread.rank(runs[1:])) == told("rank", *runs.paths[1:], "--split", "train")
    assert list(compread.rank(runs, split="test")) == told("rank", stores)


@pytest.mark.parametrize(
    ("named", "options"),
    [
        ({}, []),
        (
            {"table": ["runs", "pairs"], "top": 2},
            ["--table", "runs", "--table", "pairs", "--top", 2],
        ),
        ({"table": "transfer", "pairs": 1}, ["--table", "transfer", "--pairs", 1]),
        ({"pairs": "all", "alpha": 0.5}, ["--pairs", "all", "--alpha", 0.5]),
    ],
)
def test_analyze_is_the_commands(stores, told, named, options):
    """Every list equal to the command's."""
    found = compread.analyze(stores, **named)
    assert {name: list(rows) for name, rows in found.items()} == told("analyze", stores, *options)


def test_change_is_that_of_versus(stores, told, tmp_path, write_store):
    """The rows of ``analyze --versus``."""
    for seed in range(3):
        other = {"model": "other", "fingerprint": "beef", "task": "sst2"}
        write_store(tmp_path / f"o-{seed}.h5", seed=seed, **other)
    found = compread.change(stores, tmp_path)
    assert list(found) == told("analyze", stores, "--versus", tmp_path)


def test_reweight_is_the_commands(stores, told, tmp_path):
    """Every list equal to the command's, and the file that it saves too."""
    found = compread.reweight(
        stores, n_train=[4, 8], methods=["full", "comprw", "blend"], versus="full", oracle=True,
        metrics=True,
    )  # fmt: skip
    file = tmp_path / "w.json"
    assert {name: list(rows) for name, rows in found.items()} == told(
        "reweight", stores, "--n-train", "4,8", "--methods", "full,comprw,blend", "--versus",
        "full", "--oracle", "--save", file,
    )  # fmt: skip
    assert found.save(tmp_path / "own.json").read_bytes() == file.read_bytes()
    with pytest.raises(TargetError, match=r"own\.json exists; give another path, or force=True"):
        found.save(tmp_path / "own.json")
    applied = told("reweight", "--apply", file, stores, "--methods", "comprw,blend-row")
    for weights in (found, file):
        rows = compread.apply_weights(weights, stores, methods=["comprw", "blend-row"])
        assert list(rows) == applied


def test_ensembles_are_the_commands(told, tmp_path, write_store):
    """Every list equal to the command's, the file to the byte, what it scores, said shares too."""
    for template in "ab":
        made = {"seed": 3, "template": template, "prompt_set": template}
        write_store(tmp_path / "runs" / f"{template}.h5", **made)
    stores, file = tmp_path / "runs", tmp_path / "w.json"
    found = compread.reweight(stores, methods="full,blend", ensemble="templates", metrics=True)
    assert {name: list(rows) for name, rows in found.items()} == told(
        "reweight", stores, "--methods", "full,blend", "--ensemble", "templates", "--save", file
    )
    assert len(found.ensembles) == len(found["ensembles"]) == 2
    assert found.save(tmp_path / "own.json").read_bytes() == file.read_bytes()
    applied = told("reweight", "--apply", file, stores)
    for weights in (found, file):
        assert list(compread.apply_weights(weights, stores)) == applied
    options = ["--methods", "bc,blend", "--label-shares", "0.3,0.7"]
    found = compread.reweight(stores, methods="bc,blend", label_shares=[0.3, 0.7])
    assert list(found["runs"]) == told("reweight", stores, *options)["runs"]
    applied = told("reweight", "--apply", file, stores, "--label-shares", "balanced")
    assert list(compread.apply_weights(file, stores, label_shares="balanced")) == applied
    with pytest.raises(UsageError, match="label_shares='evn'"):
        compread.reweight(stores, label_shares="evn")
    with pytest.raises(UsageError, match=r"ensemble=.*did you mean 'seeds'"):
        compread.reweight(stores, ensemble="seed")
    ranked = told("rank", stores, "--weights", file)
    assert list(compread.rank(stores, weights=found)) == ranked


def test_weights_stand_beside_a_ranking(stores, told, tmp_path):
    """From a file or from what ``reweight`` gave, as ``rank --weights`` shows them."""
    fitted = compread.reweight(stores, methods="comprw,blend", recipe="convex", signed=True)
    file = fitted.save(tmp_path / "w.json")
    options = ["--weights", file, "--method", "comprw:signed", "--by", "weight"]
    named = {"method": "comprw:signed", "by": "weight"}
    expected = told("rank", stores, *options)
    assert list(compread.rank(stores, weights=file, **named)) == expected
    assert list(compread.rank(stores, weights=fitted, **named)) == expected


def test_results_have_many_forms(stores):
    """One line as ``repr``, the command's table as text, the same as HTML in a notebook."""
    found, several = compread.rank(stores, top=2), compread.analyze(stores)
    assert repr(found).startswith("<3 rows of rank, component, kind, layer, and ")
    assert "L0H0" in str(found) and "Components by accuracy: sst2" in str(found)
    html = found._repr_html_()
    assert html.startswith("<table><caption>Components by accuracy") and html.count("<tr") == 4
    assert repr(several).startswith("<Results: runs (3), summary (2), transfer (")
    assert repr(several["runs"]).startswith("<3 rows of store, model, ")
    assert several["summary"].to_pandas().shape[0] == 2
    assert "<caption>Accuracy on the test rows" in several._repr_html_()
    assert found[0]["rank"] == 1 and len(found[:2]) == 2
    assert set(found.to_xarray()["accuracy"].dims) == {"component"}


def test_what_is_odd_about_stores_is_a_warning(stores, tmp_path):
    """It names the line that called, and is no output."""
    shutil.copytree(stores, tmp_path / "s")
    shutil.copy(tmp_path / "s" / "sst2-t1-k4-s0.h5", tmp_path / "s" / "copy.h5")
    with pytest.warns(compread.CompreadWarning, match="the same run again, so left out") as seen:
        compread.rank(tmp_path / "s")
    assert [one.filename for one in seen] == [__file__]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: compread.rank(s, by="acuracy"), 'by="acuracy": did you mean \'accuracy\'?'),
        (lambda s: compread.rank(s, by="weight"), 'by="weight" and method want weights'),
        (lambda s: compread.rank(s, kind="hed"), "kind='hed': did you mean 'head'?"),
        (lambda s: compread.rank(s, split="dev"), 'split="dev": there is train, test'),
        (lambda s: compread.rank(s, pool="sum"), 'pool="sum": there is logsumexp'),
        (lambda s: compread.rank(s, alpha=2), "alpha=2"),
        (lambda s: compread.analyze(s, table="run"), 'table="run": did you mean \'runs\'?'),
        (lambda s: compread.analyze(s, pairs=0), "pairs=0: expected a whole number from 1 up"),
        (lambda s: compread.reweight(s, methods="blnd"), "methods='blnd'"),
        (lambda s: compread.reweight(s, recipe="best"), "recipe='best'"),
        (lambda s: compread.reweight(s, signed=True), 'signed=True goes with recipe="convex"'),
        (lambda s: compread.reweight(s, n_train=99), "n_train=99: "),
        (lambda s: compread.reweight(s, methods="full", versus="bc"), "versus='bc'"),
        (lambda s: compread.reweight(s, methods="cc"), "calibration_prompts=True"),
    ],
)  # fmt: skip
def test_errors_name_arguments(stores, call, message):
    """An error's next step is an argument, never an option of a command."""
    with pytest.raises((UsageError, StoreError)) as error:
        call(stores)
    assert message in str(error.value) and "--" not in str(error.value)


def test_other_models_are_not_averaged(stores, tmp_path, write_store):
    """Unless it is asked for, by an argument that the message names."""
    other = write_store(tmp_path / "o.h5", model="other", fingerprint="beef")
    with pytest.raises(StoreError, match="give one model's stores, or across_models=True"):
        compread.rank([stores, other])
    assert len(compread.rank([stores, other], across_models=True)) > 1

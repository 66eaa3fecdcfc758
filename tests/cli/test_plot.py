"""``compread plot`` and ``rank --heatmap`` on planted stores."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from compread.analysis.bias import leanings
from compread.cli import main
from compread.errors import StoreError, UsageError
from compread.reweight.rows import rows_of
from compread.reweight.weights_file import Weights
from compread.store import open_store


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs compread: its status, stdout and stderr, at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        status = main(list(map(str, arguments)))
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def store(stores):
    """One planted store."""
    return stores / "sst2-t1-k4-s0.h5"


@pytest.mark.parametrize(
    "kind", ["scatter", "heatmap", "transfer", "bias", "reliability", "layers"]
)
@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "csv", "json"])
def test_each_kind_in_each_form(run, stores, tmp_path, kind, ending):
    """The file is written, and its path alone is on stdout."""
    out = tmp_path / f"x.{ending}"
    status, printed, _ = run("plot", kind, stores, "-o", out)
    assert (status, printed) == (0, f"{out}\n") and out.stat().st_size > 50
    if ending == "json":
        assert json.loads(out.read_text())[0].keys() >= {"panel"}


@pytest.mark.parametrize(
    ("by", "groups"),
    [("category", {"good", "bad", "label-biased", "other"}), ("kind", {"head", "mlp", "mixer"})],
)
def test_a_scatters_groups_are_those_asked_for(run, store, tmp_path, by, groups):
    """What components do, or what they are."""
    out = tmp_path / "x.json"
    assert run("plot", "scatter", store, "--color", by, "-o", out)[0] == 0
    assert {row["group"] for row in json.loads(out.read_text())} <= groups


@pytest.mark.parametrize(("theme", "dark"), [("light", False), ("dark", True)])
def test_the_theme_is_that_of_the_file(run, stores, tmp_path, theme, dark):
    """Its corners are near white on ``light``, near black on ``dark``."""
    from matplotlib.image import imread

    out = tmp_path / "x.png"
    assert run("plot", "scatter", stores, "--theme", theme, "-o", out)[0] == 0
    corners = imread(out)[[0, 0, -1, -1], [0, -1, 0, -1], :3]
    assert (corners < 0.2).all() if dark else (corners == 1).all()


NEW_KIND = """
import sys
from compread.views.plots import kinds
from compread.views.plots.charts import heatmap

kinds.PLOTS = {
    **kinds.PLOTS,
    "margins": kinds.PlotKind("how sure each is", lambda asked: heatmap(asked.runs(), "margin")),
}
from compread.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_new_kind_is_an_entry_and_a_drawing(stores, tmp_path):
    """``plot`` takes it by name, names it in its help and writes its numbers."""

    def call(*arguments):
        command = [sys.executable, "-c", NEW_KIND, "plot", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    out = tmp_path / "x.csv"
    assert call("margins", stores, "-o", out) == f"{out}\n"
    assert "margin" in out.read_text()
    shown = " ".join(call("--help").split())
    assert " margins how sure each is" in shown


@pytest.mark.parametrize("kind", ["scatter", "heatmap", "transfer", "bias", "reliability"])
def test_a_dash_draws_in_the_terminal(run, stores, kind):
    """With -o - the drawing is on stdout, in 80 columns and without codes where it is piped."""
    status, out, err = run("plot", kind, stores, "-o", "-")
    assert (status, err) == (0, "") and "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("colorterm", "no_color", "code"),
    [("truecolor", "", "\x1b[48;2;"), ("", "", "\x1b[48;5;"), ("truecolor", "1", "")],
)
def test_heatmap_in_the_colours_there_are(run, store, monkeypatch, colorterm, no_color, code):
    """``rank --heatmap`` is in true or 256 colours, and plain under NO_COLOR."""
    for name, value in (("COLORTERM", colorterm), ("NO_COLOR", no_color), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    out = run("rank", store, "--heatmap")[1]
    assert "MLP" in out and (code in out if code else "\x1b" not in out)


def test_change_between_two_models(run, stores, tmp_path, write_store):
    """The change map is of the stores of --versus minus the others."""
    other = write_store(tmp_path / "chat.h5", seed=0, model="chat", fingerprint="c0ffee")
    out = tmp_path / "x.csv"
    assert run("plot", "change", stores / "sst2-t1-k4-s0.h5", "--versus", other, "-o", out)[0] == 0
    values = [float(row["value"]) for row in csv.DictReader(out.open())]
    assert len(values) == 8 and set(values) == {0.0}  # the same numbers under another name


def test_training_curves(run, tmp_path, write_store):
    """Stores of several revisions make curves, drawn in order of their numbers."""
    for step in (512, 16):
        write_store(tmp_path / f"s{step}.h5", checkpoint=f"step{step}", fingerprint=f"{step}")
    status, out, _ = run("plot", "training", tmp_path, "-o", "-")
    assert status == 0 and "revision: step16, step512" in out and "L best at last" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["scatter", "STORE", "-o", "x.gif"], 2, "expected a name that ends in .png"),
        (["change", "STORE", "-o", "-"], 2, "--versus"),
        (["scatter", "STORE", "--versus", "STORE", "-o", "-"], 2, "--versus"),
        (["heatmap", "STORE", "--by", "weight", "-o", "-"], 2, "plot weights FILE"),
        (["bias", "STORE", "--labels", "0,5", "-o", "-"], 2, "2 labels"),
        (["bias", "STORE", "--labels", "1", "-o", "-"], 2, "two numbers"),
        (["training", "STORE", "-o", "-"], 2, "several revisions"),
        (["scatter", "STORE", "--weights", "w.json", "-o", "-"], 2, "`plot reliability`"),
        (["reliability", "STORE", "--weights", "w.json", "-o", "-"], 4, "no such weights file"),
        (["reliability", "STORE", "--method", "linc", "-o", "-"], 2, "goes with --weights"),
        (
            ["scatter", "STORE", "--method", "linc", "-o", "-"],
            2,
            "--method goes with `plot weights`",
        ),
        (["weights", "STORE", "-o", "-"], 4, "weights file"),
        (["waterfall", "STORE", "-o", "-"], 2, "name it with --example ID"),
        (["waterfall", "STORE", "--example", "row-999", "-o", "-"], 2, "did you mean 'row-99'"),
        (["layers", "STORE", "--example", "row-9", "-o", "-"], 2, "goes with `plot waterfall`"),
        (["scatter", "STORE", "--size", "wide", "-o", "x.png"], 2, "--size wide: expected width"),
        (["scatter", "STORE", "--size", "0x3", "-o", "x.png"], 2, "--size 0x3: expected width"),
        (["scatter", "STORE", "--size", "9x900", "-o", "x.png"], 2, "from 1 to 60"),
        (["scatter", "STORE", "--theme", "night", "-o", "x.png"], 2, "'night' is not one of"),
        (["scatter", "STORE", "--style", "poster", "-o", "x.png"], 2, "'poster' is not one of"),
        (["scatter", "nowhere.h5", "-o", "-"], 4, "no such store"),
        (["scatter", "STORE", "-o", "STORE.d/x.png"], 1, "no folder"),
    ],
)
def test_what_cannot_be_drawn_is_said(run, store, arguments, status, words):
    """A mistake is one line on stderr with its status, and nothing on stdout."""
    got, out, err = run("plot", *[a.replace("STORE", str(store)) for a in arguments])
    assert (got, out) == (status, "") and words in err and "Traceback" not in err


def test_a_file_is_replaced_by_force_only(run, store, tmp_path):
    """A figure that exists stays unless --force is given."""
    out = tmp_path / "x.svg"
    out.write_text("mine")
    assert run("plot", "heatmap", store, "-o", out)[0] == 1 and out.read_text() == "mine"
    assert run("plot", "heatmap", store, "-o", out, "--force")[0] == 0
    assert out.read_text().startswith("<?xml")


def test_weights_of_a_fit(run, stores, tmp_path):
    """The weights that reweight saved are drawn; a method without weights is told."""
    saved = tmp_path / "w.json"
    assert main(["reweight", str(stores), "--methods", "comprw", "--save", str(saved)]) == 0
    status, out, _ = run("plot", "weights", saved, "-o", "-")
    assert status == 0 and "Weights by comprw, 10 train rows, mean of 3 fits" in out
    status, out, err = run("plot", "weights", saved, "--method", "calib+", "-o", "-")
    assert status == 2 and "weights for components of comprw" in err


def test_the_two_most_biased_components(stores, tmp_path, write_store):
    """The planted components lean furthest to either label; settings are named by their labels."""
    data = {"protocol": {"demo_labels": [1, 1, 1, 1]}}
    other = write_store(tmp_path / "ones.h5", seed=5, **data)
    first, second = leanings([stores / "sst2-t1-k4-s0.h5", other])
    assert (first.component.name, second.component.name) == ("L1H0", "L1MLP")
    assert first.settings == ("balanced", "all positive") and first.biased == (1.0, 1.0)
    with open_store(other) as store:
        names = [c.name for c in store.components]
        wanted = store.split("test").parts[:, names.index("L1MLP")]
    np.testing.assert_array_equal(second.logits[1], wanted)


def test_bias_wants_stores_alike(tmp_path, stores, write_store):
    """Stores of more labels are refused, and labels that are not there."""
    other = write_store(tmp_path / "other.h5", words=(" no", " so", " yes"))
    with pytest.raises(StoreError, match=r"has 2 labels .* has 3 \(no, so, yes\)"):
        leanings([stores / "sst2-t1-k4-s0.h5", other])
    with pytest.raises(UsageError, match="has 3 labels"):
        leanings([other], labels=(0, 3))


@pytest.mark.parametrize(
    ("changed", "asked", "message"),
    [
        ({}, ["--method", "linc"], "--method 'linc': the weights are of comprw"),
        ({"normalize": "bytes"}, [], "the weights were fitted with --normalize bytes; give that"),
    ],
)
def test_reliability_is_of_numbers_that_the_weights_are_of(
    run, store, tmp_path, changed, asked, message
):
    """Weights that are not there, or were fitted on other numbers, are refused in one line."""
    saved = tmp_path / "w.json"
    assert run("reweight", store, "--methods", "comprw", "--save", saved)[0] == 0
    (fit,) = Weights.read(saved).fits
    Weights((replace(fit, run=replace(fit.run, **changed)),)).write(saved, force=True)
    status, out, err = run("plot", "reliability", store, "--weights", saved, *asked, "-o", "-")
    assert (status, out) == (2, "") and message in err


def test_reliability_is_the_share_that_is_right_by_probability(run, store, tmp_path):
    """Of the full model and of fits at their temperatures, against loops over the rows."""
    saved, out = tmp_path / "w.json", tmp_path / "x.csv"
    methods = ["--methods", "comprw,affine"]
    assert main(["reweight", str(store), *methods, "--save", str(saved)]) == 0
    asked = ["--weights", saved, "--method", "comprw"]
    assert run("plot", "reliability", store, *asked, "-o", out)[0] == 0
    rows = list(csv.DictReader(out.open()))
    (fit,) = (fit for fit in Weights.read(saved).fits if fit.method == "comprw")
    with open_store(store, "logsumexp") as opened:
        split, components = opened.split("test"), opened.components
    scores = {
        "full model": split.full.astype(float),
        "comprw (10)": fit.fitted.scores(rows_of(split, components)) / fit.temperature,
    }
    assert len({row["group"] for row in rows}) == 2
    for name, values in scores.items():
        p = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
        top, hit = p.max(axis=1), p.argmax(axis=1) == split.gold
        bins = [(top > b / 15) & (top <= (b + 1) / 15) for b in range(15)]
        wanted = [(f"{b.sum()} rows", top[b].mean(), hit[b].mean()) for b in bins if b.any()]
        own = [row for row in rows if row["group"].startswith(f"{name}: ECE")]
        assert [row["name"] for row in own] == [one[0] for one in wanted]
        found = [(float(row["x"]), float(row["y"])) for row in own]
        assert found == [pytest.approx(one[1:]) for one in wanted]


def test_a_heat_map_of_a_measure_of_one_s_own(run, stores, tmp_path):
    """The metric that ``rank`` has of each component; a word that is none is refused."""
    out = tmp_path / "x.csv"
    assert run("plot", "heatmap", stores, "--by", "accuracy - chance", "-o", out)[0] == 0
    ranked = ["--by", "accuracy - chance", "--kind", "head", "--top", "0", "--format", "json"]
    rows = json.loads(run("rank", stores, *ranked)[1])[:-1]
    wanted = {(str(row["head"]), str(row["layer"])): row["metric"] for row in rows}
    found = {(row["row"], row["column"]): float(row["value"]) for row in csv.DictReader(out.open())}
    assert wanted.items() <= found.items() and len(wanted) == 4
    status, _, err = run("plot", "heatmap", stores, "--by", "acuracy", "-o", "-")
    assert status == 2 and "did you mean 'accuracy'?" in err


def test_layers_are_the_sums_of_analyze(run, stores, tmp_path):
    """Of several stores of a task the mean, with its interval."""
    out = tmp_path / "x.csv"
    assert run("plot", "layers", stores, "-o", out)[0] == 0
    rows = list(csv.DictReader(out.open()))
    sums = json.loads(run("analyze", stores, "--early-exit", "--format", "json")[1])["sums"]
    names = {"all": "all up to it", "attention": "attention alone", "mlp": "MLPs alone"}
    ends = ("", "_low", "_high")
    wanted = {
        (names[row["sum"]], str(row["layer"])): [row[f"accuracy{end}"] for end in ends]
        for row in sums
        if row["store"].startswith("mean") and row["layer"] is not None
    }
    found = {
        (row["line"], row["place"]): [float(row[key]) for key in ("value", "low", "high")]
        for row in rows
    }
    assert found == wanted and len(found) == 9
    assert "mean of 3 stores" in rows[0]["panel"]


@pytest.mark.parametrize("several", [True, False])
def test_learning_is_accuracy_over_train_rows(run, stores, store, tmp_path, several):
    """The mean over stores and one sd about it; of one store the interval."""
    saved, out = tmp_path / "w.json", tmp_path / "x.csv"
    options = ["--methods", "full,comprw", "--n-train", "2,6,10", "--save", saved]
    assert run("reweight", stores if several else store, *options)[0] == 0
    assert run("plot", "learning", saved, "-o", out)[0] == 0
    found = {(row["line"], row["place"]): row for row in csv.DictReader(out.open())}
    assert list(found) == [(m, n) for m in ("full", "comprw") for n in ("2", "6", "10")]
    fits = Weights.read(saved).fits
    for (method, n), row in found.items():
        tests = [f.test for f in fits if (f.title, str(len(f.train_ids))) == (method, n)]
        mean, sd = (of([one.accuracy for one in tests]) for of in (np.mean, np.std))
        low, high = (
            (mean - sd, mean + sd) if several else (tests[0].accuracy_low, tests[0].accuracy_high)
        )
        wanted = [pytest.approx(value) for value in (mean, low, high)]
        assert [float(row[key]) for key in ("value", "low", "high")] == wanted
    assert run("plot", "learning", saved, "--method", "full", "-o", "-")[0] == 0


def test_learning_wants_several_numbers_of_train_rows(run, store, tmp_path):
    """One number makes no curve; the message has the command that saves several."""
    saved = tmp_path / "w.json"
    assert run("reweight", store, "--methods", "full", "--save", saved)[0] == 0
    status, _, err = run("plot", "learning", saved, "-o", "-")
    assert status == 2 and "10 train rows alone" in err and "--n-train 4,8,16" in err


def test_a_waterfall_ends_in_the_full_model_s_margin(run, store, tmp_path):
    """Its steps add up; what is not shown by name stands together."""
    out = tmp_path / "x.json"
    assert run("plot", "waterfall", store, "--example", "row-12", "-o", out)[0] == 0
    *steps, total = json.loads(out.read_text())
    sums = np.cumsum([step["change"] for step in steps])
    np.testing.assert_allclose([step["running_sum"] for step in steps], sums)
    rows = json.loads(run("rank", store, "--example", "row-12", "--format", "json")[1])
    assert total["running_sum"] == rows[-1]["logit_difference"]
    assert sums[-1] == pytest.approx(rows[-1]["running_sum"])
    assert steps[0]["name"] == "embed" and steps[-1]["name"] == "bias"
    status, drawn, _ = run("plot", "waterfall", store, "--example", "row-12", "-o", "-")
    assert status == 0 and max(map(len, drawn.splitlines())) <= 80 and "full model" in drawn


def test_reliability_has_each_store_s_own_fits(run, stores, tmp_path):
    """Of several stores' fits a panel has those on its store; all, where none is on it."""
    saved, out = tmp_path / "w.json", tmp_path / "x.csv"
    some = sorted(stores.iterdir())[:2]
    assert run("reweight", *some, "--methods", "comprw,affine", "--save", saved)[0] == 0
    assert run("plot", "reliability", stores, "--weights", saved, "-o", out)[0] == 0
    groups: dict[str, set[str]] = {}
    for row in csv.DictReader(out.open()):
        groups.setdefault(row["panel"], set()).add(row["group"])
    assert [len(of) for of in groups.values()] == [3, 3, 5]

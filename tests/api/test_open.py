"""``compread.open``: runs as arrays with named axes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import AXIS, make_run

import compread
from compread.analysis.ranking import rank
from compread.analysis.runs import read_runs
from compread.errors import StoreError, UsageError
from compread.store import Labels, SplitRows, StoreWriter, open_store


@pytest.fixture
def path(stores):
    """One planted store."""
    return stores / "sst2-t1-k4-s0.h5"


def test_arrays_are_those_of_the_store(path):
    """Parts, logits and labels, with the names of each axis."""
    run = compread.open(path)
    with open_store(path) as store:
        split = store.split("test")
        np.testing.assert_array_equal(run.parts, split.parts)
        np.testing.assert_array_equal(run.full, split.full)
        np.testing.assert_array_equal(run.gold, split.gold)
        assert run.axes["row"] == split.id
        assert run.axes["component"] == tuple(c.name for c in store.components)
        assert run.labels == store.labels and run.info == store.run
    assert run.axes["label"] == ("negative", "positive")
    assert run.label_texts == (" negative", " positive")
    assert run.parts.shape == tuple(map(len, run.axes.values()))
    assert len(compread.open(path, split="train").gold) == 10


@pytest.mark.parametrize("form", ["file", "folder", "list", "glob", "runs", "path object"])
def test_every_form_of_stores_is_opened(stores, monkeypatch, form):
    """A file, a folder, a list, a glob and runs themselves; a folder in the order of its names."""
    monkeypatch.chdir(stores)
    names = sorted(file.name for file in stores.glob("*.h5"))
    given, expected = {
        "file": (names[1], names[1:2]),
        "folder": (str(stores), names),
        "list": (names[:2], names[:2]),
        "glob": ("sst2-*-s[02].h5", [names[0], names[2]]),
        "runs": ([compread.open(names[2]), names[0]], [names[2], names[0]]),
        "path object": (stores / names[0], names[:1]),
    }[form]
    runs = compread.open(given)
    assert [path.name for path in runs.paths] == expected
    assert [run.info.seed for run in runs] == [int(name[-4]) for name in expected]


def test_a_file_whose_name_looks_like_a_glob_is_meant_itself(stores, tmp_path):
    """As a shell leaves it where it is quoted; a glob of the same letters is opened elsewhere."""
    first, second, *_ = sorted(stores.glob("*.h5"))
    named, other = tmp_path / "run[1].h5", tmp_path / "run1.h5"
    named.write_bytes(first.read_bytes())
    other.write_bytes(second.read_bytes())
    assert compread.open(named).info == compread.open(first).info
    assert compread.open(other).info == compread.open(second).info != compread.open(first).info
    assert len(compread.open(str(tmp_path / "run*.h5"))) == 2


def test_several_runs_are_a_sequence(stores):
    """They have a length, members and slices, and no arrays of their own."""
    runs = compread.open(stores)
    assert len(runs) == 3 and [len(run) for run in runs] == [1, 1, 1]
    assert runs[1].info.seed == 1 and runs[-1].info.seed == 2
    assert [run.info.seed for run in runs[1:]] == [1, 2]
    assert runs[1] in runs and runs[0] not in runs[1:]
    with pytest.raises(IndexError):
        runs[3]
    with pytest.raises(UsageError, match=r"these are 3 runs.*runs\[0\]"):
        _ = runs.parts


def test_a_component_is_found_by_its_name(path):
    """Its logits of each row and label, with their names; NumPy takes them as they are."""
    run = compread.open(path)
    j = run.axes["component"].index("L0H1")
    found = run["L0H1"]
    np.testing.assert_array_equal(np.asarray(found), run.parts[:, j])
    np.testing.assert_array_equal(found["positive"], run.parts[:, j, 1])
    np.testing.assert_array_equal(found.predictions, run.predictions[:, j])
    assert (found.component, found.labels) == ("L0H1", ("negative", "positive"))
    assert found.shape == found.values.shape == (100, 2)
    assert len(found) == 100 and "L0H1" in run and "L9H9" not in run
    frame = found.to_pandas()
    assert frame.loc[run.axes["row"][3], "negative"] == run.parts[3, j, 0]
    with pytest.raises(UsageError, match="no component 'L0H9': did you mean 'L0H"):
        run["L0H9"]
    with pytest.raises(UsageError, match="no label 'neutral': expected negative, positive"):
        found["neutral"]


def test_predictions_are_the_largest_contributions(path):
    """[N, C] the label that each component alone says, right as often as its accuracy."""
    run = compread.open(path)
    assert run.predictions.shape == run.parts.shape[:2]
    right = (run.predictions == run.gold[:, None]).mean(axis=0)
    names = run.axes["component"]
    assert right[names.index("L0H0")] == 0.9 and right[names.index("L0H1")] == 0
    assert (run.predictions[:, names.index("L1H0")] == 0).all()


def test_numbers_are_read_when_they_are_asked_for(path, tmp_path):
    """Opening reads no numbers; a store that was replaced meanwhile is an error."""
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    run = compread.open(copy)
    copy.write_bytes((path.parent / "sst2-t1-k4-s1.h5").read_bytes())
    with pytest.raises(StoreError, match="was replaced by another run"):
        _ = run.parts
    kept = compread.open(copy)
    before = kept.parts
    copy.unlink()
    assert kept.parts is before


def test_xarray_selects_by_name(path):
    """A Dataset finds a component's logit of a label by their names, exact texts beside them."""
    run = compread.open(path)
    data = run.to_xarray()
    assert data["parts"].dims == ("row", "component", "label")
    j = run.axes["component"].index("L0H1")
    found = data["parts"].sel(component="L0H1", label="positive")
    np.testing.assert_array_equal(found, run.parts[:, j, 1])
    assert data["label_text"].values.tolist() == [" negative", " positive"]
    assert data["gold"].values.tolist() == [run.axes["label"][y] for y in run.gold]
    agrees = (data["predictions"] == data["gold"]).mean("row")
    assert agrees.sel(component="L0H0") == 0.9
    assert data.attrs["task"] == "sst2" and data["layer"].sel(component="L1MLP") == 1


def test_pandas_is_long_and_tidy(stores):
    """A DataFrame has a row for each store, example, component and label, all of them named."""
    runs = compread.open(stores)[:2]
    frame = runs.to_pandas()
    assert list(frame.columns) == [
        "store", "model", "task", "template", "seed", "shots", "split", "row", "component", "kind",
        "layer", "head", "label", "label_text", "class", "logit", "gold",
    ]  # fmt: skip
    assert len(frame) == sum(run.parts.size for run in runs)
    for run in runs:
        own = frame[frame["seed"] == run.info.seed]
        pivot = own.pivot_table("logit", "component", "label", sort=False)
        np.testing.assert_allclose(pivot.to_numpy(), run.parts.mean(axis=0), rtol=1e-4, atol=1e-6)
        for at in (0, 7, len(own) - 1):
            line = own.iloc[at]
            n, rest = divmod(at, run.parts[0].size)
            c, k = divmod(rest, 2)
            component = run.components[c]
            assert line["row"] == run.axes["row"][n] and line["logit"] == run.parts[n, c, k]
            assert (line["component"], line["kind"]) == (component.name, component.kind)
            assert line["label"] == line["class"] == run.axes["label"][k]
            assert line["label_text"] == run.label_texts[k]
            assert line["gold"] == run.axes["label"][run.gold[n]]
    embed = frame[frame["component"] == "embed"]
    assert embed["layer"].isna().all() and (frame[frame["kind"] == "head"]["head"] >= 0).all()
    assert set(frame["task"]) == {"sst2"} and set(frame["template"]) == {"t1"}


def test_words_of_one_class_are_one_label_or_several(tmp_path):
    """Pooled, a class is a label and its words are told; not pooled, each word is."""
    words = Labels((" bad", " awful", " good"), (1, 2, 3), ("neg", "neg", "pos"))
    parts = np.random.default_rng(0).normal(size=(4, len(AXIS), 3)).astype(np.float32)
    info, path, n = make_run(), tmp_path / "w.h5", range(4)
    rows = {"test": SplitRows(np.array([0, 2, 0, 2]), list("abcd"), list("abcd"))}
    with StoreWriter.open(path, info, AXIS, words, rows) as writer:
        writer.append(n, parts, parts.sum(1), np.zeros(4), np.ones(4))
        writer.finish(info)
    run, apart = compread.open(path, pool="first"), compread.open(path, pool=None)
    assert run.axes["label"] == ("neg", "pos") and run.label_texts == (" bad| awful", " good")
    np.testing.assert_allclose(run["L0H0"]["neg"], parts[:, 1, 0], rtol=1e-6)
    assert run.gold.tolist() == [0, 1, 0, 1] and apart.gold.tolist() == [0, 2, 0, 2]
    np.testing.assert_array_equal(apart.parts, parts)
    frame = apart.to_pandas()
    assert frame["label"].tolist()[:3] == ["bad", "awful", "good"]
    assert frame["class"].tolist()[:3] == ["neg", "neg", "pos"]


def test_a_repr_is_one_line(stores):
    """Of one run and of several; a notebook shows a small table."""
    runs = compread.open(stores)
    assert repr(runs) == "<compread runs: 3 stores of sst2>"
    assert repr(runs[0]) == (
        "<compread run: sst2 t1 seed 0, 100 test rows, 10 components, labels negative/positive, "
        "tiny>"
    )
    html = runs._repr_html_()
    assert html.count("<tr>") == 4 and "sst2-t1-k4-s2.h5" in html and len(html) < 5000
    assert repr(runs[0]["L0H0"]) == ("<logits of L0H0: 100 rows, 2 labels (negative, positive)>")


def test_html_shows_names_as_text(tmp_path, write_store):
    """A template or task that is spelled as markup is none."""
    path = write_store(tmp_path / "x.h5", template="<b>&")
    html = compread.open(path)._repr_html_()
    assert "&lt;b&gt;&amp;" in html and "<b>" not in html


def test_statistics_are_those_of_rank(path):
    """A row a component in axis order, the full model last, as rank has them."""
    run = compread.open(path)
    frame = run.statistics().to_pandas().set_index("component")
    assert list(frame.index) == [*run.axes["component"], "full"]
    for row in rank(read_runs([path])).rows():
        assert frame.loc[row["component"], "accuracy"] == row["accuracy"]
    data = run.statistics().to_xarray()
    assert data["accuracy"].sel(component="L0H0") == 0.9


@pytest.mark.parametrize("name", ["pandas", "xarray"])
def test_a_library_that_is_missing_is_named(path, monkeypatch, name):
    """Without the library the message says what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"pip install {name}"):
        getattr(compread.open(path), f"to_{name}")()


def test_errors_are_those_of_the_store(path, tmp_path, write_store):
    """A missing store, a glob of nothing and a split without rows raise what they do elsewhere."""
    for missing in (tmp_path / "x.h5", tmp_path / "*.h5", [tmp_path / "x.h5"]):
        with pytest.raises(StoreError, match="no such store"):
            compread.open(missing)
    with pytest.raises(StoreError, match="no split"):
        compread.open(path, split="dev")
    with pytest.raises(StoreError, match="no store given"):
        compread.open([])
    bare = write_store(tmp_path / "bare.h5", n_train=0)
    with pytest.raises(UsageError, match=r'bare\.h5 has no train rows; try split="test"'):
        compread.open(bare, split="train")


def test_importing_costs_nothing():
    """``import compread`` imports neither NumPy nor h5py, and takes no one's ``open``."""
    code = (
        "import sys, compread; dir(compread); "
        "assert not {'numpy', 'h5py', 'torch', 'compread.api'} & set(sys.modules); "
        "compread.open; "
        "assert not {'scipy', 'rich', 'compread.api.weights'} & set(sys.modules); "
        "from compread import *; "
        "assert open.__module__ in ('io', '_io') and callable(rank) and callable(extract); "
        "import compread.reweight.fit; "
        "assert callable(compread.extract) and callable(compread.reweight); "
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        compread.nothing  # noqa: B018

"""``compread.open``: arrays with named axes."""

import subprocess
import sys

import numpy as np
import pytest

import compread
from compread.analysis import arrays
from compread.analysis.ranking import rank
from compread.analysis.runs import read_runs
from compread.errors import StoreError, UsageError
from compread.store import open_store


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
        assert run.axes["row"] == split.id and run.axes["label"] == store.labels.word
        assert run.axes["component"] == tuple(c.name for c in store.components)
    assert run.parts.shape == tuple(map(len, run.axes.values()))
    assert len(compread.open(path, split="train").gold) == 10


def test_xarray_selects_by_name(path):
    """A Dataset finds a component's logit of a label by their names."""
    run = compread.open(path)
    data = run.to_xarray()
    assert data["parts"].dims == ("row", "component", "label")
    j = run.axes["component"].index("L0H1")
    found = data["parts"].sel(component="L0H1", label=" positive")
    np.testing.assert_array_equal(found, run.parts[:, j, 1])
    assert data["gold"].values.tolist() == [run.labels.word[y] for y in run.gold]
    assert data.attrs["task"] == "sst2" and data["layer"].sel(component="L1MLP") == 1


def test_pandas_is_long_and_tidy(path):
    """A DataFrame has a row for each example, component and label."""
    run = compread.open(path)
    frame = run.to_pandas()
    assert list(frame.columns) == ["row", "component", "label", "logit", "gold"]
    assert len(frame) == run.parts.size
    pivot = frame.pivot_table("logit", "component", "label", sort=False)
    np.testing.assert_allclose(pivot.to_numpy(), run.parts.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert frame["gold"].iloc[0] == run.labels.word[run.gold[0]]


def test_statistics_are_those_of_rank(path):
    """A row a component in axis order, the full model last, as rank has them."""
    run = compread.open(path)
    frame = run.statistics().to_pandas().set_index("component")
    assert list(frame.index) == [*run.axes["component"], "full"]
    for row in rank(read_runs([path])).rows():
        assert frame.loc[row["component"], "accuracy"] == row["accuracy"]
    data = run.statistics().to_xarray()
    assert data["accuracy"].sel(component="L0H0") == 0.9


def test_errors_are_those_of_the_store(path, tmp_path):
    """A missing store and rows that are not there raise what they raise elsewhere."""
    with pytest.raises(StoreError, match="no such store"):
        compread.open(tmp_path / "x.h5")
    with pytest.raises(StoreError, match="no split"):
        compread.open(path, split="dev")


@pytest.mark.parametrize("name", ["pandas", "xarray"])
def test_a_library_that_is_missing_is_named(path, monkeypatch, name):
    """Without the library the message says what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"pip install {name}"):
        getattr(compread.open(path), f"to_{name}")()


def test_importing_costs_nothing():
    """``import compread`` imports neither NumPy nor h5py, and takes no one's ``open``."""
    code = (
        "import sys; from compread import *; import compread; "
        "assert open.__module__ in ('io', '_io'); "
        "assert not {'numpy', 'h5py', 'torch'} & set(sys.modules); assert callable(compread.open); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        compread.nothing  # noqa: B018
    assert compread.open is arrays.open_run

"""What of a folder stands in one mean, and what is said of the rest."""

from __future__ import annotations

import shutil

import pytest
from conftest import make_run
from store_sample import stop_after

from compread.errors import StoreError, worded
from compread.store import gather, journal_path
from compread.store.gather import setting_names


def test_a_run_counts_once(tmp_path, write_store):
    """A copy of a store is dropped, with both paths; a store of another seed is not."""
    one = write_store(tmp_path / "a.h5")
    shutil.copy(one, tmp_path / "b.h5")
    write_store(tmp_path / "c.h5", seed=1)
    found = gather([str(tmp_path)])
    assert [path.name for path in found.paths] == ["a.h5", "c.h5"]
    [note] = found.notes
    assert "b.h5 (as " in note and str(one) in note


def test_unfinished_runs_are_named(tmp_path, write_store):
    """One sentence names each with its kept rows; a damaged journal has its own, and a way out."""
    write_store(tmp_path / "a.h5")
    stop_after(tmp_path / "b.h5", 2)
    journal_path(tmp_path / "c.h5").write_bytes(b"no journal at all, but long enough to be read")
    [begun, damaged] = gather([str(tmp_path)]).notes
    assert "b.h5 (8 of 20 rows); the extract that began it goes on" in begun
    assert "c.h5" not in begun and damaged.startswith("damaged, so not counted: ")
    assert "c.h5.partial" in damaged and "--force" in damaged and "goes on" not in damaged
    assert gather([str(tmp_path / "a.h5")]).notes == ()


def test_other_limits_are_told(tmp_path, write_store):
    """Runs of one task that are cut to other numbers of rows are named; other tasks' are not."""
    for seed, limit in enumerate((30, None, 30)):
        write_store(tmp_path / f"{seed}.h5", seed=seed, protocol={"limit": limit})
    [note] = gather([str(tmp_path)]).notes
    assert worded(note).endswith("different --limit count alike in a mean: sst2 (30, all)")
    (tmp_path / "1.h5").unlink()
    write_store(tmp_path / "1.h5", seed=1, protocol={"limit": 50}, task="other")
    assert gather([str(tmp_path)]).notes == ()


@pytest.mark.parametrize(
    ("other", "allowed"),
    [
        ({"fingerprint": "c0de"}, ["any"]),
        ({"fingerprint": "c0de", "model": "chat"}, ["any"]),
        ({"fingerprint": "c0de", "checkpoint": "step2"}, ["any", "revisions"]),
        ({"seed": 1}, ["any", "revisions", "one"]),
    ],
)
def test_models_are_not_mixed(tmp_path, write_store, other, allowed):
    """Other weights are refused, both named, unless revisions of one model, or any, may stand."""
    write_store(tmp_path / "a.h5")
    write_store(tmp_path / "b.h5", **other)
    for models in ("any", "revisions", "one"):
        if models in allowed:
            assert len(gather([str(tmp_path)], models=models).paths) == 2
        else:
            with pytest.raises(StoreError, match=r"a\.h5 is of tiny.* --across-models"):
                gather([str(tmp_path)], models=models)


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ([{"seed": 1}, {"template": "t2"}], [None, None, None]),
        ([{"shots": 8}], ["4-shot", "8-shot"]),
        ([{"task": "mnli", "shots": 3}], [None, None]),
        ([{"model": "chat"}], ["tiny", "chat"]),
    ],
)
def test_settings_of_runs(others, names):
    """A setting is what runs of one task differ in beside template and seed."""
    runs = [make_run(), *(make_run(**other) for other in others)]
    assert setting_names(runs) == names

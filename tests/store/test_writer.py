"""Writing: stopping, going on, refusing, finishing."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_sample import (
    BATCHES,
    COMPONENTS,
    END,
    GOLD,
    HASHES,
    IDS,
    LABELS,
    NUMBERS,
    ROWS,
    RUN,
    C,
    K,
    N,
    append,
    assert_equals_sample,
    contents,
    open_writer,
    stop_after,
    write,
)

from compread.components import LayerShape, component_axis
from compread.errors import StoreError, TargetError
from compread.store import Labels, SplitRows, StoreWriter, journal_path, layout, open_store
from compread.store import writer as writer_module
from compread.store.finished import OPTIONS, RESULTS
from compread.store.journal import Journal


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A path in a folder that is not there yet."""
    return tmp_path / "new" / "x.h5"


def test_what_is_read_is_what_was_written(target: Path) -> None:
    """A store gives back every value exactly, and nothing else is left in the folder."""
    assert write(target) == target
    with open_store(target) as store:
        assert_equals_sample(store)
    assert [p.name for p in target.parent.iterdir()] == ["x.h5"]


def test_layout_is_the_documented_one(target: Path) -> None:
    """Plain h5py finds the names, shapes, types and guards that the format promises."""
    write(target)
    with h5py.File(target, "r") as file:
        assert file.attrs["format"].decode() == "compread"
        assert file.attrs["format_version"] == 2
        assert file.attrs["complete"]
        assert set(file) == {"components", "labels", "train", "test", "calibration"}
        assert set(file["components"]) == {"name", "kind", "layer", "head"}
        assert set(file["labels"]) == {"word", "token_id", "class"}
        columns = {*NUMBERS, "gold", "id", "prompt_hash"}
        assert set(file["train"]) == set(file["test"]) == set(file["calibration"]) == columns
        assert list(file["components/name"].asstr()) == [c.name for c in COMPONENTS]
        assert list(file["labels/word"].asstr()) == list(LABELS.word)
        assert list(file["labels/class"].asstr()) == list(LABELS.word)
        assert file["calibration/parts"].shape == (0, C, K)
        parts = file["test/parts"]
        assert parts.shape == (13, C, K) and parts.dtype == np.float32
        assert parts.fletcher32 and parts.shuffle and parts.compression == "gzip"
        assert h5py.check_string_dtype(file["test/id"].dtype).encoding == "utf-8"


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    """The batches' order and size leave no trace: two runs give the same bytes in every dataset."""
    one, other = write(tmp_path / "a.h5"), write(tmp_path / "b.h5", [[row] for row in range(N)])
    assert contents(one) == contents(other)


@pytest.mark.parametrize("n", range(len(BATCHES) + 1))
def test_a_stopped_run_goes_on(tmp_path: Path, n: int) -> None:
    """Stopped after any batch, a run keeps its rows and ends with the same bytes."""
    stop_after(tmp_path / "x.h5", n)
    with open_writer(tmp_path / "x.h5") as writer:
        kept = {row for rows in BATCHES[:n] for row in rows.tolist()}
        assert set(np.flatnonzero(writer.done).tolist()) == kept
    assert contents(write(tmp_path / "x.h5")) == contents(write(tmp_path / "whole.h5"))


def test_a_split_without_rows_is_there(target: Path) -> None:
    """A store of test rows alone has a train split of no rows."""
    rows = np.arange(7, N)
    with open_writer(target, splits={"test": ROWS["test"]}) as writer:
        writer.append(rows - 7, **{name: values[rows] for name, values in NUMBERS.items()})
        writer.finish(END)
    with open_store(target) as store:
        assert store.rows("train") == 0 and store.split("train").parts.shape == (0, C, K)
        np.testing.assert_array_equal(store.split("test").parts, NUMBERS["parts"][7:])


@pytest.mark.parametrize(
    ("n", "row_bytes", "rows"),
    [(10, 1, 10), (4, 25, 4), (5, 25, 4), (9, 51, 1), (9, 1000, 1), (7, 0, 7)],
)
def test_a_chunk_is_of_whole_rows(
    monkeypatch: pytest.MonkeyPatch, n: int, row_bytes: int, rows: int
) -> None:
    """As many as its bytes hold, one where a row alone has more, and no more than there are."""
    monkeypatch.setattr(layout, "CHUNK_BYTES", 100)
    assert layout.chunk_rows(n, row_bytes) == rows


@pytest.mark.parametrize("chunk_bytes", [layout.CHUNK_BYTES, 1 << 12, 1])
def test_rows_of_many_chunks_come_out_in_order(
    target: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    """A store of several chunks, appended in random order, is in prompt order."""
    monkeypatch.setattr(layout, "CHUNK_BYTES", chunk_bytes)
    components = component_axis([LayerShape(31)] * 20)
    n, k = 150, 5
    rng = np.random.default_rng(1)
    parts = rng.normal(size=(n, len(components), k)).astype(np.float32)
    labels = Labels(tuple("abcde"), (0, 1, 2, 3, 4))
    rows = SplitRows(rng.integers(0, k, n), [str(i) for i in range(n)], ["h"] * n)
    with StoreWriter.open(target, RUN, components, labels, {"test": rows}) as writer:
        for batch in np.array_split(rng.permutation(n), 9):
            full = parts[batch].sum(1)
            writer.append(batch, parts[batch], full, np.zeros(len(batch)), batch / n)
        writer.finish(END)
    with open_store(target) as store:
        np.testing.assert_array_equal(store.split("test").parts, parts)
        np.testing.assert_array_equal(store.split("test").full, parts.sum(1))
        mass = store.array("test", "label_mass")
        np.testing.assert_array_equal(mass, (np.arange(n) / n).astype(np.float32))
        for step in (None, 1, 47, 1000):
            pieces = list(store.iter_parts("test", step))
            np.testing.assert_array_equal(np.concatenate([p for _, p in pieces]), parts)
            assert all(len(p) == s.stop - s.start <= (step or n) for s, p in pieces)


def test_an_existing_store_needs_force(target: Path) -> None:
    """A finished store is refused without force, and with it stays until the new one is done."""
    write(target)
    before = target.read_bytes()
    with pytest.raises(TargetError, match=r"x\.h5: exists already: --force"):
        open_writer(target)
    assert [p.name for p in target.parent.iterdir()] == ["x.h5"]
    other = replace(RUN, seed=1)
    with open_writer(target, other, force=True) as writer:
        append(writer, range(N))
        assert target.read_bytes() == before
        writer.finish(replace(END, seed=1))
    with open_store(target) as store:
        assert store.run.seed == 1


def test_a_stopped_forced_run_goes_on_without_force(target: Path) -> None:
    """What was begun with --force may replace the old store when it is gone on with."""
    write(target)
    stop_after(target, 2, force=True)
    with open_writer(target) as writer:
        assert writer.done.any()
        append(writer, range(N))
        writer.finish(END)
    assert not journal_path(target).exists()


def test_force_starts_over(target: Path) -> None:
    """--force throws the kept rows of a stopped run away."""
    stop_after(target, 3)
    with open_writer(target, force=True) as writer:
        assert not writer.done.any()


OTHER_ROWS = {**ROWS, "train": SplitRows(GOLD[:7], ["other", *IDS[1:7]], HASHES[:7])}
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"run": replace(RUN, dtype="bfloat16")}, "dtype=float32; you ask for dtype=bfloat16"),
    (
        {"run": replace(RUN, seed=1, shots=4)},
        "seed=0, num-fewshot=2; you ask for seed=1, num-fewshot=4",
    ),
    ({"run": replace(RUN, demonstrations=("b", "a"))}, "other demonstrations"),
    ({"run": replace(RUN, fingerprint="0" * 16)}, "other weights"),
    ({"components": COMPONENTS[::-1]}, "other components"),
    ({"labels": Labels(LABELS.word, (1, 2, 3))}, "other labels"),
    ({"splits": OTHER_ROWS}, "other train rows"),
]


@pytest.mark.parametrize(("changes", "named"), CHANGES)
def test_another_run_does_not_go_on(target: Path, changes: dict[str, Any], named: str) -> None:
    """A journal of another identity is refused by what differs, and is left as it was."""
    stop_after(target, 2)
    before = journal_path(target).read_bytes()
    with pytest.raises(TargetError, match=rf"belongs to a run made with {named}: .*--force starts"):
        open_writer(target, **changes)
    assert journal_path(target).read_bytes() == before


def test_each_field_of_the_identity_has_a_name() -> None:
    """What can set two runs apart is told in words."""
    assert {*OPTIONS, *RESULTS} == set(RUN.identity())


def test_what_is_no_identity_may_change(target: Path) -> None:
    """The date, the command and the versions may differ between the halves of a run."""
    stop_after(target, 2)
    with open_writer(target, replace(RUN, date="later", command="x", versions={"a": "1"})) as w:
        assert w.done.any()


def test_a_second_writer_is_refused(target: Path) -> None:
    """While a writer is open, a second one in the same process is refused too, forced or not."""
    with open_writer(target):
        for force in (False, True):
            with pytest.raises(TargetError, match="another run is writing"):
                open_writer(target, force=force)
    write(target)


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder, a device and a path below a file are refused with the reason."""
    (tmp_path / "file").write_text("")
    (tmp_path / "fifo.h5").unlink(missing_ok=True)
    os.mkfifo(tmp_path / "fifo.h5")
    for name, reason in {
        ".": "is a folder",
        "fifo.h5": "not a regular file",
        "file/x.h5": "file is a file",
        "n" * 250 + ".h5": "name too long",
    }.items():
        with pytest.raises(TargetError, match=reason):
            open_writer(tmp_path / name, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fifo.h5", "file"]


def test_nothing_is_left_of_a_run_without_rows(target: Path) -> None:
    """A run that fails before its first batch leaves no journal, and neither does discard."""
    with open_writer(target):
        pass
    assert not list(target.parent.iterdir())
    with open_writer(target) as writer:
        append(writer, BATCHES[0])
        writer.discard()
    assert not list(target.parent.iterdir())


NAN, HUGE = np.full((1, C, K), np.nan), np.full((1, C, K), 1e39)
WRONG: list[tuple[list[int], dict[str, Any], str]] = [
    ([0], {"parts": np.zeros((1, C + 1, K))}, rf"parts: shape .*wanted \(1, {C}, {K}\)"),
    ([0, 1], {}, r"parts: shape"),
    ([0], {"full": np.zeros(K)}, "full: shape"),
    ([0], {"parts": NAN}, "parts of row 0 .id 'r0'. is NaN"),
    ([0], {"parts": HUGE}, "beyond float32"),
    ([0], {"full": np.full((1, K), np.inf)}, "full of row 0"),
    ([N], {}, f"row {N} does not exist"),
    ([-1], {}, "row -1 does not exist"),
    ([0, 0], {}, "distinct"),
    ([5], {}, r"row 5 \(id 'row-é5'\) is kept already"),
]


@pytest.mark.parametrize(("rows", "changes", "message"), WRONG)
def test_a_wrong_batch_is_refused(
    target: Path, rows: list[int], changes: dict[str, Any], message: str
) -> None:
    """A batch with a wrong shape, row or number is refused whole and the run can go on."""
    batch = {name: values[:1] for name, values in NUMBERS.items()}
    with open_writer(target) as writer:
        append(writer, [5])
        with pytest.raises(StoreError, match=message):
            writer.append(rows, **{**batch, **changes})
        assert writer.done.sum() == 1


WRONG_AXES: list[tuple[dict[str, Any], str]] = [
    ({"labels": Labels((), ())}, "0 label words"),
    ({"labels": Labels((" a",), (1, 2))}, "1 label words and 2 token ids"),
    ({"splits": {"dev": ROWS["test"]}}, "unknown split 'dev'"),
    ({"splits": {"test": SplitRows([3], ["a"], ["h"])}}, "row 'a': gold label 3 .* 0 to 2"),
    ({"splits": {"test": SplitRows([0], ["a", "b"], ["h"])}}, r"\(1, 2, 1\) rows"),
    ({"splits": {"test": SplitRows([0], ["a\0"], ["h"])}}, "NUL"),
    ({"splits": {"test": SplitRows([0], ["\ud800"], ["h"])}}, "not valid Unicode"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_AXES)
def test_contradicting_axes_are_refused(
    target: Path, changes: dict[str, Any], message: str
) -> None:
    """Labels and rows that no store can hold are refused before a file is made."""
    with pytest.raises(StoreError, match=message):
        open_writer(target, **changes)
    assert not target.parent.exists()


def test_a_run_finishes_whole_and_as_itself(target: Path) -> None:
    """With rows missing, or as another run, a store is not finished."""
    with open_writer(target) as writer:
        append(writer, range(N - 2))
        with pytest.raises(StoreError, match=f"2 of {N} rows are missing"):
            writer.finish(END)
        append(writer, range(N))
        with pytest.raises(StoreError, match="made with model=tiny; you ask for model=another"):
            writer.finish(replace(END, model="another"))
    assert not target.exists()


def test_a_file_that_appears_is_not_overwritten(target: Path) -> None:
    """Somebody else's file that comes to the target during the run is left alone."""
    with open_writer(target) as writer:
        append(writer, range(N))
        target.write_text("mine")
        with pytest.raises(TargetError, match="appeared while"):
            writer.finish(END)
    assert target.read_text() == "mine"
    with pytest.raises(TargetError, match="exists already"):
        open_writer(target)
    target.unlink()
    write(target)


class Crash(BaseException):
    """Stands for the end of the process."""


def _crash(*_: Any, **__: Any) -> None:
    raise Crash


@pytest.mark.parametrize("place", ["write_store", "replace", "sync_folder", "remove"])
def test_a_stop_during_finish_is_recovered(
    target: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Whichever step of finish a stop hits, running again gives the same store, all tidied up."""
    owner = {"replace": Path, "remove": Journal}.get(place, writer_module)
    with monkeypatch.context() as patch:
        patch.setattr(owner, place, _crash)
        with pytest.raises(Crash):
            write(target)
    assert target.exists() == (place in ("sync_folder", "remove"))
    target.with_name("x.h5.tmp").write_text("left by an earlier stop")
    with open_writer(target) as writer:
        assert writer.done.all()
    write(target)
    assert [p.name for p in target.parent.iterdir()] == ["x.h5"]
    assert contents(target) == contents(write(target.parent / "whole.h5"))


def test_a_full_disk_keeps_the_finished_rows(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fills up in the middle of a record, the records before it are kept."""
    pwrite = os.pwrite

    def full(fd: int, data: Any, offset: int) -> int:
        if len(data) > 100:
            return pwrite(fd, data[:50], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_writer(target) as writer:
        append(writer, BATCHES[0])
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            message = "disk is full.*finished rows are kept.*same command"
            with pytest.raises(TargetError, match=message):
                append(writer, BATCHES[1])
    with open_writer(target) as writer:
        assert sorted(np.flatnonzero(writer.done)) == sorted(BATCHES[0])
    write(target)
    assert contents(target) == contents(write(target.parent / "whole.h5"))


def test_a_disk_that_is_full_at_the_end_keeps_all_rows(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the store itself does not fit, its remains are deleted and the journal stays."""

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_writer(target) as writer:
        append(writer, range(N))
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(TargetError, match="disk is full"):
                writer.finish(END)
    assert [p.name for p in target.parent.iterdir()] == ["x.h5.partial"]
    write(target, [])
    assert contents(target) == contents(write(target.parent / "whole.h5"))

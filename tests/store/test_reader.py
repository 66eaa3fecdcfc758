"""Reading: exact values, or one clear error."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_sample import (
    END,
    GOLD,
    N_TEST,
    N_TRAIN,
    NUMBERS,
    C,
    K,
    append,
    assert_equals_sample,
    open_writer,
    stop_after,
    write,
)

from compread.errors import StoreError
from compread.store import journal_path, open_store
from compread.store.reader import peek_store
from compread.store.schema import FORMAT_VERSION


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sample store that no test changes."""
    return write(tmp_path_factory.mktemp("finished") / "x.h5")


@pytest.fixture
def store_file(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copy(finished, tmp_path / "x.h5"))


def refusal(path: Path) -> str:
    """The one-line error with which a store is refused, on open or on reading everything."""
    with pytest.raises(StoreError) as caught, open_store(path) as store:
        store.verify()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_lock_that_the_file_system_has_not(
    finished: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where HDF5_USE_FILE_LOCKING asks for one, that is what is said; the store is not damaged."""

    def refused(*_: Any, **__: Any) -> None:
        reason = f"errno = {number}, error message = {os.strerror(number)!r}"
        raise OSError(f"Unable to synchronously open file (unable to lock file, {reason})")

    monkeypatch.setattr(h5py, "File", refused)
    said = refusal(finished)
    assert "HDF5_USE_FILE_LOCKING" in said and "unset" in said
    assert "damaged" not in said and "--force" not in said


def test_a_peek_is_of_what_opening_gives(finished: Path) -> None:
    """Without its columns read, a store tells its run and the rows of all splits."""
    assert peek_store(finished) == (END, N_TRAIN + N_TEST)


def test_numbers_are_read_when_asked_for(finished: Path) -> None:
    """A store gives its counts, its axes and single arrays without the parts."""
    with open_store(finished) as store:
        assert (store.rows("train"), store.rows("test")) == (N_TRAIN, N_TEST)
        np.testing.assert_array_equal(store.array("test", "full"), NUMBERS["full"][N_TRAIN:])
        with pytest.raises(StoreError, match="no split 'dev': a store has train, test, calib"):
            store.split("dev")


def test_a_replaced_store_goes_on_being_read(store_file: Path) -> None:
    """A store that was opened keeps its numbers when another takes its name."""
    with open_store(store_file) as store:
        other = store_file.with_name("other.h5")
        other.write_text("else")
        other.replace(store_file)
        assert_equals_sample(store)


def test_a_missing_store(tmp_path: Path) -> None:
    """A path without a file is refused with what makes one."""
    assert "no such store: `compread extract` makes one" in refusal(tmp_path / "x.h5")


def test_a_folder(tmp_path: Path) -> None:
    """A folder is refused as one."""
    assert "is a folder" in refusal(tmp_path)


def test_an_unfinished_run(tmp_path: Path) -> None:
    """A run that was stopped is refused with how far it came and how it is finished."""
    stop_after(tmp_path / "x.h5", 2)
    message = refusal(tmp_path / "x.h5")
    assert "not finished; 8 of 20 rows are kept in x.h5.partial: run the same" in message
    assert "journal of an unfinished run, wanted x.h5" in refusal(journal_path(tmp_path / "x.h5"))


@pytest.mark.parametrize("content", [b"", b"H", b"not a store\n" * 99, b"\x89HDF\r\n\x1a\n"])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    """A file that is not HDF5, or only its first bytes, is refused."""
    (tmp_path / "x.h5").write_bytes(content)
    assert "HDF5" in refusal(tmp_path / "x.h5") or "damaged" in refusal(tmp_path / "x.h5")


def test_somebody_elses_hdf5(tmp_path: Path) -> None:
    """An HDF5 file without our format attribute, or with another one, is refused."""
    for value in (None, "keras", 3, np.zeros(4)):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["data"] = [1, 2]
            if value is not None:
                file.attrs["format"] = value
        assert "not a store that compread made" in refusal(tmp_path / "x.h5")


def with_gram(path: Path, gram: Any) -> Path:
    """The sample with these inner products of the labels' unembeddings."""
    with open_writer(path) as writer:
        append(writer, range(N_TRAIN + N_TEST))
        return writer.finish(replace(END, label_gram=gram))


def test_inner_products_of_the_unembeddings(tmp_path: Path) -> None:
    """Each row has those of the labels to the last bit; an older store has none."""
    gram = tuple(tuple(1 / (3 + i + j) for j in range(3)) for i in range(3))
    with open_store(with_gram(tmp_path / "a.h5", gram)) as store:
        assert store.run.label_gram == gram
        found = store.label_gram("train")
        assert found is not None
        np.testing.assert_array_equal(found, [gram] * N_TRAIN)
    with open_store(with_gram(tmp_path / "b.h5", ())) as store:
        assert store.label_gram("train") is None


def test_many_labels_have_inner_products(tmp_path: Path) -> None:
    """The run's description may be longer than the 64 kB of an ordinary attribute."""
    gram = tuple(map(tuple, np.random.default_rng(0).normal(size=(150, 150)).tolist()))
    with open_store(with_gram(tmp_path / "a.h5", gram)) as store:
        assert store.run.label_gram == gram
        with pytest.raises(StoreError, match="`label_gram` is not 3 by 3 finite numbers"):
            store.label_gram("train")


@pytest.mark.parametrize("gram", [((1.0, 2.0),) * 2, ((1.0,), (2.0, 3.0), ())])
def test_inner_products_that_are_none(tmp_path: Path, gram: Any) -> None:
    """Another shape, or no numbers: the store is called damaged when they are asked for."""
    with open_store(with_gram(tmp_path / "a.h5", gram)) as store:  # noqa: SIM117
        with pytest.raises(StoreError, match="damaged"):
            store.label_gram("train")


def test_a_newer_version(store_file: Path) -> None:
    """A newer format version is refused before anything else of the file is looked at."""
    with h5py.File(store_file, "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
        del file["components"], file.attrs["run"]
    assert "made by a newer compread (format version 6" in refusal(store_file)


def _set_column(name: str, row: int, value: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        file[name][row] = value

    return edit


def _set_attribute(name: str, value: Any) -> Callable[[Any], None]:
    def edit(file: Any) -> None:
        file.attrs[name] = value

    return edit


GUARDED = {"fletcher32": True, "shuffle": True, "compression": "gzip"}


def _replace_dataset(name: str, value: Any, **options: Any) -> Callable[[Any], None]:
    """Another dataset in a thing's place, guarded as ours are unless ``options`` say otherwise."""
    value = np.asarray(value)

    def edit(file: Any) -> None:
        del file[name]
        made = {"chunks": value.shape, **GUARDED, **options}
        file.create_dataset(name, data=value, **made)

    return edit


def _leave_out_a_chunk(file: Any) -> None:
    """Numbers of which HDF5 would make zeros."""
    del file["test/full"]
    dataset = file.create_dataset("test/full", (13, 3), "f4", chunks=(5, 3), **GUARDED)
    dataset[:10] = 1


def _mask_the_checksum(file: Any) -> None:
    """One chunk that says it was written without its filters."""
    del file["test/full"]
    dataset = file.create_dataset("test/full", (13, 3), "f4", chunks=(13, 3), **GUARDED)
    dataset.id.write_direct_chunk((0, 0), NUMBERS["full"][N_TRAIN:].tobytes(), filter_mask=7)


def _edit_run(file: Any) -> None:
    run = json.loads(file.attrs["run"])
    file.attrs["run"] = json.dumps({**run, "model": "another"})


EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "incomplete": (_set_attribute("complete", False), "not finished"),
    "older version": (_set_attribute("format_version", 0), "format version 0"),
    "another version": (_set_attribute("format_version", 1), "does not agree with its checksum"),
    "a row twice": (_set_column("train/id", 1, b"r0"), "train id 'r0' stands twice"),
    "a label twice": (_set_column("labels/word", 1, b" bad"), "label ' bad' stands twice"),
    "a token twice": (_set_column("labels/token_id", 1, 11), "label token 11 stands twice"),
    "no calibration": (lambda file: file.pop("calibration"), "/calibration is missing"),
    "class": (_set_column("labels/class", 2, b" x"), "does not agree with its checksum"),
    "no version": (lambda file: file.attrs.pop("format_version"), "'format_version' is missing"),
    "version of text": (_set_attribute("format_version", "2"), "of another type"),
    "infinite version": (_set_attribute("format_version", np.inf), "of another type"),
    "NaN version": (_set_attribute("format_version", np.nan), "of another type"),
    "versions": (_set_attribute("format_version", [2, 2]), "of another type"),
    "complete of text": (_set_attribute("complete", "no"), "of another type"),
    "run": (_edit_run, "checksum"),
    "run without text": (_set_attribute("run", 5), "checksum"),
    "another attribute": (_set_attribute("note", 5), "attribute 'note' is no part of a store"),
    "another dataset": (lambda file: file.create_dataset("x", data=[1]), "/x is no part of a st"),
    "another column": (
        lambda file: file.create_dataset("test/x", data=[1]),
        "/test/x is no part of a store",
    ),
    "a piece missing": (_leave_out_a_chunk, "/test/full lacks a piece"),
    "a piece unguarded": (_mask_the_checksum, "has a piece without its checksum"),
    "pieces of columns": (
        _replace_dataset("test/full", np.zeros((13, 3), "f4"), chunks=(13, 1)),
        "not in some whole rows",
    ),
    "another filter": (
        _replace_dataset("test/full", np.zeros((13, 3), "f4"), compression="lzf"),
        "packed in a way that compread does not write",
    ),
    "gold": (_set_column("test/gold", 0, (GOLD[N_TRAIN] + 1) % 3), "checksum"),
    "gold outside": (_set_column("test/gold", 2, 3), "gold label 3"),
    "id": (_set_column("train/id", 1, b"else"), "checksum"),
    "hash": (_set_column("test/prompt_hash", 1, b"else"), "checksum"),
    "token": (_set_column("labels/token_id", 0, 5), "checksum"),
    "layer": (_set_column("components/layer", 1, 1), "component names do not agree"),
    "kind": (_set_column("components/kind", 1, b"tail"), "component"),
    "shape": (_replace_dataset("test/full", np.zeros((13, 2), "f4")), r"shape \(13, 2\), wanted"),
    "type": (_replace_dataset("test/full", np.zeros((13, 3), "f8")), "type float64, wanted"),
    "axes": (_replace_dataset("test/id", np.zeros((13, 1), "S3")), "wanted one axis"),
    "lengths": (_replace_dataset("test/gold", np.zeros(12, "i8")), "different lengths"),
    "text": (_replace_dataset("labels/word", [1, 2, 3]), "wanted text of fixed length"),
    "missing": (lambda file: file.pop("test/sum_error"), "/test/sum_error is missing"),
    "group": (lambda file: (file.pop("test/full"), file.create_group("test/full")), "not a data"),
    "nan": (_set_column("test/parts", 4, np.nan), "/test/parts of row 'row-é11' is NaN"),
    "infinite": (_set_column("train/label_mass", 0, np.inf), "/train/label_mass of row 'r0'"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_store(store_file: Path, name: str) -> None:
    """A store in which somebody changed, removed or replaced a thing is refused by that thing."""
    edit, message = EDITS[name]
    # In the format whose structures are guarded, as only somebody who knows it would.
    with h5py.File(store_file, "r+", libver=("v110", "v110")) as file:
        edit(file)
    assert re.search(message, refusal(store_file))


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, "/test/parts"),
        ({"chunks": (13, C, K), "compression": "gzip"}, "/test/parts"),
        ({"chunks": (13, C, K), **GUARDED}, "/test/parts's structure"),
    ],
    ids=["plain", "packed", "guarded in an old format"],
)
def test_numbers_that_another_program_wrote(
    store_file: Path, options: dict[str, Any], left: str
) -> None:
    """The same numbers without their checksum, as h5py writes them, are refused with what to do."""
    with h5py.File(store_file, "r+") as file:
        values = file["test/parts"][:]
        del file["test/parts"]
        made = file.create_dataset("test/parts", data=values, **options)
        if options.get("fletcher32") and h5py.h5o.get_info(made.id).hdr.version > 1:
            pytest.skip("this HDF5 guards what it writes into a file of the 1.10 format")
    message = refusal(store_file)
    assert f"rewritten by another program (h5repack, h5py), which left {left} without" in message
    assert "use the file as compread wrote it, or extract it anew with --force" in message


def test_a_file_that_another_program_wrote_anew(store_file: Path) -> None:
    """A whole copy in HDF5's earlier format, as h5repack makes it, is refused, guarded or not."""
    with h5py.File(store_file) as old, h5py.File(store_file.with_name("y.h5"), "w") as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
    assert "left the file's structure without" in refusal(store_file.with_name("y.h5"))


def test_links_are_not_followed(store_file: Path, finished: Path) -> None:
    """Numbers that lie in another file or behind another name are refused, however they are tied.

    The linked numbers are the right ones: without the check, the store would be read.
    """
    virtual = h5py.VirtualLayout((13, 3), "f4")
    virtual[:] = h5py.VirtualSource(finished, "test/full", (13, 3))
    raw = store_file.with_name("raw")
    raw.write_bytes(NUMBERS["full"][N_TRAIN:].tobytes())
    ties: dict[str, Callable[[Any], Any]] = {
        "external": lambda test: test.__setitem__("full", h5py.ExternalLink(finished, "test/full")),
        "soft": lambda test: (
            test.file.create_dataset("other", data=NUMBERS["full"][N_TRAIN:]),
            test.__setitem__("full", h5py.SoftLink("/other")),
        ),
        "virtual": lambda test: test.create_virtual_dataset("full", virtual),
        "raw": lambda test: test.create_dataset(
            "full", (13, 3), "f4", external=[(str(raw), 0, h5py.h5f.UNLIMITED)]
        ),
    }
    for name, tie in ties.items():
        path = Path(shutil.copy(finished, store_file.with_name(f"{name}.h5")))
        with h5py.File(path, "r+") as file:
            del file["test/full"]
            tie(file["test"])
            np.testing.assert_array_equal(file["test/full"][:], NUMBERS["full"][N_TRAIN:])
        told = refusal(path)
        assert "only a link" in told or "not a dataset of this file" in told, told
    with h5py.File(store_file, "r+") as file:
        del file["test"]
        file["test"] = h5py.ExternalLink(finished, "test")
    assert "only a link" in refusal(store_file)


def test_a_truncated_store(finished: Path, tmp_path: Path) -> None:
    """Cut off at any length, a store is refused."""
    data = finished.read_bytes()
    path = tmp_path / "x.h5"
    for length in [*range(0, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:length])
        refusal(path)


def test_a_flipped_bit(finished: Path, tmp_path: Path) -> None:
    """A store with any bit or byte changed is refused, or gives exactly the values it had."""
    data = finished.read_bytes()
    path = tmp_path / "x.h5"
    rng = random.Random(0)
    refused = 0
    for i in range(400):
        damaged = bytearray(data)
        position = rng.randrange(len(data))
        damaged[position] ^= 1 << rng.randrange(8) if i % 3 else 0xFF
        path.write_bytes(damaged)
        try:
            with open_store(path) as store:
                assert_equals_sample(store)
        except StoreError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 200  # otherwise the damage did not reach the file


ARCHIVES = [Path(__file__).parent / "data" / f"store-v{version}.h5" for version in (1, 2)]
# fmt: off
ARCHIVED = {
    "parts": [
        [[0.126, -0.132], [0.64, 0.105], [-0.536, 0.362], [1.304, 0.947], [-0.704, -1.265]],
        [[-0.623, 0.041], [-2.325, -0.219], [-1.246, -0.732], [-0.544, -0.316], [0.412, 1.043]],
        [[-0.129, 1.366], [-0.665, 0.352], [0.903, 0.094], [-0.743, -0.922], [-0.458, 0.22]],
        [[-1.01, -0.209], [-0.159, 0.541], [0.215, 0.355], [-0.654, -0.13], [0.784, 1.493]],
        [[-1.259, 1.514], [1.346, 0.781], [0.264, -0.314], [1.458, 1.96], [1.802, 1.315]],
    ],
    "full": [[0.83, 0.017], [-4.326, -0.183], [-1.092, 1.11], [-0.824, 2.05], [3.611, 5.256]],
    "gold": [1, 0, 0, 1, 1],
    "id": ["a", "b", "ä", "好", "e"],
    "sum_error": [1e-6, 2e-6, 0.0, 3e-7, 5e-8],
    "label_mass": [0.91, 0.5, 0.25, 0.125, 1.0],
    "prompt_hash": ["00", "01", "02", "03", "04"],
}
# fmt: on


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.stem)
def test_a_store_of_each_version_is_read_for_ever(archive: Path) -> None:
    """The archived store, made by that version's writer, gives exactly these values."""
    with open_store(archive) as store:
        assert [c.name for c in store.components] == ["embed", "L0H0", "L0H1", "L0MLP", "bias"]
        assert store.labels.word == (" negative", " positive")
        assert store.labels.token_id == (8178, 6374)
        assert (store.run.model, store.run.shots, store.run.soft_cap) == ("tiny", 2, 30.0)
        assert store.run.demonstrations == ("d0", "d1")
        for name, rows in (("train", slice(0, 2)), ("test", slice(2, 5))):
            split = store.split(name)
            for key in ("parts", "full", "sum_error", "label_mass"):
                wanted = np.asarray(ARCHIVED[key][rows], dtype=np.float32)
                np.testing.assert_array_equal(getattr(split, key), wanted)
            assert split.gold.tolist() == ARCHIVED["gold"][rows]
            assert list(split.id) == ARCHIVED["id"][rows]
            assert list(split.prompt_hash) == ARCHIVED["prompt_hash"][rows]


def test_version_1_has_a_class_a_word_and_no_calibration() -> None:
    """What version 1 lacks is filled in: each word its own class, a calibration without rows."""
    with open_store(ARCHIVES[0]) as store:
        assert store.labels.class_name == store.labels.classes == (" negative", " positive")
        assert store.rows("calibration") == 0 and store.run.protocol == {}
        assert store.split("calibration").parts.shape == (0, 5, 2)
        assert list(store.iter_parts("calibration")) == []


def test_version_2_has_classes_and_calibration() -> None:
    """The archived store of version 2 has two classes and one row without a label."""
    with open_store(ARCHIVES[1]) as store:
        assert store.labels.class_name == ("bad", "good")
        assert store.run.protocol == {"limit": 3}
        split = store.split("calibration")
        assert (split.id, split.gold.tolist()) == (("N/A",), [0])
        np.testing.assert_array_equal(split.full, np.asarray([[0.5, -0.25]], np.float32))
        np.testing.assert_array_equal(split.parts[0], np.arange(10, dtype=np.float32).reshape(5, 2))


def test_import_is_light() -> None:
    """Importing the store brings in neither torch nor transformers nor pandas."""
    code = "import sys, compread.store; print(*(m for m in sys.modules if '.' not in m))"
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    loaded = set(said.stdout.split())
    assert "h5py" in loaded
    assert not loaded & {"torch", "transformers", "datasets", "pandas", "scipy", "rich", "jinja2"}

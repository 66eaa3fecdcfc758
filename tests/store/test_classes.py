"""Several words a class, and the split of content-free prompts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from store_sample import (
    BATCHES,
    END,
    GOLD,
    HASHES,
    IDS,
    LABELS,
    N_TRAIN,
    NUMBERS,
    ROWS,
    N,
    append,
    contents,
    open_writer,
    stop_after,
    write,
)

from compread.errors import StoreError, TargetError
from compread.options import SPLITS
from compread.store import ALL_SPLITS, Labels, SplitRows, open_store

# Columns 0 and 2 are one class, so that no row's gold may be column 2.
POOLED = replace(LABELS, class_name=("low", "good", "low"))
FIRST = np.where(GOLD == 2, 0, GOLD)
POOLED_ROWS = {
    "train": SplitRows(FIRST[:N_TRAIN], IDS[:N_TRAIN], HASHES[:N_TRAIN]),
    "test": SplitRows(FIRST[N_TRAIN:], IDS[N_TRAIN:], HASHES[N_TRAIN:]),
}
# The last three rows of the sample, as if they were content-free prompts.
CALIBRATED = {
    "train": ROWS["train"],
    "test": SplitRows(GOLD[N_TRAIN:-3], IDS[N_TRAIN:-3], HASHES[N_TRAIN:-3]),
    "calibration": SplitRows([0, 0, 0], IDS[-3:], HASHES[-3:]),
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a store is to be."""
    return tmp_path / "run.h5"


def test_a_word_is_its_own_class_by_default() -> None:
    """Labels without classes have those of their words."""
    assert LABELS.class_name == LABELS.classes == LABELS.word


def test_classes_are_kept(target: Path) -> None:
    """The class of each column comes back, and the classes stand in their first columns' order."""
    write(target, labels=POOLED, splits=POOLED_ROWS)
    with open_store(target) as store:
        assert store.labels == POOLED
        assert store.labels.classes == ("low", "good")
        assert store.split("test").gold.tolist() == FIRST[N_TRAIN:].tolist()


def test_gold_is_a_first_word(target: Path) -> None:
    """A right label that is not the first word of its class is refused."""
    with pytest.raises(StoreError, match="gold label 2 is not the first of its class, wanted 0"):
        open_writer(target, labels=POOLED)


@pytest.mark.parametrize(
    ("classes", "message"),
    [(("a", "b"), "3 label words and 2 class names"), (("a", "b", "c\0"), "NUL character")],
)
def test_classes_that_do_not_fit(target: Path, classes: tuple[str, ...], message: str) -> None:
    """A class too few, or a name that HDF5 cannot hold, is refused."""
    with pytest.raises(StoreError, match=message):
        open_writer(target, labels=Labels(LABELS.word, LABELS.token_id, classes))


def test_another_class_is_another_run(target: Path) -> None:
    """A stopped run does not go on with other classes."""
    stop_after(target, 2)
    with pytest.raises(TargetError, match="made with other labels"):
        open_writer(target, labels=replace(LABELS, class_name=("x", "y", "z")))


def test_calibration_rows_are_kept(target: Path) -> None:
    """The third split has its own arrays; the two before have theirs alone, the fourth no rows."""
    write(target, splits=CALIBRATED)
    with open_store(target) as store:
        assert [store.rows(split) for split in ALL_SPLITS] == [N_TRAIN, N - N_TRAIN - 3, 3, 0]
        for name, values in NUMBERS.items():
            np.testing.assert_array_equal(store.array("calibration", name), values[-3:])
            np.testing.assert_array_equal(store.array("test", name), values[N_TRAIN:-3])
    assert "calibration" not in SPLITS


def test_a_stopped_run_with_calibration_equals_a_whole_one(target: Path, tmp_path: Path) -> None:
    """Stopped, resumed and finished, the file is that of an uninterrupted run."""
    whole = write(tmp_path / "whole.h5", splits=CALIBRATED)
    stop_after(target, 3, splits=CALIBRATED)
    with open_writer(target, splits=CALIBRATED) as writer:
        assert writer.done.sum() == sum(map(len, BATCHES[:3]))
        append(writer, [int(row) for batch in BATCHES for row in batch])
        writer.close()
    assert contents(write(target, splits=CALIBRATED)) == contents(whole)


def test_damaged_calibration_is_refused(target: Path) -> None:
    """A flipped byte in the third split is an error when it is read."""
    write(target, splits=CALIBRATED)
    raw = target.read_bytes()
    with open_store(target) as store:
        dataset = store._file["calibration/parts"]
        place = dataset.id.get_chunk_info(0).byte_offset
    target.write_bytes(raw[: place + 9] + bytes([raw[place + 9] ^ 1]) + raw[place + 10 :])
    with pytest.raises(StoreError, match="damaged"), open_store(target) as store:
        store.split("calibration")


def test_inner_products_of_pooled_words(tmp_path: Path) -> None:
    """A row's classes pool the words' inner products by that row's own word logits."""
    gram = np.array([[4.0, 1.0, 2.0], [1.0, 3.0, 0.5], [2.0, 0.5, 5.0]])
    run = replace(END, label_gram=tuple(map(tuple, gram.tolist())))
    with open_writer(tmp_path / "a.h5", splits=POOLED_ROWS, labels=POOLED) as writer:
        append(writer, range(N))
        writer.finish(run)
    with open_store(tmp_path / "a.h5", "logsumexp") as store:
        found = store.label_gram("test")
    assert found is not None and found.shape == (N - N_TRAIN, 2, 2)
    for row, own in zip(NUMBERS["full"][N_TRAIN:].astype(float), found, strict=True):
        p = np.exp(row[[0, 2]] - row[[0, 2]].max())
        to_class = np.array([[p[0] / p.sum(), 0, p[1] / p.sum()], [0, 1, 0]])
        np.testing.assert_allclose(own, to_class @ gram @ to_class.T, rtol=1e-12)

"""Pooling the words of a class: equal to its formula, and the parts still add up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

from compread.components import LayerShape, component_axis
from compread.errors import StoreError
from compread.options import POOLS
from compread.store import Labels, Pooling, SplitRows, StoreWriter, open_store

AXIS = component_axis([LayerShape(2), LayerShape(1)])
BIAS = len(AXIS) - 1
# Columns out of class order, with three words, two and one.
LABELS = Labels(tuple("abcdef"), tuple(range(6)), ("x", "y", "x", "z", "y", "x"))
COLUMNS = {"x": [0, 2, 5], "y": [1, 4], "z": [3]}
REFERENCE = {
    "logsumexp": lambda values: logsumexp(values, axis=-1),
    "max": lambda values: values.max(-1),
    "mean": lambda values: values.mean(-1),
    "first": lambda values: values[..., 0],
}


@pytest.fixture
def numbers() -> tuple[Any, Any]:
    """Parts [N, C, K] and the logits that they sum to, large enough to overflow a naive exp."""
    parts = np.random.default_rng(1).normal(size=(30, len(AXIS), 6)) * 20
    parts[:, 0] += 150
    parts = parts.astype(np.float32)
    return parts, parts.sum(axis=1, dtype=np.float64).astype(np.float32)


def pooling(how: str) -> Pooling:
    """The pooling of ``LABELS``."""
    found = Pooling.of(LABELS, how)
    assert found is not None
    return found


@pytest.mark.parametrize("how", POOLS)
def test_full_is_the_formula(how: str, numbers: tuple[Any, Any]) -> None:
    """A class's logit is the named function of its words' logits."""
    _, full = numbers
    wanted = [REFERENCE[how](full[:, columns].astype(float)) for columns in COLUMNS.values()]
    np.testing.assert_allclose(pooling(how).full(full), np.stack(wanted, 1), rtol=1e-6)


@pytest.mark.parametrize("how", POOLS)
def test_parts_still_add_up(how: str, numbers: tuple[Any, Any]) -> None:
    """The pooled parts sum to the pooled logit; each by its own maximum, they would not."""
    parts, full = numbers
    pooled = pooling(how).parts(parts, full, BIAS)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled.sum(1), pooling(how).full(full), rtol=1e-5)
    if how in ("logsumexp", "max"):
        apart = [REFERENCE[how](parts[..., columns]).sum(1) for columns in COLUMNS.values()]
        assert np.abs(np.stack(apart, 1) - pooling(how).full(full)).max() > 1


@pytest.mark.parametrize(
    ("how", "chosen"), [("first", lambda logits: 0), ("max", lambda logits: logits.argmax())]
)
def test_one_word_speaks_for_the_class(how: str, chosen: Any, numbers: tuple[Any, Any]) -> None:
    """With max and first, every component's part is that of one word, the row's or the first."""
    parts, full = numbers
    pooled = pooling(how).parts(parts, full, BIAS)
    for n in range(len(full)):
        for k, columns in enumerate(COLUMNS.values()):
            word = columns[chosen(full[n, columns])]
            np.testing.assert_array_equal(pooled[n, :, k], parts[n, :, word])


def test_labels_and_gold() -> None:
    """A class is named by its name and the token of its first word; gold is the class."""
    found = pooling("mean")
    assert found.labels == Labels(("x", "y", "z"), (0, 1, 3))
    assert found.gold(np.array([0, 1, 3, 0])).tolist() == [0, 1, 2, 0]


def test_nothing_to_pool() -> None:
    """Labels that are classes of their own are left alone."""
    assert Pooling.of(Labels((" a", " b"), (1, 2)), "max") is None


def test_an_unknown_way() -> None:
    """A misspelt way is answered with the known ones."""
    with pytest.raises(StoreError, match="no pooling 'median': known are logsumexp, max"):
        Pooling.of(LABELS, "median")


@pytest.mark.parametrize("how", POOLS)
def test_the_gram_matrix_is_that_of_the_pooled_unembeddings(
    how: str, numbers: tuple[Any, Any]
) -> None:
    """Of each row's own: what pools a write's logits pools the words' unembeddings."""
    _, full = numbers
    rng = np.random.default_rng(4)
    unembedding, write = rng.normal(size=(6, 9)), rng.normal(size=9)
    found = pooling(how).gram(unembedding @ unembedding.T, full)
    assert found.shape == (30, 3, 3)
    parts = np.zeros((30, len(AXIS), 6), np.float32)
    pooled = []  # [classes, D] a row: what each of the 9 directions says to the classes
    for direction in np.eye(9):
        parts[:, BIAS - 1] = unembedding @ direction
        pooled.append(pooling(how).parts(parts, full, BIAS)[:, BIAS - 1])
    rows = np.stack(pooled, axis=2).astype(float)  # [N, classes, D]
    np.testing.assert_allclose(found, rows @ rows.swapaxes(1, 2), rtol=1e-5, atol=1e-5)
    lengths = [w @ np.linalg.solve(g, w) for g, w in zip(found, rows @ write, strict=True)]
    assert (np.array(lengths) <= write @ write).all()


@pytest.mark.parametrize("how", POOLS)
def test_a_store_is_read_in_classes(how: str, numbers: tuple[Any, Any], tmp_path: Path) -> None:
    """Opened with a pooling, a store is one of classes throughout, whole or in pieces."""
    from store_sample import RUN

    parts, full = numbers
    gold = np.array([0, 1, 3] * 10)
    ids = [str(n) for n in range(30)]
    splits = {"test": SplitRows(gold, ids, ids)}
    with StoreWriter.open(tmp_path / "s.h5", RUN, AXIS, LABELS, splits) as writer:
        writer.append(range(30), parts, full, np.zeros(30), np.ones(30))
        writer.finish(RUN)
    with open_store(tmp_path / "s.h5") as store:
        assert store.labels == LABELS and store.split("test").parts.shape == (30, len(AXIS), 6)
    with open_store(tmp_path / "s.h5", pool=how) as store:
        split = store.split("test")
        assert store.labels == pooling(how).labels
        np.testing.assert_array_equal(split.parts, pooling(how).parts(parts, full, BIAS))
        np.testing.assert_array_equal(split.full, pooling(how).full(full))
        np.testing.assert_array_equal(split.gold, [0, 1, 2] * 10)
        pieces = np.concatenate([piece for _, piece in store.iter_parts("test", rows=7)])
        np.testing.assert_array_equal(pieces, split.parts)
        assert store.split("train").parts.shape == (0, len(AXIS), 3)


@pytest.mark.parametrize("how", POOLS)
def test_a_store_of_classes_has_their_gram_matrices(
    how: str, numbers: tuple[Any, Any], tmp_path: Path
) -> None:
    """Each split's rows pool the words' inner products by logits of their own."""
    from store_sample import RUN

    parts, full = numbers
    words = np.random.default_rng(5).normal(size=(6, 9))
    run = replace(RUN, label_gram=tuple(map(tuple, (words @ words.T).tolist())))
    ids = [str(n) for n in range(30)]
    splits = {
        "train": SplitRows(np.zeros(10, np.int64), ids[:10], ids[:10]),
        "test": SplitRows(np.zeros(20, np.int64), ids[10:], ids[10:]),
    }
    with StoreWriter.open(tmp_path / "s.h5", run, AXIS, LABELS, splits) as writer:
        writer.append(range(30), parts, full, np.zeros(30), np.ones(30))
        writer.finish(run)
    with open_store(tmp_path / "s.h5", pool=how) as store:
        for split, own in (("train", full[:10]), ("test", full[10:])):
            found = store.label_gram(split)
            assert found is not None
            np.testing.assert_array_equal(found, pooling(how).gram(words @ words.T, own))
    with open_store(tmp_path / "s.h5") as store:
        whole = store.label_gram("test")
        assert whole is not None and whole.shape == (20, 6, 6)

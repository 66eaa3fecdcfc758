"""Stores with the inner products of their answers' directions: version 5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import answer_sample as sample
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from store_sample import END, contents
from stores import rot

from compread.errors import StoreError
from compread.options import UNCONDITIONAL
from compread.store import Labels, RowAnswers, SplitRows, open_store

GRAM = "test/answer_gram"
ARCHIVE = Path(__file__).parent / "data" / "store-v5.h5"
K = sample.K


def grams_of(*counts: int, seed: int = 0) -> NDArray[np.float64]:
    """[N, K, K] of random directions, zero where a row has no answer."""
    rows = np.random.default_rng(seed).normal(size=(len(counts), K, 6))
    rows[np.arange(K) >= np.array(counts)[:, None]] = 0
    return np.asarray(rows @ rows.swapaxes(1, 2))


GRAMS = grams_of(*map(len, sample.ANSWERS))


def write(path: Path, splits: Any = sample.SPLITS) -> Path:
    """The sample of rows with answers, with inner products."""
    with sample.open_writer(path, splits) as writer:
        sample.keep(writer, [0, 1, 2, 3])
        return writer.finish(END, GRAMS)


def with_texts() -> Any:
    """The sample's rows with texts."""
    return {
        name: replace(rows, text=tuple(f"{name} {i}" for i in range(len(rows))))
        for name, rows in sample.SPLITS.items()
    }


@pytest.mark.parametrize("texts", [False, True])
def test_what_is_read_is_what_was_written(tmp_path: Path, texts: bool) -> None:
    """To the last bit, beside what else a store of answers has; equal runs give equal bytes."""
    splits = with_texts() if texts else sample.SPLITS
    with open_store(write(tmp_path / "a.h5", splits)) as store:
        sample.assert_equals_sample(store)
        np.testing.assert_array_equal(store.label_gram("train"), GRAMS[:1])
        np.testing.assert_array_equal(store.label_gram("test"), GRAMS[1:])
        gram = store.label_gram("calibration")
        assert gram is not None and gram.shape == (0, K, K)
        assert store.has_texts == texts and store.texts("train") == (("train 0",) if texts else ())
        store.verify()
    assert contents(tmp_path / "a.h5") == contents(write(tmp_path / "b.h5", splits))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format_version"] == 5


def test_a_store_of_version_5_is_read_for_ever() -> None:
    """The archived store, made by that version's writer, gives exactly these values."""
    with open_store(ARCHIVE) as store:
        sample.assert_equals_sample(store)
        np.testing.assert_allclose(store.label_gram("test"), GRAMS[1:], rtol=1e-12)
        store.verify()


def test_a_store_without_them_has_none() -> None:
    """As those of version 3 and 4."""
    with open_store(Path(__file__).parent / "data" / "store-v3.h5") as store:
        assert store.label_gram("test") is None
        store.verify()


@pytest.mark.parametrize("how", ["tokens", "bytes", "characters"])
def test_they_are_of_the_numbers_as_they_are_normalised(tmp_path: Path, how: str) -> None:
    """Divided by both answers' lengths, so that the length of a write is the same under each."""
    path = write(tmp_path / "a.h5")
    with open_store(path) as plain, open_store(path, normalize=how) as other:
        pairs = [
            (np.nan_to_num(store.array("test", "parts")).astype(float), store.label_gram("test"))
            for store in (plain, other)
        ]
    lengths = [
        np.einsum("ncj,njk,nck->nc", g, np.linalg.pinv(gram, 1e-10, hermitian=True), g)
        for g, gram in pairs
    ]
    assert not np.allclose(pairs[0][1], pairs[1][1])
    np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-5)


def test_with_pmi_they_are_of_both_prompts(tmp_path: Path) -> None:
    """A write behind each prompt is one vector, of both widths; so is an answer's direction."""
    behind = SplitRows((0, 0), ("u", "v"), ("h", "i"), (sample.ANSWERS[2], sample.ANSWERS[0]))
    splits = {"test": replace(sample.SPLITS["train"]), UNCONDITIONAL: behind}
    path, grams = tmp_path / "a.h5", grams_of(2, 3, 2, seed=3)
    with sample.open_writer(path, splits) as writer:
        numbers = sample.PARTS[:3], sample.FULL[:3], np.zeros(3), np.zeros(3)
        writer.append([0, 1, 2], *numbers)
        writer.finish(END, grams)
    with open_store(path, normalize="pmi") as store:
        np.testing.assert_array_equal(store.label_gram("test")[0], grams[0] + grams[2])
        np.testing.assert_array_equal(store.label_gram(UNCONDITIONAL), grams[1:])


def test_words_of_several_tokens_are_pooled(tmp_path: Path) -> None:
    """Answers that all rows have in common may be of one class, which has one direction a row."""
    words = (" yes", " yes indeed", " no")
    rows = SplitRows((0, 2), ("a", "b"), ("h", "i"), (RowAnswers(words, (1, 2, 1)),) * 2)
    labels = Labels(words, (-1,) * 3, ("yes", "yes", "no"))
    full = np.array([[0.0, 1.0, -1.0], [2.0, -1.0, 0.5]], np.float32)
    gram = grams_of(3, 3)[:, :3, :3]
    with sample.open_writer(tmp_path / "a.h5", {"test": rows}, labels) as writer:
        writer.append([0, 1], np.ones((2, len(sample.AXIS), 3)), full, np.zeros(2), np.zeros(2))
        path = writer.finish(END, gram)
    with open_store(path, "logsumexp") as store:
        found = store.label_gram("test")
    for n, logits in enumerate(full.astype(float)):
        shares = np.exp(logits[:2]) / np.exp(logits[:2]).sum()
        to_class = np.array([[shares[0], 0], [shares[1], 0], [0, 1]])
        np.testing.assert_allclose(found[n], to_class.T @ gram[n] @ to_class, rtol=1e-6)


@pytest.mark.parametrize("pool", ["logsumexp", "max", "mean", "first"])
def test_a_class_is_less_what_it_is_behind_the_unconditional_prompt(
    pool: str, tmp_path: Path
) -> None:
    """Its words are pooled behind either prompt, the parts by that prompt's own weights."""
    words = (" yes", " yes indeed", " no")
    rows = SplitRows((0,), ("a",), ("h",), (RowAnswers(words, (1, 2, 1)),))
    labels = Labels(words, (-1,) * 3, ("yes", "yes", "no"))
    full = np.array([[0.0, 1.0, -1.0], [2.0, -1.0, 0.5]], np.float32)
    parts = np.random.default_rng(1).normal(size=(2, len(sample.AXIS), 3)).astype(np.float32)
    parts[:, 0] += full - parts.sum(1)
    gram = grams_of(3, 3)[:, :3, :3]
    splits = {"test": rows, UNCONDITIONAL: rows}
    with sample.open_writer(tmp_path / "a.h5", splits, labels) as writer:
        writer.append([0, 1], parts, full, np.zeros(2), np.zeros(2))
        path = writer.finish(END, gram)
    with open_store(path, pool) as plain, open_store(path, pool, "pmi") as store:
        apart = {
            name: [plain.array(split, name)[0] for split in ("test", UNCONDITIONAL)]
            for name in ("full", "parts")
        }
        for name, (behind_row, behind_none) in apart.items():
            np.testing.assert_array_equal(store.array("test", name)[0], behind_row - behind_none)
        np.testing.assert_allclose(
            store.array("test", "parts").sum(1), store.array("test", "full"), atol=1e-5
        )
        both = [plain.label_gram(split) for split in ("test", UNCONDITIONAL)]
        np.testing.assert_array_equal(store.label_gram("test"), both[0] + both[1])
    if pool == "logsumexp":
        likely = np.exp(full[:, :2].astype(float)).sum(1)
        assert apart["full"][0][0] - apart["full"][1][0] == pytest.approx(
            np.log(likely[0] / likely[1]), rel=1e-6
        )


EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "not finite": (sample.set_at(GRAM, (0, 1, 1), np.inf), "/test/answer_gram .*not finite"),
    "of no answer": (
        sample.set_at(GRAM, (1, 3, 0), 1.0), "/test/answer_gram .*stands where a row has no answer",
    ),
    "none": (lambda file: file["test"].pop("answer_gram"), "/test/answer_gram is missing"),
    "version 4": (lambda file: file.attrs.modify("format_version", 4), "checksum"),
    "version 3": (lambda file: file.attrs.modify("format_version", 3), "checksum"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_store(name: str, tmp_path: Path) -> None:
    """What somebody changed in them is found."""
    sample.check_edit(write(tmp_path / "x.h5"), *EDITS[name])


def test_a_rotten_byte_is_found(tmp_path: Path) -> None:
    """They are under checksums as the other numbers are."""
    path = write(tmp_path / "x.h5")
    rot(path, "test/answer_gram")
    with open_store(path) as store, pytest.raises(StoreError, match="/test/answer_gram"):
        store.verify()

"""Answers of different lengths made alike: against numbers by hand, and lm-evaluation-harness."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_run

from compread.analysis.change import change
from compread.analysis.runs import read_runs
from compread.components import NORMALIZER, LayerShape, component_axis
from compread.errors import StoreError, UsageError
from compread.store import Labels, RowAnswers, SplitRows, StoreWriter, open_store

CHOICES = (
    ("yes", "not at all, never", "нет"),
    ("東京", "a b"),
    (" two spaces", "x", "naïve naïveté", "four and more words"),
    ("é", "ee", "eee"),
)
"""What a row chooses from; an answer is one of these behind a space."""
WORDS = ("yes", "no", "maybe", "perhaps", "Ωω", "a longer one", "the longest of them all")
AXIS = (*component_axis([LayerShape(2)]), NORMALIZER)
LENGTH: dict[str, Callable[[str], int]] = {
    "tokens": lambda choice: 1 + len(choice) // 3,
    "bytes": lambda choice: len(choice.encode("utf-8")),
    "characters": len,
}


def made(n: int = 60) -> list[tuple[str, ...]]:
    """Rows of two to four choices each."""
    rng = np.random.default_rng(3)
    drawn = [tuple(rng.permutation(WORDS)[: rng.integers(2, 5)].tolist()) for _ in range(n)]
    return [*CHOICES, *drawn]


ROWS = made()
_rng = np.random.default_rng(1)
GOLD = np.array([_rng.integers(len(row)) for row in ROWS])
PARTS = _rng.normal(size=(len(ROWS), len(AXIS), 4)).astype(np.float32) - 3
LISTS = list(dict.fromkeys(ROWS))
BEHIND = _rng.normal(size=(len(LISTS), len(AXIS), 4)).astype(np.float32) - 3
"""The parts of each list of choices behind the unconditional prompt."""


def rows_of(choices: list[tuple[str, ...]], gold: Any) -> SplitRows:
    """Rows that choose from these."""
    answers = tuple(
        RowAnswers(tuple(f" {c}" for c in row), tuple(map(LENGTH["tokens"], row)))
        for row in choices
    )
    names = tuple(map(str, range(len(choices))))
    return SplitRows(gold, names, names, answers)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the rows."""
    rows = {
        "test": rows_of(ROWS, GOLD),
        "unconditional": rows_of(LISTS, np.zeros(len(LISTS), np.int64)),
    }
    parts, info = np.concatenate([PARTS, BEHIND]), make_run()
    few = np.zeros(len(parts))
    path, labels = tmp_path / "x.h5", Labels(tuple("ABCD"), (-1,) * 4)
    with StoreWriter.open(path, info, AXIS, labels, rows) as writer:
        writer.append(range(len(parts)), parts, parts.sum(1), few, few)
        return writer.finish(info)


@pytest.mark.parametrize("how", LENGTH)
def test_each_answer_is_divided_by_its_own_length(store: Path, how: str) -> None:
    """The model's numbers and every component's, row by row; the sum stays exact."""
    with open_store(store, normalize=how) as opened:
        split = opened.split("test")
    for n, row in enumerate(ROWS):
        for k, choice in enumerate(row):
            expected = PARTS[n, :, k] / LENGTH[how](choice)
            np.testing.assert_allclose(split.parts[n, :, k], expected, rtol=1e-6)
            assert split.full[n, k] == pytest.approx(split.parts[n, :, k].sum(), rel=1e-5)
        assert np.isnan(split.full[n, len(row) :]).all()


def test_accuracy_is_that_of_the_normalised_answers(store: Path) -> None:
    """Of the full model and of a component, for every normalisation; the result names it."""
    found = {}
    for how in ("none", *LENGTH):
        (run,) = read_runs([store], normalize=how)
        of = LENGTH.get(how, lambda choice: 1)
        for scores, logits in ((run.stats.full, PARTS.sum(1)), (run.stats.parts, PARTS[:, 0])):
            right = [
                max(range(len(row)), key=lambda k, n=n, row=row: logits[n, k] / of(row[k])) == gold
                for n, (row, gold) in enumerate(zip(ROWS, GOLD, strict=True))
            ]
            assert scores.accuracy[0] == pytest.approx(np.mean(right))
        assert run.info.normalize == how == change([store], [store], normalize=how).normalize
        found[how] = float(run.stats.full.accuracy[0])
    assert len(set(found.values())) > 1


def test_words_of_one_token(stores: Path) -> None:
    """Per token nothing changes and nothing is said; bytes say nothing of logits."""
    path = stores / "sst2-t1-k4-s0.h5"
    with open_store(path) as one, open_store(path, normalize="tokens") as other:
        np.testing.assert_array_equal(one.array("test", "parts"), other.array("test", "parts"))
        assert other.run == one.run
    assert change([path], [path], normalize="tokens").normalize == "none"
    with pytest.raises(StoreError, match="normalize bytes: its labels are one token each"):
        open_store(path, normalize="bytes")
    with pytest.raises(UsageError, match="there is none, tokens, bytes"):
        open_store(path, normalize="lines")


def test_what_is_behind_the_unconditional_prompt_is_taken_away(store: Path) -> None:
    """Component by component, whichever row has the same answers, any span of rows at a time."""
    assert len(LISTS) < len(ROWS)
    with open_store(store, normalize="pmi") as opened:
        for rows, parts in opened.iter_parts("test", 7):
            for n, of in zip(range(rows.start, rows.stop), parts, strict=True):
                k = len(ROWS[n])
                expected = PARTS[n] - BEHIND[LISTS.index(ROWS[n])]
                np.testing.assert_allclose(of[:, :k], expected[:, :k], rtol=1e-6)
                assert np.isnan(of[:, k:]).all()


def test_answers_that_are_not_behind_the_unconditional_prompt(tmp_path: Path) -> None:
    """A file that lacks some is refused as it is opened."""
    rows = {
        "test": rows_of(ROWS, GOLD),
        "unconditional": rows_of(LISTS[:1], np.zeros(1, np.int64)),
    }
    parts = np.concatenate([PARTS, BEHIND[:1]])
    few, path, labels = np.zeros(len(parts)), tmp_path / "x.h5", Labels(tuple("ABCD"), (-1,) * 4)
    with StoreWriter.open(path, make_run(), AXIS, labels, rows) as writer:
        writer.append(range(len(parts)), parts, parts.sum(1), few, few)
        writer.finish(make_run())
    with pytest.raises(StoreError, match="do not stand behind its unconditional prompt"):
        open_store(path, normalize="pmi")


def test_lm_evaluation_harness_agrees(store: Path, tmp_path: Path) -> None:
    """The full model is right on a row where its accuracy of that name is."""
    task = pytest.importorskip("lm_eval.api.task")
    docs = [{"choices": row, "gold": int(gold)} for row, gold in zip(ROWS, GOLD, strict=True)]
    file = tmp_path / "docs.jsonl"
    file.write_text("\n".join(map(json.dumps, docs)))
    metrics = {"none": "acc", "bytes": "acc_bytes", "characters": "acc_norm"}
    metrics["pmi"] = "acc_mutual_info"
    config: dict[str, Any] = {
        "task": "made", "dataset_path": "json", "dataset_kwargs": {"data_files": str(file)},
        "test_split": "train", "output_type": "multiple_choice", "doc_to_text": "",
        "doc_to_choice": "choices", "doc_to_target": "gold",
        "metric_list": [{"metric": metric} for metric in metrics.values()],
    }  # fmt: skip
    harness = task.ConfigurableTask(config=config)
    for how, metric in metrics.items():
        with open_store(store, normalize=how) as opened:
            chosen = np.nan_to_num(opened.array("test", "full"), nan=-np.inf).argmax(1)
        for n, doc in enumerate(harness.test_docs()):
            both = (PARTS[n], BEHIND[LISTS.index(ROWS[n])])
            results = [
                (float(parts.sum(0)[k]), False) for parts in both for k in range(len(ROWS[n]))
            ]
            assert harness.process_results(doc, results)[metric] == (chosen[n] == GOLD[n])

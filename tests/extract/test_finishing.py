"""A store is finished while the next run computes, and nothing is lost where that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from loud import loud_model
from stores import contents
from tiny_folder import TINY, byte_tokenizer, review_rows, write_rows

from compread.errors import TargetError
from compread.extract import Extraction, ExtractOptions, Extractor
from compread.extract.finishing import ComputedRun, Finisher
from compread.model import LoadedModel, ModelRequest
from compread.model.load.fingerprint import fingerprint
from compread.prompts import PromptSet, read_prompt_file
from compread.store import StoreWriter, journal_path, partial_status

OPTIONS = ExtractOptions(batch_tokens=64)


@cache
def extractor() -> Extractor:
    """The tiny model, ready; no test changes it."""
    model = loud_model(TINY)
    request = ModelRequest("tiny")
    return Extractor(LoadedModel(request, None, model, byte_tokenizer(), fingerprint(model)))


@pytest.fixture
def compute(tmp_path: Path) -> Callable[[str], ComputedRun]:
    """A function that computes the run of a target of this name."""
    rows = write_rows(tmp_path / "reviews.jsonl", review_rows(12, n_train=4))
    prompts: PromptSet = read_prompt_file(rows)
    return lambda name: extractor().compute(prompts, tmp_path / f"{name}.h5", OPTIONS)


def test_the_next_run_computes_while_a_store_is_finished(
    compute: Callable[[str], ComputedRun], tmp_path: Path
) -> None:
    """The first store waits for the second run's rows, and both are there at the end, in order."""
    computed, done = threading.Event(), []

    def finished(run: Extraction) -> None:
        if not done:
            assert computed.wait(60), "the second run did not compute meanwhile"
        done.append(run.path.name)

    with Finisher(extractor().workers) as finisher:
        finisher.hand(compute("one"), finished)
        second = compute("two")
        computed.set()
        finisher.hand(second, finished)
    assert done == ["one.h5", "two.h5"]
    assert contents(tmp_path / "one.h5") == contents(tmp_path / "two.h5")
    assert not list(tmp_path.glob("*.partial"))


def test_a_finished_run_says_what_it_took(compute: Callable[[str], ComputedRun]) -> None:
    """Bytes and seconds are those of the finished store."""
    run = compute("one")
    assert run.report.rows == 12 and run.report.store_bytes == 0
    done = run.finish()
    assert done.store_bytes == done.path.stat().st_size > 0
    assert done.seconds >= run.report.seconds


def failing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the disk full where a store of this name is finished."""
    finish = StoreWriter.finish

    def full(writer: StoreWriter, run: Any, grams: Any) -> Path:
        if writer.path.name == name:
            raise TargetError(f"{writer.path}: the disk is full")
        return finish(writer, run, grams)

    monkeypatch.setattr(StoreWriter, "finish", full)


def test_what_cannot_be_finished_is_told_and_both_runs_are_kept(
    compute: Callable[[str], ComputedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes with the next run, whose rows stay in a journal that nobody holds."""
    failing(monkeypatch, "one.h5")
    done: list[Extraction] = []
    with (
        pytest.raises(TargetError, match=r"one\.h5: the disk is full"),
        Finisher(extractor().workers) as finisher,
    ):
        finisher.hand(compute("one"), done.append)
        finisher.hand(compute("two"), done.append)
    assert not done
    monkeypatch.undo()
    for name in ("one", "two"):
        status = partial_status(tmp_path / f"{name}.h5")
        assert status is not None and status.done == 12
        run = compute(name)
        assert run.report.rows == 0 and run.report.kept == 12
        run.finish()
        assert not journal_path(tmp_path / f"{name}.h5").exists()


def test_the_last_ones_failure_is_told_at_the_end(
    compute: Callable[[str], ComputedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no other run comes, leaving the context raises it."""
    failing(monkeypatch, "two.h5")
    done: list[Extraction] = []
    with (
        pytest.raises(TargetError, match=r"two\.h5: the disk is full"),
        Finisher(extractor().workers) as finisher,
    ):
        finisher.hand(compute("one"), done.append)
        finisher.hand(compute("two"), done.append)
    assert [run.path.name for run in done] == ["one.h5"]


def test_ctrl_c_lets_a_store_be_finished(
    compute: Callable[[str], ComputedRun], tmp_path: Path
) -> None:
    """What was handed over is a store when the interrupt reaches the caller."""
    done: list[Extraction] = []
    with pytest.raises(KeyboardInterrupt), Finisher(extractor().workers) as finisher:
        finisher.hand(compute("one"), done.append)
        raise KeyboardInterrupt
    assert [run.path for run in done] == [tmp_path / "one.h5"]
    assert (tmp_path / "one.h5").exists() and not list(tmp_path.glob("*.partial"))


def test_a_store_that_was_there_already_keeps_its_turn(
    compute: Callable[[str], ComputedRun],
) -> None:
    """It is told after the one before it."""
    compute("two").finish()
    done: list[str] = []

    def tell(run: Extraction) -> None:
        done.append(run.path.name)

    with Finisher(extractor().workers) as finisher:
        finisher.hand(compute("one"), tell)
        finisher.hand(compute("two"), tell)
    assert done == ["one.h5", "two.h5"]

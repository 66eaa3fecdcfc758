"""A device without room gets smaller batches, and the rows stay what they are."""

from __future__ import annotations

import weakref
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loud import loud_engine
from test_loop import SMALL, extractor
from tiny_folder import byte_tokenizer, review_rows, write_rows

from compread.errors import ResumableError, SumError
from compread.extract import Engine, Extractor, SharedPrefix
from compread.extract.groups import Group
from compread.extract.runner import Runner
from compread.extract.workers import Workers
from compread.prompts import PromptSet, read_prompt_file, tokenize
from compread.store import Store, open_store, partial_status

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
]


@pytest.fixture
def prompts(tmp_path: Path) -> PromptSet:
    """Thirty rows behind a shared prefix."""
    return read_prompt_file(write_rows(tmp_path / "reviews.jsonl", review_rows(30, n_train=6)))


def room_for(monkeypatch: pytest.MonkeyPatch, tokens: int, error: BaseException) -> list[int]:
    """Let batches of more than so many tokens fail; the sizes that were tried."""
    real, tried = Engine.record, []

    def record(self: Engine, batch: Any, prefix: Any = None, **kwargs: Any) -> Any:
        tried.append(len(batch) * max(map(len, batch)))
        if tried[-1] > tokens:
            raise error
        return real(self, batch, prefix, **kwargs)

    monkeypatch.setattr(Engine, "record", record)
    return tried


def numbers(store: Store) -> dict[str, Any]:
    """Every row's parts and logits."""
    return {split: store.split(split).parts for split in ("train", "test")}


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_a_batch_without_room_is_halved(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Out of memory, the batch goes in halves, later ones fit at once, and a warning says so."""
    wide = replace(SMALL, batch_tokens=400)
    whole = extractor().extract(prompts, tmp_path / "whole.h5", wide)
    tried = room_for(monkeypatch, 150, error)
    done = extractor().extract(prompts, tmp_path / "run.h5", wide)
    assert done.rows == whole.rows == 30 and done.tokens_run == whole.tokens_run
    (warning,) = done.warnings
    assert "memory did not suffice" in warning
    failed = [size for size in tried if size > 150]
    assert failed == sorted(failed, reverse=True) and 1 <= len(failed) <= 3
    with open_store(whole.path) as one, open_store(done.path) as other:
        for split, parts in numbers(one).items():
            assert np.allclose(parts, numbers(other)[split], rtol=0, atol=1e-5)


def test_a_row_without_room_ends_the_run(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When not even one row fits, status 5, the row's length, and what was finished is kept."""
    target = tmp_path / "run.h5"
    calls = 0
    real = Engine.run

    def run(self: Engine, rows: Any, prefix: Any = None) -> Any:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise OUT_OF_MEMORY[0]
        return real(self, rows, prefix)

    monkeypatch.setattr(Engine, "run", run)
    with pytest.raises(ResumableError, match=r"a row of \d+ tokens does not fit") as error:
        extractor().extract(prompts, target, SMALL)
    assert error.value.exit_code == 5 and "--device-map" in str(error.value)
    status = partial_status(target)
    assert status is not None and status.done > 0
    monkeypatch.undo()
    assert extractor().extract(prompts, target, SMALL).kept == status.done


def test_a_prefix_without_room_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same line where the room is lacking for the prefix itself, the one before let go."""
    rows = [
        {**row, "prompt": f"{start}\n{row['prompt']}", "id": f"{start}-{row['id']}"}
        for start in ("Films that we saw", "Those of others")
        for row in review_rows(30)
    ]
    two = read_prompt_file(write_rows(tmp_path / "two.jsonl", rows))
    begin, made = SharedPrefix.__init__, []

    def begun(self: SharedPrefix, *args: Any) -> None:
        if any(prefix() for prefix in made):
            pytest.fail("two prefixes at once")
        if made:  # the first is the proof's and the first group's
            raise OUT_OF_MEMORY[0]
        made.append(weakref.ref(self))
        begin(self, *args)

    monkeypatch.setattr(SharedPrefix, "__init__", begun)
    with pytest.raises(ResumableError, match=r"the shared prefix of \d+ tokens does not fit"):
        extractor().extract(two, tmp_path / "run.h5", SMALL)
    status = partial_status(tmp_path / "run.h5")
    assert status is not None and status.done == 30


@pytest.mark.parametrize("share", [True, False])
def test_a_proof_without_room_ends_the_run(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch, share: bool
) -> None:
    """The same line where two whole prompts are too many; nothing is left behind."""
    room_for(monkeypatch, 60, OUT_OF_MEMORY[0])
    fresh = Extractor(extractor().loaded)
    with pytest.raises(ResumableError, match=r"two rows of up to \d+ tokens does not fit"):
        fresh.extract(prompts, tmp_path / "run.h5", replace(SMALL, share=share))
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


def test_other_errors_are_not_taken_for_it(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A RuntimeError of another kind is never tried again with less."""
    tried = room_for(monkeypatch, 20, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        extractor().extract(
            prompts, tmp_path / "run.h5", replace(SMALL, batch_tokens=400, share=False)
        )
    assert len(tried) == 1


def test_a_stopped_run_goes_on_with_its_own_budget(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --batch-tokens, memory that is free now does not change a run that was begun."""
    target, auto = tmp_path / "run.h5", replace(SMALL, batch_tokens=None)
    monkeypatch.setattr(import_module("compread.extract.loop"), "token_budget", lambda model: 64)

    def stop(done: int, total: int, tokens: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extractor().extract(prompts, target, auto, stop)
    monkeypatch.setattr(import_module("compread.extract.loop"), "token_budget", lambda model: 1024)
    assert extractor().extract(prompts, target, auto).kept > 0
    with open_store(target) as store:
        assert store.run.batch_tokens == 64
    again = extractor().extract(prompts, target, auto)
    assert (again.rows, again.kept) == (0, 30)


def test_memory_that_shrinks_again_and_again(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time a batch does not fit, half of that one is the limit of all that come after."""
    alone = replace(SMALL, batch_tokens=400, share=False)
    whole = extractor().extract(prompts, tmp_path / "whole.h5", alone)
    longest = max(map(len, tokenize(prompts, byte_tokenizer()).ids))
    tried = room_for(monkeypatch, longest, OUT_OF_MEMORY[0])
    done = extractor().extract(prompts, tmp_path / "run.h5", alone)
    failed = [size for size in tried if size > longest]
    assert len(failed) >= 3 and done.rows == 30
    assert all(later <= earlier / 2 for earlier, later in pairwise(failed))
    assert done.warnings == (
        f"the device's memory did not suffice: batches were cut to {failed[-1] // 2} tokens",
    )
    with open_store(whole.path) as one, open_store(done.path) as other:
        for split, parts in numbers(one).items():
            assert np.allclose(parts, numbers(other)[split], rtol=0, atol=1e-5)


# --- the batch that a GPU computes while the one before it is kept -------------------------------


class Kept:
    """Keeps rows in memory."""

    def __init__(self, count: int) -> None:
        self.ids = [f"r{n}" for n in range(count)]
        self.rows: dict[int, Any] = {}

    def append(self, rows: Any, parts: Any, *others: Any) -> None:
        """Keep a batch."""
        self.rows |= dict(zip(rows, parts, strict=True))

    def discard(self) -> None:
        """Throw all rows away."""
        self.rows.clear()


def run_of(judge: Any, overlaps: bool, progress: Any = lambda *counts: None) -> tuple[Kept, Any]:
    """Eight rows in batches of one, and what a runner did with them."""
    ids = [[3 + n, 4, 5, 6 + n] for n in range(8)]
    kept = Kept(len(ids))
    runner = Runner(loud_engine("llama tied", torch.float64), ids, kept, judge, Workers())
    runner._overlaps = overlaps
    groups = [Group((), tuple(range(8)))]
    try:
        runner.run(groups, 4, np.zeros(8, bool), progress)
    except (KeyboardInterrupt, SumError) as error:
        return kept, error
    return kept, runner.counts


@pytest.mark.parametrize("overlaps", [True, False])
def test_a_batch_that_waits_is_kept_as_it_is(overlaps: bool) -> None:
    """Every row once, the last batch too, and each row's own parts under its number."""
    names: list[str] = []

    def judge(batch: Any, ids: Any) -> float:
        names.extend(ids)
        return 0.0

    kept, tally = run_of(judge, overlaps)
    assert names == kept.ids and tally.rows == 8
    engine = loud_engine("llama tied", torch.float64)
    for n, parts in kept.rows.items():
        alone = engine.run([[3 + n, 4, 5, 6 + n]]).parts[0]
        assert np.allclose(parts, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("overlaps", [True, False])
def test_progress_ends_with_all_rows(overlaps: bool) -> None:
    """Told before the first batch and after each, once more where one waited; never less."""
    heard: list[tuple[int, int, int]] = []
    run_of(lambda batch, ids: 0.0, overlaps, lambda *counts: heard.append(counts))
    assert [heard[0], heard[-1]] == [(0, 8, 0), (8, 8, 32)]
    assert heard == sorted(heard) and len(heard) == 1 + 8 + overlaps


@pytest.mark.parametrize(("overlaps", "before"), [(True, 2), (False, 3)])
def test_an_interrupted_run_keeps_the_batch_that_waits(overlaps: bool, before: int) -> None:
    """What is computed is kept, whether its turn had come or not."""
    judged: list[int] = []

    def stop(done: int, total: int, tokens: int) -> None:
        if done == 3:
            assert len(judged) == before
            raise KeyboardInterrupt

    kept, error = run_of(lambda batch, ids: judged.append(1) or 0.0, overlaps, stop)
    assert isinstance(error, KeyboardInterrupt) and sorted(kept.rows) == [0, 1, 2]


@pytest.mark.parametrize(
    ("lengths", "rank", "ranks", "told"),
    [
        ([4] * 8, 0, 3, [(1, 0), (4, 12), (7, 24), (8, 36), (8, 36)]),
        ([4] * 8, 2, 3, [(1, 0), (4, 12), (7, 24), (8, 24)]),
        # Of five rows that are left, one batch has one and the other has four.
        ([4, 1, 1, 1, 1, 4], 0, 2, [(1, 0), (3, 8), (6, 8)]),
        ([4, 1, 1, 1, 1, 4], 1, 2, [(1, 0), (6, 8), (6, 8)]),
    ],
)
def test_progress_is_that_of_all_ranks(
    lengths: list[int], rank: int, ranks: int, told: list[tuple[int, int]]
) -> None:
    """A worker that is through its batches, however many rows they have, has told of all rows."""
    heard: list[tuple[int, int]] = []
    ids = [[3 + n, 4, 5, 6 + n][-length:] for n, length in enumerate(lengths)]
    engine, kept = loud_engine("llama tied", torch.float64), Kept(len(ids))
    runner = Runner(engine, ids, kept, lambda *batch: 0.0, Workers(rank, ranks))
    done = np.arange(len(ids)) == len(ids) - 1
    groups = [Group((), tuple(range(len(ids))))]
    runner.run(groups, 4, done, lambda kept, total, tokens: heard.append((kept, tokens)))
    assert heard == told


@pytest.mark.parametrize("overlaps", [True, False])
def test_wrong_sums_leave_nothing(overlaps: bool) -> None:
    """Neither the batches before nor the one that waits behind the wrong one are kept."""

    def judge(batch: Any, ids: Any) -> float:
        if ids == ["r4"]:
            raise SumError("off")
        return 0.0

    kept, error = run_of(judge, overlaps)
    assert isinstance(error, SumError) and not kept.rows


@pytest.mark.parametrize("overlaps", [True, False])
@pytest.mark.parametrize("worst", [0, 3, 7])
def test_the_worst_error_is_that_of_all_batches(worst: int, overlaps: bool) -> None:
    """Whichever batch has it, the last or another."""
    _, tally = run_of(lambda batch, ids: 0.5 if ids == [f"r{worst}"] else 0.125, overlaps)
    assert tally.worst_error == 0.5

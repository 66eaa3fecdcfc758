"""A run's largest batches may be launched around its proof, and nothing is different for it.

A batch's numbers come to the CPU as they are, and wait for their own batch alone.
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from loud import DEVICES, loud_engine, some_prompts
from test_loop import SMALL, extractor
from tiny_folder import review_rows, write_rows

from compread.extract import Engine, Extractor, launch, sharing
from compread.extract.groups import plan_groups
from compread.extract.launch import HeadStart, HostCopy, plan_group
from compread.model.decompose import BatchParts
from compread.prompts import PromptSet, read_prompt_file
from compread.store import open_store

WIDE = replace(SMALL, batch_tokens=200)


@pytest.fixture
def prompts(tmp_path: Path) -> PromptSet:
    """Thirty rows behind a shared prefix."""
    return read_prompt_file(write_rows(tmp_path / "reviews.jsonl", review_rows(30, n_train=6)))


def batches(
    monkeypatch: pytest.MonkeyPatch, prompts: PromptSet, target: Path, *, early: bool
) -> tuple[list[int], Any, Any]:
    """Rows of each batch behind a prefix in their order, the parts' bytes, and the report."""
    run: list[int] = []
    real = Engine.run

    def counted(self: Engine, rows: Any, prefix: Any = None) -> Any:
        if prefix is not None:
            run.append(len(rows))
        return real(self, rows, prefix)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "run", counted)
        if early:
            patch.setattr(Extractor, "_starts_anew", lambda *_: True)
        done = extractor().extract(prompts, target, WIDE)
    with open_store(target) as store:
        parts = {split: store.split(split).parts[...].tobytes() for split in ("train", "test")}
    return run, parts, done


def test_the_largest_batches_are_run_once_and_around_the_proof(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Launched around each of the proof's passes, they are not run again; the store is the same."""
    late, store, _ = batches(monkeypatch, prompts, tmp_path / "run.h5", early=False)
    (tmp_path / "run.h5").unlink()
    early, same, _ = batches(monkeypatch, prompts, tmp_path / "run.h5", early=True)
    assert late == [2, 4, 8, 8, 5, 5]
    assert early == [8, 8, 2, 4, 5, 5]
    assert same == store


def test_a_run_of_one_batch_is_launched_once(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to launch behind the proof."""
    monkeypatch.setattr(sys.modules[__name__], "WIDE", replace(SMALL, batch_tokens=4000))
    early, _, done = batches(monkeypatch, prompts, tmp_path / "run.h5", early=True)
    assert early == [30, 2] and done.rows == 30


def test_what_was_launched_is_dropped_where_the_proof_fails(
    tmp_path: Path, prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then whole prompts are run, every row of them."""
    monkeypatch.setattr(sharing, "_misfit", lambda *_: float("inf"))
    late, store, _ = batches(monkeypatch, prompts, tmp_path / "run.h5", early=False)
    (tmp_path / "run.h5").unlink()
    early, same, done = batches(monkeypatch, prompts, tmp_path / "run.h5", early=True)
    assert late == [2] and early == [8, 8, 2, 4]
    assert same == store and done.rows == 30
    assert "whole prompts are run" in done.warnings[0]


def test_a_plan_that_no_longer_holds_is_made_anew() -> None:
    """A prefix that was to be borrowed and must be copied leaves room for fewer rows."""
    engine = loud_engine("llama grouped", torch.float32)
    ids = [[*range(5, 45), *row] for row in some_prompts(*[3] * 40)]
    group = plan_groups(ids)[0]
    head = HeadStart(engine, ids, 120, wanted=True)
    head.launch(group)
    assert head.plan(group) == plan_group(engine, ids, group, 120)
    shared = engine.share(group.prefix)
    assert shared is not None
    shared.lends = False
    assert head.plan(group) == []
    assert len(plan_group(engine, ids, group, 120)[0]) < 40


def test_what_does_not_fit_is_launched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run halves it later; until then nothing more is launched."""
    tried: list[int] = []
    monkeypatch.setattr(launch, "launch", lambda engine, own, prefix: tried.append(len(own)))
    ids = [[*range(5, 45), *row] for row in some_prompts(*[3] * 40)]
    head = HeadStart(loud_engine("llama grouped", torch.float32), ids, 60, wanted=True)
    for _ in range(3):
        head.launch(plan_groups(ids)[0])
    assert len(tried) == 1


@pytest.mark.parametrize("device", DEVICES)
def test_the_numbers_are_the_batches(device: str) -> None:
    """Each of them, on the CPU, also where another batch was launched in between."""
    engine = loud_engine("llama grouped", torch.float32, device)
    first, second = engine.run(some_prompts(9, 4)), engine.run(some_prompts(5, 6, 7))
    copies = HostCopy(first), HostCopy(second)
    for batch, copy in zip((first, second), copies, strict=True):
        there = copy.wait()
        for field in fields(BatchParts):
            here = getattr(there, field.name)
            assert here.device.type == "cpu"
            assert torch.equal(here, getattr(batch, field.name).to("cpu"))


class OnGpu:
    """A tensor of a GPU that this machine may not have, as far as a copy asks for it."""

    is_cuda, device = True, torch.device("cuda:1")
    shape, dtype = torch.Size((2, 3)), torch.float32


class Pinned:
    """A tensor in pinned memory."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def copy_(self, source: OnGpu, *, non_blocking: bool) -> Pinned:
        """Begin a copy."""
        self.log.append(f"copy {'begun' if non_blocking else 'waited for'}")
        return self


def test_a_gpu_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies into pinned memory are begun, then one event a device is recorded and waited for."""
    log: list[str] = []

    class Event:
        def synchronize(self) -> None:
            log.append("event waited for")

    class Stream:
        def __init__(self, device: torch.device) -> None:
            assert device == OnGpu.device

        def record_event(self) -> Event:
            log.append("event recorded")
            return Event()

    def empty(shape: Any, *, dtype: Any, pin_memory: bool) -> Pinned:
        assert (shape, dtype, pin_memory) == (OnGpu.shape, OnGpu.dtype, True)
        return Pinned(log)

    monkeypatch.setattr(launch.torch, "empty", empty)
    monkeypatch.setattr(launch.torch.cuda, "current_stream", Stream)
    tensor: Any = OnGpu()
    names = [field.name for field in fields(BatchParts)]
    copy = HostCopy(BatchParts(**dict.fromkeys(names, tensor)))
    assert log == ["copy begun"] * len(names) + ["event recorded"]
    copy.wait()
    assert log[-1] == "event waited for"

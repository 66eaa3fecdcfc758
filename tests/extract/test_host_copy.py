"""A batch's numbers come to the CPU as they are, and wait for their own batch alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from loud import DEVICES, loud_engine, some_prompts

from compread.extract import host_copy
from compread.extract.host_copy import HostCopy
from compread.model.decompose import BatchParts


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

    monkeypatch.setattr(host_copy.torch, "empty", empty)
    monkeypatch.setattr(host_copy.torch.cuda, "current_stream", Stream)
    tensor: Any = OnGpu()
    names = [field.name for field in fields(BatchParts)]
    copy = HostCopy(BatchParts(**dict.fromkeys(names, tensor)))
    assert log == ["copy begun"] * len(names) + ["event recorded"]
    copy.wait()
    assert log[-1] == "event waited for"

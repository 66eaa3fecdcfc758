"""The budget follows the memory that is free, and memory is what the system says it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from loud import loud_model

from compread.extract import memory
from compread.extract.memory import bytes_per_token, free_memory, token_budget
from compread.model.matrices import layer_matrices

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def budget(monkeypatch: pytest.MonkeyPatch, free: int | None, device: torch.device) -> int:
    """The budget where a device says that so much is free."""
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    return token_budget(loud_model("llama grouped", torch.float32), device)


def test_the_budget_is_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the free memory, in a power of two; with twice the memory, twice the tokens."""
    token = bytes_per_token(loud_model("llama grouped", torch.float32))
    assert budget(monkeypatch, 2 * 1024 * token, CUDA) == 1024
    assert budget(monkeypatch, 2 * 2047 * token, CUDA) == 1024
    assert budget(monkeypatch, 2 * 2048 * token, CUDA) == 2048


def test_the_budget_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never too little to run, nor more than makes it faster; a silent device gets some."""
    assert budget(monkeypatch, 1, CUDA) == budget(monkeypatch, 1, CPU) == 64
    assert budget(monkeypatch, 10**15, CPU) < budget(monkeypatch, 10**15, CUDA)
    assert 64 < budget(monkeypatch, None, CUDA) <= budget(monkeypatch, 10**15, CUDA)


def test_a_small_model_on_a_gpu_takes_fewer_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch costs a sixteenth of the budget; where it is launched for longer, up to a quarter."""
    model = loud_model("llama grouped", torch.float32)
    assert memory.batch_cost(model, 1600) == 100
    monkeypatch.setattr(memory, "device_of", lambda model: CUDA)
    assert memory.batch_cost(model, 1600) == 400
    weights = sum(matrix.numel for matrix in layer_matrices(model))
    monkeypatch.setattr(memory, "_LAUNCH", 250 * weights)
    assert memory.batch_cost(model, 1600) == 250
    assert memory.batch_cost(model, 16000) == 1000


def test_wider_models_take_more() -> None:
    """Bytes for each token grow with the width and with the type."""
    small = loud_model("llama grouped", torch.float32)
    wide = loud_model("llama grouped", torch.float32, hidden_size=72)
    half = loud_model("llama grouped", torch.bfloat16)
    assert bytes_per_token(half) < bytes_per_token(small) < bytes_per_token(wide)


def test_free_memory_is_that_of_the_machine() -> None:
    """More than nothing, less than all there is."""
    free = free_memory(CPU)
    assert free is not None and 0 < free < 2**50


def test_free_memory_where_linux_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the machine's where there is no /proc; nothing is known where no page count is."""

    def absent(self: Path, *_: object, **__: object) -> str:
        raise FileNotFoundError(self)

    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1_000_001}
    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(os, "sysconf", lambda name: pages[name])
    assert free_memory(CPU) == 4096 * 1_000_001 // 2

    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert free_memory(CPU) is None


def test_the_peak_is_that_since_the_reset() -> None:
    """A large array counts while it is held, and is forgotten with the next reset."""
    memory.reset_peak(CPU)
    before = memory.peak_memory(CPU)
    held = np.ones(200_000_000 // 8)
    assert memory.peak_memory(CPU) - before > 150e6
    assert held[-1] == 1
    del held
    memory.reset_peak(CPU)
    if memory.resident_memory():  # elsewhere than on Linux the peak cannot be reset
        assert memory.peak_memory(CPU) - before < 100e6

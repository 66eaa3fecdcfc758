"""Rows one behind the other, without pads, have the numbers that they have apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from attention_kernels import stand_ins
from hypothesis import given
from hypothesis import strategies as st
from loud import DEVICES, FAMILIES, loud_model, some_prompts
from test_launch import batches
from tiny_folder import review_rows, write_rows

from compread.extract import Engine, Extractor, lending
from compread.extract.batches import pack_batches
from compread.extract.engine import may_pack
from compread.extract.joined import CPU, FLASH
from compread.extract.packed import PackedRows
from compread.model import find_anatomy
from compread.prompts import PromptSet, read_prompt_file

LENDS = [name for name in FAMILIES if name != "gemma2"]
OWN = (9, 4, 13, 1)
HEAD = some_prompts(11, seed=1)[0]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A device on which CUDA's operators answer: the real ones, or stand-ins on a CPU."""
    if request.param == "cuda":
        yield "cuda"
        return
    monkeypatch.setattr(lending, "kernel_for", lambda query, value: FLASH)
    with stand_ins():
        yield "cpu"


def row_by_row(
    query: Any, key: Any, value: Any, starts: Any, longest: int, scale: float
) -> tuple[Any, Any]:
    """What a kernel by rows gives, by the CPU's own kernel called for each of them."""
    key, value = (x.repeat_interleave(query.shape[1] // key.shape[1], 1) for x in (key, value))
    lengths = starts.diff().tolist()
    assert longest == max(lengths)
    rows = zip(*(x.split(lengths, 2) for x in (query, key, value)), strict=True)
    outs, lses = zip(*(CPU.call(q, k, v, True, scale) for q, k, v in rows), strict=True)
    return torch.cat(outs, 2), torch.cat(lses, 2)


def packing(name: str, monkeypatch: pytest.MonkeyPatch, by_rows: Any = row_by_row) -> Engine:
    """A loud model in float64 that packs rows, on a CPU."""
    kernel = replace(CPU, by_rows=by_rows)
    monkeypatch.setattr(lending, "kernel_for", lambda query, value: kernel)
    model = loud_model(name, torch.float64)
    engine = Engine(model, find_anatomy(model), (5, 9, 17))
    engine.packs = True
    return engine


def compared(engine: Engine) -> float:
    """The largest difference of parts behind a prefix from those of the whole prompts."""
    own = some_prompts(*OWN, seed=2)
    prefix = engine.share(HEAD)
    parts = engine.run(own, prefix).parts
    return float((parts - engine.run([HEAD + row for row in own]).parts).abs().max())


@pytest.mark.parametrize("name", LENDS)
def test_packed_is_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each loud family in float64, four rows of several lengths in one."""
    engine = packing(name, monkeypatch)
    seen: list[torch.Size] = []
    engine.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    assert compared(engine) < 1e-6
    assert engine.packs and seen[0] == (1, sum(OWN))


def one_row(
    query: Any, key: Any, value: Any, starts: Any, longest: int, scale: float
) -> tuple[Any, Any]:
    """A kernel that forgets where rows begin."""
    return row_by_row(query, key, value, starts[[0, -1]], int(starts[-1]), scale)


def test_rows_that_see_each_other_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above fails where a row sees those before it."""
    assert compared(packing("llama grouped", monkeypatch, one_row)) > 1e-3


def running_on(rows: Any, device: Any) -> PackedRows:
    """Rows whose positions go on from one to the next."""
    right = OF(rows, device)
    return replace(right, position=torch.arange(right.tokens.shape[1])[None])


OF = PackedRows.of


def test_positions_that_run_on_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above fails where a row stands behind those before it."""
    engine = packing("llama grouped", monkeypatch)
    monkeypatch.setattr(PackedRows, "of", running_on)
    assert compared(engine) > 1e-3


@pytest.mark.parametrize("name", ["llama grouped", "llama multi-query", "gpt2", "neox parallel"])
def test_a_gpu_reads_its_prompts_packed(name: str, device: str) -> None:
    """In bfloat16, by flash attention: no further from exact parts than whole prompts are."""
    changes: dict[str, int] = {"head_dim": 8} if "head_dim" in FAMILIES[name].options else {}
    changes = changes or {"n_embd" if name == "gpt2" else "hidden_size": 48}
    model = loud_model(name, torch.bfloat16, **changes).to(device)
    engine = Engine(model, find_anatomy(model), (5, 9, 17))
    assert engine.packs == (device == "cuda")
    engine.packs = True
    own = some_prompts(*OWN, seed=2)
    parts = engine.run(own, engine.share(HEAD)).parts.double().cpu()
    assert engine.packs, "the rows were padded"
    plain = engine.run([HEAD + row for row in own]).parts.double().cpu()
    exact_model = loud_model(name, torch.float64, **changes)
    exact_model.load_state_dict(model.state_dict())
    exact = Engine(exact_model, find_anatomy(exact_model), (5, 9, 17))
    parts_exact = exact.run([HEAD + row for row in own]).parts
    rounding = float((plain - parts_exact).abs().max())
    assert float((parts - parts_exact).abs().max()) <= 2 * rounding + 1e-4


@pytest.mark.parametrize(
    ("name", "dtype", "may"),
    [
        ("llama grouped", torch.bfloat16, True),
        ("llama grouped", torch.float16, True),
        ("llama grouped", torch.float32, False),
        ("gemma2", torch.bfloat16, False),
    ],
)
def test_what_may_be_packed(name: str, dtype: torch.dtype, may: bool) -> None:
    """Half precision, and no window; never on a CPU, whose kernel takes no such rows."""
    model = loud_model(name, dtype)
    anatomy = find_anatomy(model)
    assert may_pack(model, anatomy) == may
    assert not Engine(model, anatomy, (5, 9, 17)).packs


def test_what_cannot_be_packed_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes no rows: the same numbers, and it is not tried again."""
    engine = packing("llama grouped", monkeypatch, by_rows=None)
    tried: list[int] = []

    def of(ids: Any, device: torch.device) -> PackedRows:
        tried.append(len(ids))
        return OF(ids, device)

    monkeypatch.setattr(PackedRows, "of", of)
    for _ in range(2):
        assert compared(engine) < 1e-6
    assert not engine.packs and tried == [len(OWN)]
    prefix = engine.share(HEAD)
    assert prefix is not None and prefix.lends


def test_out_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that do not fit are halved by whoever runs them, not padded."""

    def fail(*args: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    engine = packing("llama grouped", monkeypatch, by_rows=fail)
    with pytest.raises(RuntimeError, match="can't allocate"):
        compared(engine)
    assert engine.packs


# --- a whole run ----------------------------------------------------------------------------------


@pytest.fixture
def prompts(tmp_path: Path) -> PromptSet:
    """Thirty rows behind a shared prefix."""
    return read_prompt_file(write_rows(tmp_path / "reviews.jsonl", review_rows(30, n_train=6)))


def packs_rows(monkeypatch: pytest.MonkeyPatch, by_rows: Any) -> list[int]:
    """Have engines pack rows; the rows of each forward, in a list that fills."""
    kernel = replace(CPU, by_rows=by_rows)
    monkeypatch.setattr(lending, "kernel_for", lambda query, value: kernel)
    real = Extractor.engine_for
    rows: list[int] = []

    def engine_for(self: Extractor, tokens: Any) -> Engine:
        engine = real(self, tokens)
        monkeypatch.setattr(engine, "packs", True)
        return engine

    def of(ids: Any, device: torch.device) -> PackedRows:
        rows.append(len(ids))
        return OF(ids, device)

    monkeypatch.setattr(Extractor, "engine_for", engine_for)
    monkeypatch.setattr(PackedRows, "of", of)
    return rows


@pytest.fixture(params=[False, True], ids=["late", "early"])
def both_ways(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    prompts: PromptSet,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Any], tuple[Any, Any, list[int]]]:
    """A run padded, then packed by a kernel: what ``batches`` gives of both, and rows packed."""

    def run(by_rows: Any) -> tuple[Any, Any, list[int]]:
        target = tmp_path / "run.h5"
        padded = batches(monkeypatch, prompts, target, early=False)
        target.unlink()
        rows = packs_rows(monkeypatch, by_rows)
        return padded, batches(monkeypatch, prompts, target, early=request.param), rows

    return run


def test_a_run_packs_its_rows(both_ways: Any) -> None:
    """The parts are those of padded batches to rounding, in fewer batches."""
    (padded, parts, _), (run, same, done), packed_rows = both_ways(row_by_row)
    assert run == packed_rows and sum(run) == 32 and len(run) < len(padded)
    assert done.rows == 30 and not done.warnings
    for split, found in same.items():
        numbers = torch.frombuffer(bytearray(found), dtype=torch.float32)
        expected = torch.frombuffer(bytearray(parts[split]), dtype=torch.float32)
        assert torch.allclose(numbers, expected, rtol=0, atol=1e-5)


def test_rows_that_are_not_apart_are_padded(both_ways: Any, request: pytest.FixtureRequest) -> None:
    """The proof finds it; nothing that was launched before is kept, and the store is the same."""
    (_, store, _), (_, same, done), packed_rows = both_ways(one_row)
    around = 4 if "early" in request.node.name else 1
    assert 2 in packed_rows and len(packed_rows) == around, "only around the proof"
    assert same == store and done.rows == 30
    # The prefix is shared all the same.
    assert not done.warnings and done.tokens_run < done.tokens_whole


# --- the plan -------------------------------------------------------------------------------------

LENGTHS = st.lists(st.integers(1, 40), max_size=60)


@given(LENGTHS, st.integers(1, 200), st.one_of(st.none(), st.integers(1, 20)))
def test_packed_batches_are_few_and_alike(
    lengths: list[int], budget: int, rows: int | None
) -> None:
    """Each row once, longest first, within budget and rows; no fewer batches, nor much larger."""
    plan = pack_batches(lengths, budget, rows)
    order = [row for batch in plan for row in batch]
    assert order == sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    sums = [sum(lengths[row] for row in batch) for batch in plan]
    assert all(total <= budget or len(b) == 1 for total, b in zip(sums, plan, strict=True))
    assert rows is None or all(len(batch) <= rows for batch in plan)
    # Filled one after the other as far as they go, there are no fewer.
    fewest, free, count = 0, 0, 0
    for row in order:
        if lengths[row] > free or count == rows:
            fewest, free, count = fewest + 1, max(budget, lengths[row]), 0
        free, count = free - lengths[row], count + 1
    assert len(plan) == fewest


def test_packed_batches_are_about_equal() -> None:
    """A worked example: four rows of a budget of three would leave one alone."""
    assert pack_batches([2, 2, 2, 2], 6) == [[0, 1], [2, 3]]
    assert pack_batches([5, 2, 5, 3, 9], 12) == [[4], [0, 2], [3, 1]]
    assert pack_batches([], 10) == []

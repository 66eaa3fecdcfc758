"""Attention joined from two kernels is whole attention, by every kernel that a device may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from attention_kernels import stand_ins
from loud import DEVICES, FAMILIES, loud_engine, loud_model, some_prompts
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from compread.extract import Engine, lending
from compread.extract import joined as joined_module
from compread.extract.joined import CPU, EFFICIENT, FLASH, Kernel, joined, kernel_for
from compread.model import find_anatomy

HALF = (torch.bfloat16, torch.float16)
KERNELS = {"flash": FLASH, "efficient": EFFICIENT}


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """A device on which CUDA's operators answer: the real ones, or stand-ins on a CPU."""
    if request.param == "cuda":
        yield "cuda"
        return
    with stand_ins():
        yield "cpu"


def states(heads: int, shared: int, width: int, prefix: int, dtype: Any, device: str) -> Any:
    """Query, key, value of three rows of nine tokens, laid out as a model lays them out."""
    draw = torch.Generator().manual_seed(heads + shared + width + prefix)

    def made(rows: int, tokens: int, count: int) -> Tensor:
        made = torch.randn(rows, tokens, count, width, generator=draw, dtype=torch.float64)
        return made.to(device, dtype).transpose(1, 2)

    own = made(3, 9, heads), made(3, 9, shared), made(3, 9, shared)
    return *own, (made(1, prefix, shared), made(1, prefix, shared))


def whole(query: Tensor, key: Tensor, value: Tensor, prefix: Any, scale: float) -> Tensor:
    """One attention over prefix and row, [B, T, H, E]."""
    batch, heads, tokens, _ = query.shape
    both = [torch.cat([far.expand(batch, -1, -1, -1), near], 2)
            for far, near in zip(prefix, (key, value), strict=True)]  # fmt: skip
    key, value = (one.repeat_interleave(heads // one.shape[1], 1) for one in both)
    mask = torch.ones(tokens, key.shape[2], dtype=torch.bool, device=query.device)
    mask = mask.tril(key.shape[2] - tokens)
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    return out.transpose(1, 2)


def worst(out: Tensor, exact: Tensor) -> float:
    """The largest difference from attention in float64."""
    return float((out.double() - exact).abs().max())


@pytest.mark.parametrize("prefix", [1, 40])
@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize(("heads", "shared"), [(6, 6), (6, 2), (4, 1)])
@pytest.mark.parametrize(
    ("name", "dtype"),
    [("flash", torch.bfloat16), ("flash", torch.float16), ("efficient", torch.float32)],
    ids=str,
)
def test_joined_is_whole(
    name: str, dtype: Any, heads: int, shared: int, width: int, prefix: int, device: str
) -> None:
    """Within what one attention in the same type is off from one in float64."""
    query, key, value, lent = states(heads, shared, width, prefix, dtype, device)
    exact = whole(
        query.double(), key.double(), value.double(), [x.double() for x in lent], width**-0.5
    )
    out = joined(KERNELS[name], query, key, value, lent, width**-0.5)
    assert out.dtype is dtype
    plain = worst(whole(query, key, value, lent, width**-0.5), exact)
    assert worst(out, exact) <= 3 * plain


def test_the_prefix_is_not_copied(device: str) -> None:
    """The kernel reads the prefix's own memory, once for all rows and heads."""
    query, key, value, lent = states(6, 2, 16, 40, torch.bfloat16, device)
    seen = []

    def call(query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float) -> Any:
        if not causal:
            seen.append((query.shape, key.data_ptr(), value.data_ptr(), key.shape))
        return FLASH.call(query, key, value, causal, scale)

    joined(Kernel(call, shares_heads=True), query, key, value, lent, 0.25)
    pointers = lent[0].data_ptr(), lent[1].data_ptr()
    assert seen == [((1, 6, 27, 16), *pointers, (1, 2, 40, 16))]


@pytest.mark.parametrize("name", ["llama grouped", "llama multi-query", "gpt2", "neox parallel"])
@pytest.mark.parametrize(
    ("kernel", "dtype"), [("flash", torch.bfloat16), ("efficient", torch.float32)], ids=str
)
def test_a_model_reads_its_prompts_by_them(
    name: str, kernel: str, dtype: Any, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts behind a prefix are no further from exact ones than those of whole prompts."""
    if device == "cpu":
        monkeypatch.setattr(lending, "kernel_for", lambda query, value: KERNELS[kernel])
    changes = {"head_dim": 8} if "head_dim" in FAMILIES[name].options else {"hidden_size": 48}
    changes = {"n_embd": 48} if name == "gpt2" else changes
    model = loud_model(name, dtype, **changes).to(device)
    engine = Engine(model, find_anatomy(model), (5, 9, 17))
    (head,) = some_prompts(11, seed=1)
    own = some_prompts(9, 4, 13, 1, seed=2)
    prefix = engine.share(head)
    assert prefix is not None
    parts = engine.run(own, prefix).parts.double().cpu()
    assert prefix.lends, "the family was not lent its prefix"
    plain = engine.run([head + row for row in own]).parts.double().cpu()
    exact_model = loud_model(name, torch.float64, **changes)
    exact_model.load_state_dict(model.state_dict())
    exact = Engine(exact_model, find_anatomy(exact_model), (5, 9, 17)).run(
        [head + row for row in own]
    )
    rounding = float((plain - exact.parts).abs().max())
    assert float((parts - exact.parts).abs().max()) <= 2 * rounding + 1e-4


class Tensors:
    """What ``kernel_for`` asks of a tensor, on a device that this machine may not have."""

    def __init__(self, device: str, dtype: Any, width: int) -> None:
        self.device, self.dtype, self.shape = torch.device(device), dtype, (2, 3, 4, width)

    def element_size(self) -> int:
        """Bytes of a number."""
        return torch.empty(0, dtype=self.dtype).element_size()


@pytest.mark.parametrize(
    ("device", "dtype", "width", "capability", "kernel"),
    [
        ("cpu", torch.bfloat16, 64, None, "CPU"),
        ("cpu", torch.float64, 5, None, "CPU"),
        ("cuda", torch.bfloat16, 128, (9, 0), "FLASH"),
        ("cuda", torch.float16, 256, (8, 0), "FLASH"),
        ("cuda", torch.float16, 264, (9, 0), None),
        ("cuda", torch.bfloat16, 36, (9, 0), None),
        ("cuda", torch.float16, 128, (7, 5), None),
        ("cuda", torch.float32, 64, (7, 5), "EFFICIENT"),
        ("cuda", torch.float32, 6, (9, 0), None),
        ("cuda", torch.float64, 64, (9, 0), None),
        ("mps", torch.float16, 64, None, None),
    ],
    ids=str,
)
def test_which_kernel(
    device: str, dtype: Any, width: int, capability: Any, kernel: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Only a kernel that takes this type and width on this card, and only of equal widths."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    query: Any = Tensors(device, dtype, width)
    expected = getattr(joined_module, kernel) if kernel else None
    assert kernel_for(query, query) is expected
    other: Any = Tensors(device, dtype, width * 2)
    assert kernel_for(query, other) is None


def test_not_on_rocm(monkeypatch: pytest.MonkeyPatch) -> None:
    """ROCm's devices are called cuda too, but its kernels are others."""
    monkeypatch.setattr(torch.version, "hip", "6.4")
    query: Any = Tensors("cuda", torch.float32, 64)
    assert kernel_for(query, query) is None


@pytest.mark.parametrize("what", ["turned round", "of the wrong rows"])
def test_a_broken_joining_fails(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparisons above see a share turned round, and an lse that belongs to other rows."""
    query, key, value, lent = states(6, 2, 16, 40, torch.float32, "cpu")
    exact = whole(query, key, value, lent, 0.25)

    def call(*args: Any) -> tuple[Tensor, Tensor]:
        out, lse = CPU.call(*args)
        return out, lse.flip(-1) if what == "of the wrong rows" else lse

    if what == "turned round":
        monkeypatch.setattr(joined_module.torch, "sigmoid", lambda x: torch.special.expit(-x))
    out = joined(Kernel(call, shares_heads=False), query, key, value, lent, 0.25)
    assert worst(out, exact.double()) > 1e-2


def test_float64_stays_float64() -> None:
    """The proof of a family, in float64 on a CPU, loses nothing to the joining."""
    query, key, value, lent = states(6, 2, 16, 40, torch.float64, "cpu")
    out = joined(CPU, query, key, value, lent, 0.25)
    assert out.dtype is torch.float64
    assert worst(out, whole(query, key, value, lent, 0.25)) < 1e-12


def test_loud_engine_lends_on_a_cpu() -> None:
    """The ordinary path of a CPU goes through the joined kernel."""
    engine = loud_engine("llama grouped", torch.float64)
    prefix = engine.share(some_prompts(11, seed=1)[0])
    assert prefix is not None and prefix.held(20) == 0

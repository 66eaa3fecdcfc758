"""A prefix that is lent to the rows gives what a prefix copied for each of them gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from loud import DEVICES, FAMILIES, loud_engine, loud_model, some_prompts

from compread.extract import Engine, SharedPrefix, lending
from compread.extract.lending import LENDING, can_lend
from compread.model import find_anatomy

LENDS = [name for name in FAMILIES if name != "gemma2"]
OWN = (9, 4, 13, 1)
PREFIX = 11


def shared_parts(engine: Engine, prefix: SharedPrefix | None = None) -> tuple[Any, Any]:
    """Parts [B, C, K] of rows behind a prefix, and of the same rows run whole."""
    (head,) = some_prompts(PREFIX, seed=1)
    own = some_prompts(*OWN, seed=2)
    shared = engine.run(own, prefix or engine.share(head))
    return shared.parts, engine.run([head + row for row in own]).parts


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("way", ["as the device has it", "repeated for a layer"])
@pytest.mark.parametrize("name", LENDS)
def test_lent_is_whole(name: str, way: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joined by a kernel or repeated, in float64; and the prefix was really lent."""
    if way == "repeated for a layer":
        monkeypatch.setattr(lending, "kernel_for", lambda query, value: None)
    engine = loud_engine(name, torch.float64, device)
    prefix = engine.share(some_prompts(PREFIX, seed=1)[0])
    assert prefix is not None
    parts, whole = shared_parts(engine, prefix)
    assert torch.allclose(parts, whole, rtol=0, atol=1e-6)
    assert prefix.lends and prefix.held(PREFIX + max(OWN)) == 0


@pytest.mark.parametrize("name", ["llama grouped", "gpt2"])
def test_lent_in_half_precision(name: str) -> None:
    """In bfloat16 lent and whole differ by rounding alone."""
    engine = Engine(model := loud_model(name, torch.bfloat16), find_anatomy(model), (5, 9, 17))
    parts, whole = shared_parts(engine)
    assert (parts - whole).abs().max() < 0.1 * whole.abs().max()


BROKEN = {
    "the prefix's share is turned round": (torch, "sigmoid", lambda x: torch.special.expit(-x)),
    "rows see what comes after them": (lending, "kernel_for", "not causal"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_twin_fails(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above sees a wrong joining, and a wrong mask."""
    engine = loud_engine("llama grouped", torch.float64)
    where, name, replacement = BROKEN[what]
    if replacement == "not causal":
        real = lending.scaled_dot_product_attention

        def seeing(*args: Any, attn_mask: Any, **kwargs: Any) -> Any:
            return real(*args, attn_mask=torch.ones_like(attn_mask), **kwargs)

        monkeypatch.setattr(lending, "scaled_dot_product_attention", seeing)
        replacement = lambda query, value: None  # noqa: E731
    monkeypatch.setattr(where, name, replacement)
    parts, whole = shared_parts(engine)
    assert not torch.allclose(parts, whole, rtol=0, atol=1e-3)


def test_a_soft_cap_is_not_lent() -> None:
    """A family whose attention needs another term goes on from copies, and is right."""
    engine = loud_engine("gemma2", torch.float64)
    prefix = engine.share(some_prompts(PREFIX, seed=1)[0])
    assert prefix is not None
    parts, whole = shared_parts(engine, prefix)
    assert torch.allclose(parts, whole, rtol=0, atol=1e-6)
    assert not prefix.lends or prefix.held(PREFIX + max(OWN))


def test_prompts_longer_than_the_window_are_not_lent() -> None:
    """Where a layer would not see all of the prefix, nothing is lent."""
    model = loud_model("llama grouped")
    cache = model(input_ids=torch.tensor(some_prompts(PREFIX)), use_cache=True).past_key_values
    assert can_lend(model, cache, 64)
    cache.layers[1].sliding_window = 32
    assert can_lend(model, cache, 32) and not can_lend(model, cache, 33)


def test_another_attention_is_not_lent() -> None:
    """A model that was asked for `eager` attention keeps it."""
    model = loud_model("llama grouped", attn_implementation="eager")
    engine = Engine(model, find_anatomy(model), (5, 9, 17))
    prefix = engine.share(some_prompts(PREFIX, seed=1)[0])
    assert prefix is not None and prefix.held(PREFIX + max(OWN)) == PREFIX
    parts, whole = shared_parts(engine, prefix)
    assert torch.allclose(parts, whole, rtol=0, atol=1e-6)


def implementations(model: Any) -> set[str]:
    """The attention that each of the model's configs names."""
    return {m.config._attn_implementation for m in model.modules() if hasattr(m, "config")}


def test_the_model_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a forward, and after one that fails, every config names its own attention."""
    model = loud_model("llama grouped")
    engine = Engine(model, find_anatomy(model), (5, 9, 17))
    shared_parts(engine)
    assert implementations(model) == {"sdpa"}

    def fail(*args: Any, **kwargs: Any) -> None:
        assert LENDING in implementations(model)
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(lending, "_attend", fail)
    with pytest.raises(RuntimeError, match="can't allocate"):
        shared_parts(engine)
    assert implementations(model) == {"sdpa"}


def test_a_failing_loan_falls_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attention that cannot borrow goes on from copies, and is not asked again."""
    engine = loud_engine("llama grouped", torch.float64)
    calls = 0

    def refuse(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        raise lending.CannotLendError("not today")

    monkeypatch.setattr(lending, "_attend", refuse)
    prefix = engine.share(some_prompts(PREFIX, seed=1)[0])
    for _ in range(2):
        parts, whole = shared_parts(engine, prefix)
        assert torch.allclose(parts, whole, rtol=0, atol=1e-6)
    assert calls == 1


def test_the_prefix_is_held_once() -> None:
    """No key of the prefix is written: batch after batch finds it as it was."""
    engine = loud_engine("llama grouped", torch.float64)
    prefix = engine.share(some_prompts(PREFIX, seed=1)[0])
    assert prefix is not None
    before = [layer.keys.clone() for layer in prefix._cache.layers]
    for _ in range(2):
        shared_parts(engine, prefix)
    for layer, keys in zip(prefix._cache.layers, before, strict=True):
        assert layer.keys.shape[-2] == PREFIX and torch.equal(layer.keys, keys)


# --- each guard, where none of the others holds --------------------------------------------------


def cache_of(model: Any) -> Any:
    """A cache that may be lent."""
    found = model(input_ids=torch.tensor(some_prompts(PREFIX)), use_cache=True).past_key_values
    assert can_lend(model, found, 64)
    return found


def not_plain(cache: Any) -> None:
    """A layer of another kind."""
    layer = cache.layers[1]
    layer.__class__ = type("CompressedLayer", (type(layer),), {})


def not_tensors(cache: Any) -> None:
    """A layer whose keys are held in another way."""
    cache.layers[1].keys = [cache.layers[1].keys]


def flat(cache: Any) -> None:
    """A layer that keeps heads in one axis."""
    layer = cache.layers[1]
    layer.keys, layer.values = layer.keys.flatten(1, 2), layer.values.flatten(1, 2)


def apart(cache: Any) -> None:
    """A layer with other heads for values than for keys."""
    cache.layers[1].values = cache.layers[1].values.repeat(1, 2, 1, 1)


def empty(cache: Any) -> None:
    """No layer at all."""
    cache.layers = []


@pytest.mark.parametrize("change", [not_plain, not_tensors, flat, apart, empty])
def test_a_cache_that_is_not_plain_is_not_lent(change: Any) -> None:
    """Each thing that a layer may be instead is a reason of its own."""
    model = loud_model("llama grouped")
    cache = cache_of(model)
    change(cache)
    assert not can_lend(model, cache, 64)


class Attention(torch.nn.Module):
    """A module that says whether its attention is causal."""

    def __init__(self, causal: bool = True) -> None:
        super().__init__()
        self.is_causal = causal


ONE = torch.ones(1)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a mask": ({"attention_mask": ONE}, "a mask or a soft-cap"),
    "a soft-cap": ({"softcap": 30.0}, "a mask or a soft-cap"),
    "another tensor": ({"position_bias": ONE}, "attention takes position_bias"),
    "told not to be causal": ({"is_causal": False}, "not causal"),
    "not causal itself": ({"module": Attention(causal=False)}, "not causal"),
    "other keys": ({"key": torch.ones(2, 2, 3, 8)}, "other keys than its cache returned"),
    "a short window": ({"sliding_window": PREFIX + 2}, "the window is shorter than the prompts"),
}


def attended(**changes: Any) -> torch.Tensor:
    """Three tokens of two rows behind a prefix, as a layer of a cache lends it."""
    draw = torch.Generator().manual_seed(0)
    key, value, keys, values = (
        torch.randn(*shape, 8, generator=draw)
        for shape in ((2, 2, 3), (2, 2, 3), (1, 2, PREFIX), (1, 2, PREFIX))
    )
    layer = type("Layer", (), {"keys": keys, "values": values, "update": None})()
    loan = lending._Loan(layer)
    loan.update(key, value)
    query = torch.randn(2, 4, 3, 8, generator=draw)
    given = {"module": Attention(), "query": query, "key": key, "value": value, **changes}
    return lending._attend([loan], **given)


@pytest.mark.parametrize(("changes", "why"), REFUSED.values(), ids=REFUSED)
def test_what_an_attention_may_not_ask_for(changes: dict[str, Any], why: str) -> None:
    """Each term that the joined attention would leave out is refused."""
    with pytest.raises(lending.CannotLendError, match=why):
        attended(**changes)


def test_what_an_attention_may_ask_for() -> None:
    """Tensors that no attention reads, and a window that holds all, change nothing."""
    plain = attended()
    assert plain.shape == (2, 3, 4, 8)
    assert torch.equal(attended(position_ids=ONE, cache_position=ONE), plain)
    assert torch.equal(attended(sliding_window=PREFIX + 3, is_causal=True), plain)
    assert torch.equal(attended(scaling=8**-0.5), plain)
    assert not torch.allclose(attended(scaling=1.0), plain)


def test_a_layer_that_does_not_ask_is_refused() -> None:
    """A layer that attends in a way of its own has not seen the prefix."""
    model = loud_model("llama grouped")
    cache, why = cache_of(model), "layer 0 attends in a way of its own"
    with pytest.raises(lending.CannotLendError, match=why), lending.lent(model, cache):
        pass

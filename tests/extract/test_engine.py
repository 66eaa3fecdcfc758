"""A batch is the rows run alone, a shared prefix changes nothing, and nothing large is made."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from loud import DEVICES, FAMILIES, Family, engine_of, loud_engine, loud_model, some_prompts
from torch.utils._python_dispatch import TorchDispatchMode

from compread.extract import Engine, SharedPrefix
from compread.model import find_anatomy

LENGTHS = (9, 4, 13, 1)


def shared_prompts(prefix: int, *own: int) -> list[list[int]]:
    """Prompts that share their first ``prefix`` tokens."""
    (head,) = some_prompts(prefix, seed=1)
    return [head + tail for tail in some_prompts(*own, seed=2)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_padded_batch_is_its_rows_alone(name: str, device: str) -> None:
    """Rows of different lengths in one batch get what each gets in a batch of one."""
    engine = loud_engine(name, torch.float64, device)
    prompts = some_prompts(*LENGTHS)
    together = engine.run(prompts)
    for n, prompt in enumerate(prompts):
        alone = engine.run([prompt])
        for field in ("parts", "full", "pre_cap", "scale", "label_mass"):
            batched, single = getattr(together, field)[n], getattr(alone, field)[0]
            assert torch.allclose(batched, single, rtol=0, atol=1e-6), field


@pytest.mark.parametrize("name", FAMILIES)
def test_a_token_after_the_answer_changes_nothing(name: str) -> None:
    """A row's parts do not depend on the longer rows beside it."""
    engine = loud_engine(name, torch.float64)
    (prompt,) = some_prompts(5)
    beside_short = engine.run([prompt, prompt[:2]]).parts[0]
    beside_long = engine.run([prompt, *some_prompts(20, seed=3)]).parts[0]
    assert torch.allclose(beside_short, beside_long, rtol=0, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-6), (torch.float32, 1e-4)], ids=str
)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_shared_prefix_changes_nothing(
    name: str, dtype: torch.dtype, bound: float, device: str
) -> None:
    """With the prefix run once, each row has the parts of the whole prompt."""
    engine = loud_engine(name, dtype, device)
    prompts = shared_prompts(11, *LENGTHS)
    whole = engine.run(prompts)
    prefix = engine.share(prompts[0][:11])
    shared = engine.run([prompt[11:] for prompt in prompts], prefix)
    off = (whole.parts - shared.parts).abs().amax((1, 2)) / whole.scale
    assert float(off.max()) < bound
    assert torch.allclose(whole.full, shared.full, atol=bound * float(whole.scale.max()))


def test_a_shared_prefix_is_exact_where_the_family_computes_in_float64() -> None:
    """Eager attention in float64 differs by rounding of the softmax at most."""
    engine = loud_engine("neox parallel", torch.float64)
    prompts = shared_prompts(11, *LENGTHS)
    prefix = engine.share(prompts[0][:11])
    shared = engine.run([prompt[11:] for prompt in prompts], prefix)
    assert torch.allclose(engine.run(prompts).parts, shared.parts, rtol=0, atol=1e-9)


def test_a_prefix_serves_any_number_of_batches() -> None:
    """A batch's own tokens never enter the prefix's cache."""
    engine = loud_engine("llama grouped", torch.float64)
    prompts = shared_prompts(11, *LENGTHS)
    prefix = engine.share(prompts[0][:11])
    first = engine.run([prompts[0][11:]], prefix)
    engine.run([prompt[11:] for prompt in prompts], prefix)
    again = engine.run([prompts[0][11:]], prefix)
    assert torch.equal(first.parts, again.parts)


def test_the_last_prefix_is_kept_until_it_is_let_go() -> None:
    """Asked for again it is not run again."""
    engine = loud_engine("llama grouped", torch.float64)
    first, second = some_prompts(5, 7)
    prefix = engine.share(first)
    assert engine.share(list(first)) is prefix and engine.share([]) is None
    assert engine.share(first) is prefix and engine.share(second) is not prefix
    last = weakref.ref(engine.share(first))
    engine.free_prefix()
    assert last() is None


def test_a_sliding_window_shorter_than_the_prefix() -> None:
    """Gemma-2's local layers drop old keys; the parts stay those of the whole prompt."""
    engine = engine_of(loud_model("gemma2", sliding_window=6))
    prompts = shared_prompts(17, *LENGTHS)
    shared = engine.run([p[17:] for p in prompts], engine.share(prompts[0][:17]))
    whole = engine.run(prompts)
    assert torch.allclose(whole.parts, shared.parts, rtol=0, atol=1e-6)
    unbounded = engine_of(loud_model("gemma2", sliding_window=64)).run(prompts)
    assert float((whole.parts - unbounded.parts).abs().max()) > 0.01


def test_nothing_to_share_is_no_prefix() -> None:
    """An empty prefix is None, and whole prompts are run."""
    assert loud_engine("gpt2", torch.float64).share([]) is None


# --- sizes: no head's vector in the residual stream, no logits at every position -----------------

PRIMES = Family(
    "LlamaConfig",
    {"vocab_size": 131, "num_hidden_layers": 2, "hidden_size": 55, "num_attention_heads": 5,
     "num_key_value_heads": 1, "head_dim": 14, "intermediate_size": 37,
     "max_position_embeddings": 64},
)  # fmt: skip
H, D, VOCABULARY = 5, 55, 131
B, T, PREFIX = 7, 17, 19


class Shapes(TorchDispatchMode):
    """Collects the shape of every tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and note what it made."""
        out = func(*args, **(kwargs or {}))
        self._note(out)
        return out

    def _note(self, out: Any) -> None:
        if isinstance(out, torch.Tensor):
            self.seen.add(tuple(out.shape))
        elif isinstance(out, list | tuple):
            for item in out:
                self._note(item)


def too_large(shapes: Iterable[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Shapes that hold a residual-wide vector for each head, or logits at each position."""
    return {s for s in shapes if {H, D} <= set(s) or {T, VOCABULARY} <= set(s)}


def test_no_head_vector_and_no_logits_of_all_positions_are_made() -> None:
    """From the fold to the parts no tensor [.., H, D] or [B, T, V] exists, prefix included."""
    model = loud_model(PRIMES, torch.float32)
    anatomy = find_anatomy(model)
    with Shapes() as shapes:
        engine = Engine(model, anatomy, (5, 9, 17))
        rows = some_prompts(*[T] * B, vocabulary=VOCABULARY)
        engine.run(rows)
        engine.run(rows, SharedPrefix(model, some_prompts(PREFIX, vocabulary=VOCABULARY)[0]))
    assert (B, T, D) in shapes.seen and (B, 1, VOCABULARY) in shapes.seen
    assert (PREFIX, VOCABULARY) not in {shape[-2:] for shape in shapes.seen}
    assert not too_large(shapes.seen)


def test_the_watch_sees_what_it_forbids() -> None:
    """A head's write in full and the model's plain forward are both noticed."""
    model = loud_model(PRIMES, torch.float32)
    weight = model.model.layers[0].self_attn.o_proj.weight  # [D, H·E]
    with Shapes() as shapes:
        torch.einsum("dhe,he->hd", weight.reshape(D, H, -1), torch.ones(H, 14))
        model(input_ids=torch.tensor(some_prompts(*[T] * B, vocabulary=VOCABULARY)))
    large = too_large(shapes.seen)
    assert (H, D) in large and (B, T, VOCABULARY) in large

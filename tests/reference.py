"""One component's contribution by intervention, sharing no code with the package.

The model runs once and every block's write is recorded. Then it runs again with each write put
back as it was recorded and each norm on the way to the logits frozen by hand, but for one
component: a head is taken out of its output projection's input, a whole block's write is replaced
by zero. The logits are linear in the writes then, so they fall by exactly the contribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Places:
    """Which modules to intervene on; where they are is all that is taken from the package."""

    writes: tuple[nn.Module, ...]
    norms: tuple[nn.Module, ...]
    unembedding: nn.Module
    scale: float


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def _like(output: Any, value: Tensor) -> Any:
    return (value, *output[1:]) if isinstance(output, tuple) else value


@contextmanager
def _hooks(hooks: Iterable[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    handles = [m.register_forward_hook(hook, with_kwargs=True) for m, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def frozen(norm: nn.Module, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """The norm with the scale it had for x -> y: a product, around the mean for a LayerNorm."""
    if isinstance(norm, nn.LayerNorm) or "LayerNorm" in type(norm).__name__:
        shift = getattr(norm, "bias", None)
        shift = torch.zeros_like(y) if shift is None else shift
        with torch.no_grad():
            probe = nn.Module.__call__(norm, x + 3)
        if torch.allclose(probe, y, atol=1e-6 * float(y.abs().max())):
            ratio = (y - shift) / (x - x.mean(-1, keepdim=True))
            return lambda other: ratio * (other - other.mean(-1, keepdim=True)) + shift
    ratio = y / x
    return lambda other: other * ratio


class Intervention:
    """A model on one prompt, ready to say what is lost without a component."""

    def __init__(self, model: Any, places: Places, prompt: list[int]) -> None:
        self.model, self.places = model, places
        self.tokens = torch.tensor([prompt])
        self.writes: dict[nn.Module, Tensor] = {}
        norms: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}  # by call: some are used twice

        def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self.writes[module] = _first(output).detach().clone()

        def keep_norm(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            x = args[0] if args else kwargs["hidden_states"]
            norms.setdefault(module, []).append((x.detach().clone(), output.detach().clone()))

        recorders = [(m, keep) for m in places.writes] + [(m, keep_norm) for m in places.norms]
        with _hooks(recorders):
            self.whole = self._logits()
        self.frozen = {n: [frozen(n, x, y) for x, y in calls] for n, calls in norms.items()}

    def _logits(self) -> Tensor:
        raw: list[Tensor] = []

        def keep(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> None:
            raw.append(output[0, -1].detach() * self.places.scale)

        with _hooks([(self.places.unembedding, keep)]), torch.no_grad():
            self.model(input_ids=self.tokens, use_cache=False)
        return raw[0]

    def lost_without(self, targets: set[nn.Module], columns: slice | None = None) -> Tensor:
        """[V] logits lost without some blocks' writes, or without the columns of a head's input."""

        def put_back(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            # Copied: some families add to a block's output in place.
            value = self.writes[module].clone()
            if module in targets and columns is None:
                value = torch.zeros_like(value)
            elif module in targets:
                z = args[0].detach().clone()
                without = z.clone()
                without[..., columns] = 0
                forward = type(module).forward
                value = value - _first(forward(module, z)) + _first(forward(module, without))
            return _like(output, value)

        calls = {norm: iter(maps) for norm, maps in self.frozen.items()}

        def freeze(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
            return next(calls[module])(args[0] if args else kwargs["hidden_states"])

        changed = [(m, put_back) for m in self.places.writes]
        changed += [(m, freeze) for m in self.places.norms]
        with _hooks(changed):
            return self.whole - self._logits()

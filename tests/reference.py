"""One component's contribution by intervention, sharing no code with the package.

The model runs once and every block's write is recorded. Then it runs again with each write put
back as it was recorded and each norm on the way to the logits frozen by hand, but for one
component: a head is taken out of its output projection's input, a whole block's write is replaced
by zero. The logits are linear in the writes then, so they fall by exactly the contribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    mixing: tuple[nn.Module, ...] = ()
    """Modules that compute how several residual streams are mixed; put back as they were."""
    grouped: Mapping[nn.Module, nn.Module] = field(default_factory=dict)
    """The module before a projection that reads the heads [B, T, G, width], by the projection."""
    join: Any = None
    """What joins the streams: a ``WeightedJoin`` or a ``ProjectedJoin``."""


class WeightedJoin:
    """A module whose output is a weighted sum of its input's streams [B, T, M, D].

    The weights are those that solve the sum for what it returned.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module, self.weights = module, torch.empty(0)

    def record(self, streams: Tensor, output: Tensor) -> None:
        """Solve for the weights of each token."""
        rows = [
            torch.linalg.lstsq(x.T, y[:, None]).solution[:, 0]
            for x, y in zip(streams[0], output[0], strict=True)
        ]
        self.weights = torch.stack(rows)[None, :, :, None]

    def __call__(self, streams: Tensor) -> Tensor:
        """The same sum of other streams."""
        return (self.weights * streams).sum(2)


class ProjectedJoin:
    """The mean of a layer's streams [M, B, T, D], all but the first projected and as long as it.

    ``module`` is the last layer; what it returned replaces the input of the final norm.
    """

    def __init__(self, module: nn.Module, projections: Iterable[nn.Module]) -> None:
        self.module, self.projections = module, list(projections)
        self.ratios: list[Tensor] = []
        self.streams = torch.empty(0)

    def record(self, streams: Tensor) -> None:
        """Measure the lengths."""

        def length(x: Tensor) -> Tensor:
            return x.square().mean(-1, keepdim=True).sqrt()

        first, *others = streams
        pairs = zip(self.projections, others, strict=True)
        self.ratios = [length(first) / length(type(p).forward(p, x)) for p, x in pairs]

    def __call__(self) -> Tensor:
        """The mean for the streams of this forward, with the lengths of the first one."""
        first, *others = self.streams
        brought = [
            ratio * type(p).forward(p, x)
            for ratio, p, x in zip(self.ratios, self.projections, others, strict=True)
        ]
        return torch.stack([first, *brought]).mean(0)


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
        self.mixing: dict[nn.Module, Any] = {}
        self.heads: dict[nn.Module, Tensor] = {}
        norms: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}  # by call: some are used twice

        def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self.writes[module] = _first(output).detach().clone()

        def keep_norm(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            x = args[0] if args else kwargs["hidden_states"]
            norms.setdefault(module, []).append((x.detach().clone(), output.detach().clone()))

        def keep_heads(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self.heads[module] = args[0].detach().clone()

        def keep_mixing(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self.mixing[module] = output

        def keep_join(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if isinstance(places.join, WeightedJoin):
                places.join.record(args[0], output)
            else:
                places.join.record(_first(output).clone())

        recorders = [(m, keep) for m in places.writes] + [(m, keep_norm) for m in places.norms]
        recorders += [(m, keep_heads) for m in places.grouped.values()]
        recorders += [(m, keep_mixing) for m in places.mixing]
        recorders += [(places.join.module, keep_join)] if places.join else []
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
                value = value - self._change(module, z, columns)
            return _like(output, value)

        calls = {norm: iter(maps) for norm, maps in self.frozen.items()}

        join = self.places.join

        def freeze(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
            x = args[0] if args else kwargs["hidden_states"]
            if isinstance(join, ProjectedJoin) and module is self.places.norms[-1]:
                x = join()
            return next(calls[module])(x)

        def put_mixing_back(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            return self.mixing[module]

        def rejoin(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            if isinstance(join, WeightedJoin):
                return join(args[0])
            join.streams = _first(output).clone()
            return output

        changed = [(m, put_back) for m in self.places.writes]
        changed += [(m, put_mixing_back) for m in self.places.mixing]
        changed += [(join.module, rejoin)] if join else []
        changed += [(m, freeze) for m in self.places.norms]
        with _hooks(changed):
            return self.whole - self._logits()

    def _change(self, module: nn.Module, z: Tensor, columns: slice) -> Tensor:
        """What a projection loses without some columns of the heads side by side."""
        first = self.places.grouped.get(module)
        z = z if first is None else self.heads[first]
        without = z.clone() if first is None else z.flatten(2).clone()
        without[..., columns] = 0
        forward = type(module).forward
        if first is not None:
            z, without = (
                type(first).forward(first, x).flatten(2) for x in (z, without.reshape(z.shape))
            )
        return _first(forward(module, z)) - _first(forward(module, without))

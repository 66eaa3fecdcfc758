"""One short probe forward that shows what each module reads and returns.

It also shows how many heads an attention really has, seen in its own arithmetic. A config may say
one number while a layer has another (a number for each layer, heads in pairs). Whatever a family
calls its modules, attention weighs values with a softmax over [B, H, T, S], or hands [B, H, T, E]
to a fused kernel: the heads are counted there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from compread.errors import ModelError, option
from compread.model.linear import accumulation_dtype, device_of, dtype_of
from compread.text import one_line

CausalLM: TypeAlias = Any
"""A causal language model of transformers, whose classes are untyped."""

# Few enough to cost nothing, enough for a causal convolution or a token shift to be itself.
_PROBE_TOKENS = 6
_FUSED = functional.scaled_dot_product_attention
_SOFTMAX = (functional.softmax, torch.softmax, Tensor.softmax)


@dataclass
class Trace:
    """What modules read and wrote at the probe's last position, each [D] or as wide as it is."""

    dtype: torch.dtype
    outside: list[nn.Module]
    """Modules with or without weights that belong to no layer, in the model's order."""
    inputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)
    repeated: set[nn.Module] = field(default_factory=set)
    """Modules that were run more than once."""
    heads: dict[nn.Module, set[int]] = field(default_factory=dict)
    """How many heads the attentions had that were computed inside a module."""
    group_width: dict[nn.Module, int] = field(default_factory=dict)
    """The last axis of what a module reads in groups, [B, T, G, width]."""
    logits: Tensor = field(default_factory=lambda: torch.empty(0))

    @staticmethod
    def factor(a: Tensor | None, b: Tensor | None) -> float | None:
        """The number that brings one record nearest to another; None where none can."""
        if a is None or b is None or a.shape != b.shape or not bool(a.any()):
            return None
        return float((a @ b) / (a @ a))

    @staticmethod
    def same(a: Tensor | None, b: Tensor | None) -> bool:
        """Whether two records are one tensor: equal to the last bit."""
        return a is not None and b is not None and a.shape == b.shape and bool(torch.equal(a, b))


@contextmanager
def hooked(handles: list[RemovableHandle]) -> Iterator[None]:
    """Keep hooks for the length of a block and remove them however it ends."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def first_tensor(values: Any) -> Tensor | None:
    """The tensor a module passes on: itself, or the first of a tuple."""
    if isinstance(values, tuple | list) and values:
        values = values[0]
    return values if isinstance(values, Tensor) else None


def read_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The hidden state that a module is called with, positional or by keyword."""
    return first_tensor(args) if args else first_tensor(kwargs.get("hidden_states"))


class AttentionWatch(TorchFunctionMode):
    """Calls ``seen`` with what every attention weighs by, [B, H, T, S] or [B, H, T, E].

    What ``seen`` returns takes its place, unless it is None. Only for one prompt of ``tokens``
    tokens: some families keep B and H in one axis.
    """

    def __init__(self, tokens: int, seen: Callable[[Tensor], Tensor | None]) -> None:
        """Watch the attentions of one forward."""
        super().__init__()
        self._tokens, self._seen = tokens, seen

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Let the call go on, and look at what attention returns."""
        output = function(*args, **(kwargs or {}))
        if function is not _FUSED and function not in _SOFTMAX:
            return output
        if output.ndim < 3 or output.shape[-2] != self._tokens:
            return output
        if function is not _FUSED and output.shape[-1] < self._tokens:
            return output
        by_head = output.reshape(1, -1, *output.shape[-2:])
        changed = self._seen(by_head)
        return output if changed is None else changed.reshape(output.shape)


def trace_forward(model: CausalLM, blocks: Sequence[nn.Module], head: nn.Module) -> Trace:
    """Run a few tokens and record every layer module's and outer module's input and output.

    Raises:
        ModelError: the model cannot run them.
    """
    dtype = dtype_of(model)
    inside = {module for block in blocks for module in block.modules()}
    trace = Trace(dtype, [m for m in model.modules() if m is not model and m not in inside])
    wide = accumulation_dtype(dtype)

    def keep(record: dict[nn.Module, Tensor], module: nn.Module, value: Tensor | None) -> None:
        # Copied at once: some families add to these tensors in place later in the forward.
        if value is not None and value.is_floating_point() and value.ndim >= 2 and value.numel():
            if value.ndim > 3:
                value = value.flatten(2)
            record[module] = (
                value.detach().reshape(-1, value.shape[-1])[-1].to("cpu", wide, copy=True)
            )

    running: list[nn.Module] = []

    def attended(by_head: Tensor) -> None:
        for module in running:
            trace.heads.setdefault(module, set()).add(by_head.shape[1])

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        running.append(module)
        value = read_tensor(args, kwargs)
        if value is not None and value.ndim == 4:
            trace.group_width[module] = value.shape[-1]
        keep(trace.inputs, module, value)

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        running.remove(module)
        if module in trace.outputs:
            trace.repeated.add(module)
        keep(trace.outputs, module, first_tensor(output))

    handles = []
    for module in (*inside, *trace.outside):
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after, with_kwargs=True))
    try:
        with hooked(handles), torch.inference_mode(), AttentionWatch(_PROBE_TOKENS, attended):
            output = model(input_ids=probe_tokens(model), use_cache=False)
    except Exception as error:  # a family's own code may fail in any way
        reason = one_line(error)
        raise ModelError(
            f"model type `{model.config.model_type}` ({type(model).__name__}) cannot run "
            f"{_PROBE_TOKENS} tokens: {type(error).__name__}: {reason}; try another "
            f"{option('dtype')} or {option('device')}, or another release of transformers"
        ) from error
    trace.logits = output.logits[0, -1].to("cpu", wide)
    return trace


def probe_tokens(model: CausalLM) -> Tensor:
    """A few tokens [1, T] on the model's device."""
    vocabulary = model.config.get_text_config().vocab_size
    tokens = torch.arange(1, _PROBE_TOKENS + 1).remainder(vocabulary)[None]
    return tokens.to(device_of(model))

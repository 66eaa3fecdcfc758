"""What one layer does to the residual stream, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from os.path import commonprefix
from typing import Any

from torch import Tensor, nn

from compread.components import Kind
from compread.errors import ModelError
from compread.model import facts
from compread.model.anatomy import Step, Write
from compread.model.streams import STREAM_VERBS, altup_steps
from compread.model.trace import CausalLM, Trace


def config_value(config: Any, names: Iterable[str], default: Any = None) -> Any:
    """The first of ``names`` that the config has a value for."""
    for name in names:
        value = getattr(config, name, None)
        if value is not None:
            return value
    return default


def kind_of(model: CausalLM) -> str:
    """How a refusal names the model."""
    return f"model type `{model.config.model_type}` ({type(model).__name__})"


def how_it_was_read(model: CausalLM, module: nn.Module) -> str:
    """For a refusal: the names in a layer or block, and what this package is told of its family."""
    own = [name for name, _ in module.named_parameters(recurse=False)]
    have = ", ".join([*(name for name, _ in module.named_children()), *own])
    kind = model.config.get_text_config().model_type
    steps = f"STEPS of {facts.FILE}"
    if kind in facts.STEPS:
        return f"it has: {have}; read by its line in {steps}"
    return f"it has: {have}; read by the usual names, as {steps} has no line for `{kind}`"


def find_steps(
    model: CausalLM, index: int, block: nn.Module, config: Any, trace: Trace
) -> tuple[Step, ...]:
    """The steps of a layer, those of its family (``facts``) or those with the usual names.

    Raises:
        ModelError: the layer has none, or a head or its projection cannot be found.
    """
    steps: list[Step] = []
    named = facts.STEPS.get(config.model_type)
    change: dict[str, Any] = {}
    changers: set[Any] = set()
    for verb, names in named or facts.BLOCK_NAMES:
        if verb in STREAM_VERBS:
            part = _part(block, names)
            before, change = STREAM_VERBS[verb](part)
            steps += before
            changers.add(part)
        elif (
            verb in ("head", "mixer", "mlp")
            and (module := _module(block, names, trace)) is not None
        ):
            kind = verb if named and verb != "head" else _kind_by_class(model, module, verb)
            write = _write(model, index, kind, module, config, trace, block)
            steps.append(replace(write, **change))
    if not any(isinstance(step, Write) for step in steps):
        raise ModelError(
            f"{kind_of(model)}: layer {index} has no block under a known name "
            f"({how_it_was_read(model, block)}); the model is refused"
        )
    _refuse_repeated(model, index, steps, trace)
    others = changers | {step.module for step in steps if isinstance(step, Write)}
    found = [
        replace(step, norm=_post_norm(block, step, others, trace))
        if isinstance(step, Write)
        else step
        for step in steps
    ]
    return altup_steps(block, found) if config.model_type in facts.ALTUP else tuple(found)


def _refuse_repeated(model: CausalLM, index: int, steps: list[Step], trace: Trace) -> None:
    for step in steps:
        module = step.module if isinstance(step, Write) else getattr(step, "norm", None)
        if module in trace.repeated:
            raise ModelError(
                f"{kind_of(model)}: layer {index}'s {type(module).__name__} is run more than once "
                "in one forward, and its writes cannot be told apart; the model is refused"
            )


def _part(block: nn.Module, names: Iterable[str]) -> Any:
    """The first of the dotted names that this layer has something under."""
    for name in names:
        part: Any = block
        for step in name.split("."):
            part = getattr(part, step, None)
        if part is not None:
            return part
    return None


def _module(block: nn.Module, names: Iterable[str], trace: Trace) -> nn.Module | None:
    """The first of the dotted names that is a module of this layer and was run."""
    for name in names:
        module = _part(block, (name,))
        if isinstance(module, nn.Module) and module in trace.outputs:
            return module
    return None


def _kind_by_class(model: CausalLM, module: nn.Module, kind: Kind) -> Kind:
    """The kind that the class's name tells, where one name is used for several kinds of block."""
    if kind == "mlp":
        return kind
    name = type(module).__name__
    # The family's own name must not tell: RecurrentGemma's attention is attention.
    family = commonprefix([type(model).__name__, name])  # noqa: RUF071  # no paths
    name = name.removeprefix(family).lower()
    for other, words in facts.CLASS_WORDS.items():
        if any(word in name for word in words):
            return other
    return kind


def _write(
    model: CausalLM,
    index: int,
    kind: Kind,
    module: nn.Module,
    config: Any,
    trace: Trace,
    block: Any,
) -> Write:
    names = facts.WRITE_MULTIPLIER[kind]
    scale = float(config_value(block, names, config_value(config, names, 1.0)))
    if kind != "head":
        return Write(kind, module, None, scale)
    projection = _output_projection(model, index, module, trace)
    reader = _part(module, facts.GROUPED_BEFORE_PROJECTION)
    heads = _seen_heads(block, module, config, trace) or _stated_heads(config, index)
    width = _shared_width(model, index, reader or projection, heads, trace)
    owner = owner_of(block, module, trace)
    chain = None if reader is None else in_a_row(reader, projection, trace)
    return Write(kind, projection, None, scale, heads, width, owner, reader, chain)


def owner_of(block: nn.Module, module: nn.Module, trace: Trace) -> nn.Module | None:
    """The innermost module of a layer that computes the attention behind ``module``."""
    name = next(name for name, other in block.named_modules() if other is module)
    while True:
        owner = block.get_submodule(name)
        if owner in trace.heads:
            return owner
        if not name:
            return None
        name = name.rpartition(".")[0]


def _seen_heads(block: nn.Module, module: nn.Module, config: Any, trace: Trace) -> int | None:
    """How many heads the attention was seen to have; None where its kernel shows none."""
    owner = owner_of(block, module, trace)
    counts = trace.heads.get(owner, set()) if owner is not None else set()
    if len(counts) != 1:
        return None
    return next(iter(counts)) // facts.ATTENTIONS_OF_A_HEAD.get(config.model_type, 1)


def _stated_heads(config: Any, index: int) -> int:
    """How many heads the config says that a layer has."""
    heads = config_value(config, (*facts.HEAD_COUNT_BY_LAYER, *facts.HEAD_COUNT), 0)
    heads = heads[index] if isinstance(heads, list | tuple) else heads
    return int(heads) // facts.ATTENTIONS_OF_A_HEAD.get(config.model_type, 1)


def _shared_width(
    model: CausalLM, index: int, projection: nn.Module, heads: int, trace: Trace
) -> int:
    """H·E, the width of what the output projection reads."""
    width = trace.inputs[projection].shape[-1]
    if not heads or width % heads:
        raise ModelError(
            f"{kind_of(model)}: layer {index}'s output projection reads {width} values, which "
            f"{heads} heads cannot share equally (as many are seen, or stated by an entry in "
            f"HEAD_COUNT of {facts.FILE}); the model is refused"
        )
    return int(width)


def _output_projection(model: CausalLM, index: int, mixer: nn.Module, trace: Trace) -> nn.Module:
    """The module with weights, inside the mixer, whose output is the mixer's output."""
    inside = [module for module in mixer.modules() if module is not mixer]
    if not inside:
        return mixer
    for module in reversed(inside):
        if _has_weights(module) and trace.same(trace.outputs.get(module), trace.outputs[mixer]):
            return module
    raise ModelError(
        f"{kind_of(model)}: no output projection found in layer {index}'s "
        f"{type(mixer).__name__} ({how_it_was_read(model, mixer)}); the model is refused"
    )


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _post_norm(
    block: nn.Module, write: Write, others: set[nn.Module], trace: Trace
) -> nn.Module | None:
    """The norm, if any, between a block's output and the residual stream."""
    for child in block.children():
        if (
            child not in others
            and _has_weights(child)
            and trace.same(trace.inputs.get(child), trace.outputs[write.module])
        ):
            return child
    return None


class GroupedProjection(nn.Module):
    """Both steps as one affine map of the heads side by side, [n, H·E] -> [n, D]."""

    def __init__(self, first: nn.Module, last: nn.Module, group_width: int) -> None:
        """``first`` reads [n, G, ``group_width``]; what it makes of the groups goes to ``last``."""
        super().__init__()
        self.first, self.last, self._width = first, last, group_width

    def forward(self, heads: Tensor) -> Tensor:
        """Project the heads."""
        out: Tensor = self.last(self.first(heads.reshape(len(heads), -1, self._width)).flatten(1))
        return out


def in_a_row(first: nn.Module, last: nn.Module, trace: Trace) -> nn.Module:
    """Both modules as one, which the model itself does not have."""
    return GroupedProjection(first, last, trace.group_width[first])

"""Where a decoder keeps its heads, MLPs, norms and unembedding.

The anatomy is found on the model itself: one short probe forward shows what every module reads
and returns, and the parts are told by what they do. A layer's output projection is the module
whose output is its mixer's output; a post-norm is the module that reads that output; the final
norm is the module whose output the unembedding reads. Names are used only to tell a layer's mixer
from its MLP (``facts``). At the end the anatomy must explain what each layer wrote to the
residual stream and what logits came out, or the model is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from compread.components import Kind, LayerShape
from compread.errors import ModelError
from compread.model import facts
from compread.model.trace import CausalLM, Trace, trace_forward

# How far a layer's writes may be from the change of the residual stream, as a share of its size.
_MISFIT = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclass(frozen=True)
class Write:
    """One block's write to the residual stream: ``scale`` · ``norm``(output of ``module``)."""

    kind: Kind
    """``head`` (attention, split by head), ``mixer`` (a token mixer that is not) or ``mlp``."""
    module: nn.Module
    """The module whose output is written; for heads, the output projection."""
    norm: nn.Module | None
    scale: float
    heads: int = 0
    """H, where the kind is ``head``."""
    width: int = 0
    """H·E, what the output projection reads."""

    @property
    def source(self) -> nn.Module:
        """The module whose output, up to the scale, is added to the residual stream."""
        return self.norm or self.module


@dataclass(frozen=True)
class Layer:
    """One layer: its block and what the block writes, in the order of the component axis."""

    block: nn.Module
    writes: tuple[Write, ...]

    @property
    def shape(self) -> LayerShape:
        """What this layer puts on the component axis."""
        kinds = [write.kind for write in self.writes]
        heads = sum(write.heads for write in self.writes)
        return LayerShape(heads, mixer="mixer" in kinds, mlp="mlp" in kinds)


@dataclass(frozen=True)
class Anatomy:
    """Everything that ``decompose`` knows about a model."""

    layers: tuple[Layer, ...]
    final_norm: nn.Module | None
    unembedding: nn.Module
    logit_scale: float
    soft_cap: float | None
    width: int
    """D, the width of the residual stream."""

    def cap(self, logits: Tensor) -> Tensor:
        """The model's own last step: scaled logits -> returned logits."""
        if self.soft_cap is None:
            return logits
        return torch.tanh(logits / self.soft_cap) * self.soft_cap


def config_value(config: Any, names: Iterable[str], default: Any = None) -> Any:
    """The first of ``names`` that the config has a value for."""
    for name in names:
        value = getattr(config, name, None)
        if value is not None:
            return value
    return default


def find_anatomy(model: CausalLM) -> Anatomy:
    """Find a causal decoder's parts.

    Raises:
        ModelError: a part cannot be found, or the parts found do not explain what the model does.
    """
    config = model.config.get_text_config()
    unembedding = model.get_output_embeddings()
    if unembedding is None:
        raise ModelError(
            f"{_kind(model)} has no unembedding (output embeddings); expected a "
            "causal language model: load one that predicts the next token"
        )
    blocks = _find_blocks(model, config)
    trace = trace_forward(model, blocks, unembedding)
    layers = tuple(_find_layer(model, i, b, config, trace) for i, b in enumerate(blocks))
    anatomy = Anatomy(
        layers=layers,
        final_norm=_find_final_norm(model, blocks[-1], unembedding, trace),
        unembedding=unembedding,
        logit_scale=config_value(config, facts.LOGIT_MULTIPLIER, 1.0)
        / config_value(config, facts.LOGIT_DIVISOR, 1.0),
        soft_cap=config_value(config, facts.SOFT_CAP),
        width=trace.read[unembedding].shape[-1],
    )
    _prove(model, anatomy, trace)
    return anatomy


def _kind(model: CausalLM) -> str:
    return f"model type `{model.config.model_type}` ({type(model).__name__})"


def _find_blocks(model: CausalLM, config: Any) -> list[nn.Module]:
    count = config_value(config, facts.LAYER_COUNT)
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not lists:
        raise ModelError(
            f"{_kind(model)}: no list of {count} layers found in the model; expected "
            "one as its config says: `compread check` tells which families work"
        )
    largest = max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()))
    return list(largest)


def _find_layer(model: CausalLM, index: int, block: nn.Module, config: Any, trace: Trace) -> Layer:
    scale = float(config_value(config, facts.RESIDUAL_MULTIPLIER, 1.0))
    named = facts.WRITES.get(model.config.model_type, {})
    found: list[Write] = []
    for kind, names in facts.BLOCK_NAMES.items():
        module = _module(block, (named[kind],) if kind in named else names, trace)
        if module is None:
            continue
        if kind == "head" and kind not in named:
            module = _output_projection(model, index, module, trace)
        split = _split(model, index, module, config, trace) if kind == "head" else {}
        found.append(Write(kind, module, None, scale, **split))
    if not found:
        have = ", ".join(name for name, _ in block.named_children())
        raise ModelError(
            f"{_kind(model)}: layer {index} has no block under a known name, it has: {have}; the "
            "model is refused"
        )
    modules = {write.module for write in found}
    return Layer(block, tuple(replace(w, norm=_post_norm(block, w, modules, trace)) for w in found))


def _module(block: nn.Module, names: Iterable[str], trace: Trace) -> nn.Module | None:
    """The first of the dotted names that is a module of this layer and was run."""
    for name in names:
        module: Any = block
        for step in name.split("."):
            module = getattr(module, step, None)
        if isinstance(module, nn.Module) and module in trace.wrote:
            return module
    return None


def _split(
    model: CausalLM, index: int, projection: nn.Module, config: Any, trace: Trace
) -> dict[str, int]:
    """How many heads share the output projection's input, and how wide that is."""
    heads = config_value(config, facts.HEAD_COUNT)
    if isinstance(heads, list | tuple):
        heads = heads[index]
    width = trace.read[projection].shape[-1]
    if not heads or width % heads:
        raise ModelError(
            f"{_kind(model)}: layer {index}'s output projection reads {width} values, which "
            f"{heads} heads cannot share equally; the model is refused"
        )
    return {"heads": int(heads), "width": width}


def _output_projection(model: CausalLM, index: int, mixer: nn.Module, trace: Trace) -> nn.Module:
    """The module with weights, inside the mixer, whose output is the mixer's output."""
    for module in reversed(list(mixer.modules())):
        if (
            module is not mixer
            and _has_weights(module)
            and trace.same(trace.wrote.get(module), trace.wrote[mixer])
        ):
            return module
    raise ModelError(
        f"{_kind(model)}: no output projection found in layer {index}'s "
        f"{type(mixer).__name__}; the model is refused"
    )


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _post_norm(
    block: nn.Module, write: Write, blocks: set[nn.Module], trace: Trace
) -> nn.Module | None:
    """The norm, if any, between a block's output and the residual stream."""
    for child in block.children():
        if (
            child not in blocks
            and _has_weights(child)
            and trace.same(trace.read.get(child), trace.wrote[write.module])
        ):
            return child
    return None


def _find_final_norm(
    model: CausalLM, last: nn.Module, unembedding: nn.Module, trace: Trace
) -> nn.Module | None:
    for module in trace.outside:
        if trace.same(trace.wrote.get(module), trace.read[unembedding]) and trace.same(
            trace.read.get(module), trace.wrote[last]
        ):
            return module
    if trace.same(trace.wrote[last], trace.read[unembedding]):
        return None
    raise ModelError(
        f"{_kind(model)}: no single norm found between the last layer and the "
        "unembedding; the model is refused"
    )


def _prove(model: CausalLM, anatomy: Anatomy, trace: Trace) -> None:
    """Check that the writes found explain each layer's change and the logits returned."""
    bound = _MISFIT[trace.dtype]
    for index, layer in enumerate(anatomy.layers):
        change = trace.wrote[layer.block] - trace.read[layer.block]
        writes = sum(write.scale * trace.wrote[write.source] for write in layer.writes)
        size = trace.wrote[layer.block].abs().max()
        if (misfit := float((change - writes).abs().max() / size)) > bound:
            raise ModelError(
                f"{_kind(model)}: layer {index}'s blocks do not explain what it writes "
                f"to the residual stream (off by {misfit:.1e} of its size, at most {bound:.0e} "
                "expected); the model is refused rather than attributed wrongly"
            )
    logits = anatomy.cap(trace.wrote[anatomy.unembedding] * anatomy.logit_scale)
    misfit = float((logits - trace.logits).abs().max() / trace.logits.abs().max())
    if misfit > bound:
        raise ModelError(
            f"{_kind(model)}: the unembedding's output does not explain the returned logits (off "
            f"by {misfit:.1e} of their size); the model is refused rather than attributed wrongly"
        )

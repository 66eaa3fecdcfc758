"""Finding a decoder's anatomy on the model itself.

One short probe forward shows what every module reads and returns, and the parts are told by what
they do. A layer's output projection is the module whose output is its mixer's output; a post-norm
is the module that reads that output; the final norm is the module whose output the unembedding
reads. Names are used only to tell a layer's mixer from its MLP (``facts``). At the end the anatomy
must explain what each layer did to the residual stream and what logits came out, or the model is
refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from compread.errors import ModelError
from compread.model import facts
from compread.model.anatomy import Anatomy, Layer, Mix, StreamJoin, StreamTransform, Write, like
from compread.model.blocks import config_value, find_steps, how_it_was_read, kind_of
from compread.model.finite import why_not_finite
from compread.model.streams import after_layer, altup_join, hyper_join
from compread.model.taps import Taps
from compread.model.trace import CausalLM, Trace, probe_tokens, trace_forward

# How far a layer's writes may be from the change of the residual stream, as a share of its size.
_MISFIT = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def find_anatomy(model: CausalLM) -> Anatomy:
    """Find a causal decoder's parts.

    Raises:
        ModelError: a part cannot be found, or the parts found do not explain what the model does.
    """
    config = model.config.get_text_config()
    if reason := facts.REFUSED.get(config.model_type):
        raise ModelError(f"{kind_of(model)}: {reason}; the model is refused")
    unembedding = model.get_output_embeddings()
    if unembedding is None:
        raise ModelError(
            f"{kind_of(model)} has no unembedding (output embeddings); expected a "
            "causal language model: load one that predicts the next token"
        )
    blocks = _find_blocks(model, config)
    trace = trace_forward(model, blocks, unembedding)
    _check_finite(model, blocks, trace)
    join = _find_join(model, config)
    anatomy = Anatomy(
        layers=tuple(
            _find_layer(model, i, blocks, config, trace, join) for i in range(len(blocks))
        ),
        final_norm=_find_final_norm(model, None if join else blocks[-1], unembedding, trace),
        unembedding=unembedding,
        logit_scale=_logit_scale(config),
        soft_cap=config_value(config, facts.SOFT_CAP),
        width=trace.inputs[unembedding].shape[-1],
        join=join,
    )
    if join is not None:
        _prove_streams(model, anatomy, trace.dtype)
    logits = anatomy.cap(trace.outputs[unembedding] * anatomy.logit_scale)
    # A NaN must fail too, so the comparison is for what is good.
    if not (misfit := _misfit(logits, trace.logits)) <= _MISFIT[trace.dtype]:
        raise ModelError(
            f"{kind_of(model)}: the unembedding's output does not explain the returned logits (off "
            f"by {misfit:.1e} of their size, by the LOGIT_MULTIPLIER, LOGIT_DIVISOR and SOFT_CAP "
            f"of {facts.FILE}); the model is refused rather than attributed wrongly"
        )
    return anatomy


def _check_finite(model: CausalLM, blocks: list[nn.Module], trace: Trace) -> None:
    """Refuse numbers that are no numbers: no part could be told by them."""
    seen = [trace.outputs[block] for block in blocks if block in trace.outputs]
    # A logit may be -inf where the model rules a token out.
    logits = trace.logits.nan_to_num(nan=float("nan"), posinf=float("nan"), neginf=0.0)
    if not all(bool(torch.isfinite(one).all()) for one in (*seen, logits)):
        why = why_not_finite(model, probe_tokens(model)[0].tolist())
        raise ModelError(f"{kind_of(model)}: {why}")


def _logit_scale(config: Any) -> float:
    """The constant between the unembedding's output and the logits."""
    if config.model_type in facts.SCALED_BEFORE_UNEMBEDDING:
        return 1.0
    times = config_value(config, facts.LOGIT_MULTIPLIER, 1.0)
    divisor = config_value(config, facts.LOGIT_DIVISOR, 1.0)
    return float(
        times * divisor if config.model_type in facts.DIVISOR_MULTIPLIES else times / divisor
    )


def _find_blocks(model: CausalLM, config: Any) -> list[nn.Module]:
    counts = [getattr(config, name, None) for name in facts.LAYER_COUNT]
    count = next((c for c in counts if c), None)
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) in counts]
    if not lists:
        raise ModelError(
            f"{kind_of(model)}: no list of {count} layers found in the model; expected "
            "one as its config says: `compread check` tells which families work"
        )
    largest = max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()))
    return list(largest)


def _find_layer(
    model: CausalLM,
    index: int,
    blocks: list[nn.Module],
    config: Any,
    trace: Trace,
    join: StreamJoin | None,
) -> Layer:
    block = blocks[index]
    if block not in trace.outputs or block not in trace.inputs:
        raise ModelError(
            f"{kind_of(model)}: layer {index} was not run on a hidden state; the model is refused"
        )
    layer = Layer(block, find_steps(model, index, block, config, trace))
    if join is not None:
        _check_streams(model, index, layer)
        return layer
    _prove_layer(model, index, layer, trace)
    if index + 1 == len(blocks):
        return layer
    return replace(layer, steps=layer.steps + _between(model, index, blocks, trace))


def _check_streams(model: CausalLM, index: int, layer: Layer) -> None:
    """Refuse what no rule is known for where a layer has several residual streams."""
    if layer.transforms:
        raise ModelError(
            f"{kind_of(model)}: layer {index} changes its residual streams by more than mixes and "
            "writes; expected those two alone where there are several streams, so the model is "
            "refused"
        )
    if any(write.into is None for write in layer.writes):
        raise ModelError(
            f"{kind_of(model)}: in layer {index} it is not known which of the residual streams a "
            "block writes to; expected a weight for each, so the model is refused"
        )


def _between(
    model: CausalLM, index: int, blocks: list[nn.Module], trace: Trace
) -> tuple[StreamTransform, ...]:
    """What is done to the stream between a layer and the next: nothing, or a constant factor."""
    wrote, read = trace.outputs[blocks[index]], trace.inputs.get(blocks[index + 1])
    if trace.same(wrote, read):
        return ()
    factor = trace.factor(wrote, read)
    # RWKV halves the stream every so many layers.
    if factor is None or _misfit(wrote * (factor := round(factor, 4)), read) > 1e-12:
        raise ModelError(
            f"{kind_of(model)}: what layer {index + 1} reads is not what layer {index} wrote, "
            "so something else changes the residual stream; the model is refused"
        )
    return (StreamTransform(factor=factor),)


def _find_final_norm(
    model: CausalLM, last: nn.Module | None, unembedding: nn.Module, trace: Trace
) -> nn.Module | None:
    """The module between the last layer and the unembedding.

    A constant factor behind it (MiniCPM) is seen as part of the scale that the norm applied.
    """
    read = trace.inputs[unembedding]
    for module in trace.outside:
        wrote = trace.outputs.get(module)
        factor = trace.factor(wrote, read)
        if factor is None or wrote is None:
            continue
        follows = last is None or trace.same(trace.inputs.get(module), trace.outputs[last])
        if (
            follows
            and module is not unembedding
            and _misfit(wrote * factor, read) < _MISFIT[trace.dtype]
        ):
            return module
    if last is not None and trace.same(trace.outputs[last], read):
        return None
    raise ModelError(
        f"{kind_of(model)}: no single norm found between the last layer and the "
        "unembedding; the model is refused"
    )


def _find_join(model: CausalLM, config: Any) -> StreamJoin | None:
    """How several streams are joined, where the family has several."""
    if config.model_type in facts.ALTUP:
        return altup_join(_holder(model, "altup_unembed_projections"))
    verbs = [verb for verb, _ in facts.STEPS.get(config.model_type, ())]
    return hyper_join(_holder(model, "hc_fn")) if "hyper" in verbs else None


def _holder(model: CausalLM, name: str) -> Any:
    """The module that has something under a name."""
    for module in model.modules():
        if hasattr(module, name):
            return module
    raise ModelError(f"{kind_of(model)}: nothing has `{name}`; the model is refused")


def _prove_streams(model: CausalLM, anatomy: Anatomy, dtype: torch.dtype) -> None:
    """Check that each layer's steps lead from the streams it reads to those it writes."""
    taps = Taps(model, anatomy, all_writes=True)
    tokens = probe_tokens(model)
    activations = taps.run(
        torch.tensor([tokens.shape[1] - 1]), lambda: model(input_ids=tokens, use_cache=False)
    )
    streams = activations.embedding
    for index, layer in enumerate(anatomy.layers):
        misfit = _misfit(after_layer(layer, streams, activations), activations.streams[layer.block])
        streams = activations.streams[layer.block]
        if not misfit <= _MISFIT[dtype]:
            raise ModelError(
                f"{kind_of(model)}: layer {index}'s mixes and writes do not explain its residual "
                f"streams (off by {misfit:.1e} of their size); the model is refused rather than "
                "attributed wrongly"
            )


def _prove_layer(model: CausalLM, index: int, layer: Layer, trace: Trace) -> None:
    """Check that a layer's steps lead from what it reads to what it writes."""
    stream = trace.inputs[layer.block]
    misfit = 0.0
    for step in layer.steps:
        if isinstance(step, Write):
            wrote = trace.outputs[step.source]
            if wrote.shape != stream.shape:
                raise ModelError(
                    f"{kind_of(model)}: in layer {index} a block that should write to the residual "
                    f"stream writes {wrote.shape[-1]} numbers a token, the stream has "
                    f"{stream.shape[-1]}; the model is refused"
                )
            stream = stream + like(step.scale, wrote) * wrote
        elif isinstance(step, Mix):
            raise AssertionError("a layer of one stream mixes none")
        elif step.norm is None:
            stream = step.apply(stream)
        else:
            misfit = max(misfit, _misfit(stream, trace.inputs[step.norm]))
            stream = trace.outputs[step.norm]
    misfit = max(misfit, _misfit(stream, trace.outputs[layer.block]))
    bound = _MISFIT[trace.dtype]
    if not misfit <= bound:
        raise ModelError(
            f"{kind_of(model)}: layer {index}'s blocks do not explain what it writes "
            f"to the residual stream (off by {misfit:.1e} of its size, at most {bound:.0e} "
            f"expected; {how_it_was_read(model, layer.block)}); the model is refused rather than "
            "attributed wrongly"
        )


def _misfit(found: Tensor, expected: Tensor | None) -> float:
    """The largest difference as a share of the largest value."""
    if expected is None or found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max())

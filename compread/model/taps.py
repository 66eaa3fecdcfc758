"""Hooks that watch a stock forward at the answer position only.

The model's own code runs unchanged. Each hook copies one row a prompt, so nothing that the
forward makes is kept alive: a slice would hold its whole tensor. The unembedding is handed only
the answer position, so no [B, T, V] logits are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compread.errors import ModelError
from compread.model.activations import Sighting
from compread.model.anatomy import Anatomy
from compread.model.linear import accumulation_dtype, dtype_of
from compread.model.streams import listened
from compread.model.trace import CausalLM, first_tensor, hooked, read_tensor


class Taps:
    """The hooks of one anatomy; ``run`` watches one forward."""

    def __init__(self, model: CausalLM, anatomy: Anatomy, *, all_writes: bool = False) -> None:
        """Remember where to listen; nothing is hooked until ``run``.

        ``all_writes`` keeps every block's write, which a proof needs and a decomposition does not.
        """
        self.model = model
        self.anatomy = anatomy
        self.dtype = accumulation_dtype(dtype_of(anatomy.unembedding))
        writes = [write for layer in anatomy.layers for write in layer.writes]
        heads = [write for write in writes if write.kind == "head"]
        norms = [write.norm for write in heads if write.norm is not None]
        norms += [c.norm for layer in anatomy.layers for c in layer.carries if c.norm is not None]
        self._readers = [write.reads for write in heads] + norms
        self._writers = [w.source for w in writes if all_writes or w.kind != "head"]
        self._writers += [norm for norm in norms if norm not in self._writers]
        self._computers = list(dict.fromkeys(listened(anatomy)))
        self._blocks = [layer.block for layer in anatomy.layers] if anatomy.exit else []
        self._blocks = self._blocks if all_writes else self._blocks[-1:]

    @property
    def modules(self) -> list[nn.Module]:
        """The modules whose inputs or outputs are read, the unembedding apart."""
        around = [self.anatomy.final_norm] if self.anatomy.final_norm is not None else []
        return [*self._readers, *self._writers, *self._computers, *self._blocks, *around]

    def run(self, answer: Tensor, forward: Callable[[], Any]) -> Sighting:
        """Watch ``forward()``, a call of the model on B prompts that end at ``answer`` [B].

        Raises:
            ModelError: a hook was not reached, so the forward took another way than the anatomy.
        """
        sighting = Sighting(answer, self.dtype)
        with self._listen(sighting), torch.inference_mode():
            output = forward()
        sighting.logits = output.logits[:, -1].to(self.dtype)
        if self.anatomy.final_norm is None:
            sighting.norm_input = sighting.norm_output
        missing = [m for m in self._readers if m not in sighting.inputs]
        missing += [m for m in self._writers if m not in sighting.outputs]
        missing += [m for m in self._computers if m not in sighting.values]
        if missing:
            names = {module: name for name, module in self.model.named_modules()}
            raise ModelError(
                f"the forward did not pass through {names[missing[0]]}, where its "
                "contribution is read; the model is refused"
            )
        return sighting

    @contextmanager
    def _listen(self, sighting: Sighting) -> Iterator[None]:
        def keep_read(module: nn.Module, args: Any, kwargs: Any) -> None:
            sighting.inputs[module] = self._answer_rows(sighting, read_tensor(args, kwargs))

        def keep_wrote(module: nn.Module, args: Any, output: Any) -> None:
            sighting.outputs[module] = self._answer_rows(sighting, first_tensor(output))

        def keep_values(module: nn.Module, args: Any, output: Any) -> None:
            values = output if isinstance(output, tuple) else (output,)
            sighting.values[module] = tuple(sighting.rows(v).to(self.dtype) for v in values)

        def keep_streams(module: nn.Module, args: Any, output: Any) -> None:
            sighting.final_streams = self._stream_rows(sighting, first_tensor(output))
            sighting.streams[module] = sighting.final_streams

        def keep_embedding(module: nn.Module, args: Any, kwargs: Any) -> None:
            rows = self._stream_rows if self.anatomy.exit else self._answer_rows
            sighting.embedding = rows(sighting, read_tensor(args, kwargs))

        def keep_residual(module: nn.Module, args: Any, kwargs: Any) -> None:
            sighting.norm_input = self._answer_rows(sighting, read_tensor(args, kwargs))

        def to_answer(module: nn.Module, args: Any) -> Any:
            rows = sighting.pick(args[0])
            sighting.norm_output = rows.to(self.dtype)
            return (rows[:, None], *args[1:])

        def keep_raw(module: nn.Module, args: Any, output: Any) -> None:
            sighting.raw_logits = output[:, -1].to(self.dtype)

        first, norm = self.anatomy.layers[0].block, self.anatomy.final_norm
        head = self.anatomy.unembedding
        handles = [m.register_forward_pre_hook(keep_read, with_kwargs=True) for m in self._readers]
        handles += [m.register_forward_hook(keep_wrote) for m in self._writers]
        handles += [m.register_forward_hook(keep_values) for m in self._computers]
        handles += [m.register_forward_hook(keep_streams) for m in self._blocks]
        handles.append(first.register_forward_pre_hook(keep_embedding, with_kwargs=True))
        if norm is not None:
            handles.append(norm.register_forward_pre_hook(keep_residual, with_kwargs=True))
        handles.append(head.register_forward_pre_hook(to_answer))
        handles.append(head.register_forward_hook(keep_raw))
        with hooked(handles):
            yield

    def _answer_rows(self, sighting: Sighting, hidden: Tensor | None) -> Tensor:
        if hidden is None:
            raise ModelError(
                "a module that is read was called without a hidden state; the model is refused"
            )
        return sighting.pick(hidden).to(self.dtype)

    def _stream_rows(self, sighting: Sighting, hidden: Tensor | None) -> Tensor:
        """The streams at the answers: [.., M, ..] with B, T and D in this order -> [B, M, D]."""
        if hidden is None or self.anatomy.exit is None:
            raise ModelError("a layer was called without its streams; the model is refused")
        return sighting.rows(hidden.movedim(self.anatomy.exit.axis, 2)).to(self.dtype)

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
from compread.model.activations import Activations, Positions
from compread.model.anatomy import Anatomy
from compread.model.linear import accumulation_dtype, dtype_of
from compread.model.streams import modules_to_hook
from compread.model.trace import CausalLM, first_tensor, hooked, read_tensor


class Taps:
    """The hooks of one anatomy; ``run`` watches one forward."""

    def __init__(self, model: CausalLM, anatomy: Anatomy, *, all_writes: bool = False) -> None:
        """Remember what to hook; nothing is hooked until ``run``.

        ``all_writes`` keeps every block's write, which a proof needs and a decomposition does not.
        """
        self.model = model
        self.anatomy = anatomy
        self.dtype = accumulation_dtype(dtype_of(anatomy.unembedding))
        writes = [write for layer in anatomy.layers for write in layer.writes]
        heads = [write for write in writes if write.kind == "head"]
        norms = [write.norm for write in heads if write.norm is not None]
        norms += [
            c.norm for layer in anatomy.layers for c in layer.transforms if c.norm is not None
        ]
        self._readers = [write.reads for write in heads] + norms
        self._writers = [w.source for w in writes if all_writes or w.kind != "head"]
        self._writers += [norm for norm in norms if norm not in self._writers]
        self._computers = list(dict.fromkeys(modules_to_hook(anatomy)))
        self._blocks = [layer.block for layer in anatomy.layers] if anatomy.join else []
        self._blocks = self._blocks if all_writes else self._blocks[-1:]

    @property
    def modules(self) -> list[nn.Module]:
        """The modules whose inputs or outputs are read, the unembedding apart."""
        around = [self.anatomy.final_norm] if self.anatomy.final_norm is not None else []
        return [*self._readers, *self._writers, *self._computers, *self._blocks, *around]

    def run(self, answer: Tensor | Positions, forward: Callable[[], Any]) -> Activations:
        """Watch ``forward()``, a call of the model on B prompts that end at ``answer`` [B].

        Rows may be read at several positions each instead.

        Raises:
            ModelError: a hook was not reached, so the forward took another way than the anatomy.
        """
        activations = Activations.at(answer, self.dtype)
        with self._hooked(activations), torch.inference_mode():
            output = forward()
        activations.logits = output.logits[:, -1].to(self.dtype)
        if self.anatomy.final_norm is None:
            activations.norm_input = activations.norm_output
        missing = [m for m in self._readers if m not in activations.inputs]
        missing += [m for m in self._writers if m not in activations.outputs]
        missing += [m for m in self._computers if m not in activations.values]
        if missing:
            names = {module: name for name, module in self.model.named_modules()}
            raise ModelError(
                f"the forward did not pass through {names[missing[0]]}, where its "
                "contribution is read; the model is refused"
            )
        return activations

    @contextmanager
    def _hooked(self, activations: Activations) -> Iterator[None]:
        def keep_input(module: nn.Module, args: Any, kwargs: Any) -> None:
            activations.inputs[module] = self._answer_rows(activations, read_tensor(args, kwargs))

        def keep_output(module: nn.Module, args: Any, output: Any) -> None:
            activations.outputs[module] = self._answer_rows(activations, first_tensor(output))

        def keep_values(module: nn.Module, args: Any, output: Any) -> None:
            values = output if isinstance(output, tuple) else (output,)
            activations.values[module] = tuple(activations.rows(v).to(self.dtype) for v in values)

        def keep_streams(module: nn.Module, args: Any, output: Any) -> None:
            activations.final_streams = self._stream_rows(activations, first_tensor(output))
            activations.streams[module] = activations.final_streams

        def keep_embedding(module: nn.Module, args: Any, kwargs: Any) -> None:
            rows = self._stream_rows if self.anatomy.join else self._answer_rows
            activations.embedding = rows(activations, read_tensor(args, kwargs))

        def keep_residual(module: nn.Module, args: Any, kwargs: Any) -> None:
            activations.norm_input = self._answer_rows(activations, read_tensor(args, kwargs))

        def to_answer(module: nn.Module, args: Any) -> Any:
            rows = activations.pick(args[0])
            activations.norm_output = rows.to(self.dtype)
            return (rows[:, None], *args[1:])

        def keep_raw(module: nn.Module, args: Any, output: Any) -> None:
            activations.raw_logits = output[:, -1].to(self.dtype)

        first, norm = self.anatomy.layers[0].block, self.anatomy.final_norm
        head = self.anatomy.unembedding
        handles = [m.register_forward_pre_hook(keep_input, with_kwargs=True) for m in self._readers]
        handles += [m.register_forward_hook(keep_output) for m in self._writers]
        handles += [m.register_forward_hook(keep_values) for m in self._computers]
        handles += [m.register_forward_hook(keep_streams) for m in self._blocks]
        handles.append(first.register_forward_pre_hook(keep_embedding, with_kwargs=True))
        if norm is not None:
            handles.append(norm.register_forward_pre_hook(keep_residual, with_kwargs=True))
        handles.append(head.register_forward_pre_hook(to_answer))
        handles.append(head.register_forward_hook(keep_raw))
        with hooked(handles):
            yield

    def _answer_rows(self, activations: Activations, hidden: Tensor | None) -> Tensor:
        if hidden is None:
            raise ModelError(
                "a module that is read was called without a hidden state; the model is refused"
            )
        return activations.pick(hidden).to(self.dtype)

    def _stream_rows(self, activations: Activations, hidden: Tensor | None) -> Tensor:
        """The streams at the answers: [.., M, ..] with B, T and D in this order -> [B, M, D]."""
        if hidden is None or self.anatomy.join is None:
            raise ModelError("a layer was called without its streams; the model is refused")
        return activations.rows(hidden.movedim(self.anatomy.join.axis, 2)).to(self.dtype)

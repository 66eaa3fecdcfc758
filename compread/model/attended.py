"""How many heads an attention really has, seen in its own arithmetic.

A config may say one number while a layer has another (a number for each layer, heads in pairs).
Whatever a family calls its modules, attention weighs values with a softmax over [B, H, T, S], or
hands [B, H, T, E] to a fused kernel: the heads are counted there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_FUSED = functional.scaled_dot_product_attention
_SOFTMAX = (functional.softmax, torch.softmax, Tensor.softmax)


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

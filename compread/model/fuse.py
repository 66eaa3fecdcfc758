"""A model's element-wise work in fused kernels: its norms, gates and rotations, by torch.compile.

Eager, each of them reads and writes a whole activation several times over, which on a GPU takes a
fifth of the time of a forward. Matrix products, attention and the order of the modules stay as they
are, and so do all hooks: a forward is compiled, never a call. A fused kernel computes in float32
what an eager one rounds to the model's type at each step, so numbers differ by that rounding; every
proof and check runs on the fused model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn

from compread.errors import ModelError, flag
from compread.model.linear import device_of
from compread.model.trace import CausalLM

_ROTATION = "apply_rotary_pos_emb"
# What torch.compile leaves on a function: another model of the family may have fused its rotation.
_COMPILED = "_torchdynamo_orig_callable"
# Already one kernel of torch's own.
_FUSED_ALREADY = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
_WHOLE_LINEAR = ("Linear", "Conv1D")


class Fusion:
    """What was compiled of a model, and how to have it as it was."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        self.names: list[str] = []
        """The kinds of modules and functions that are fused, each once."""
        self._undo: list[Callable[[], None]] = []

    def undo(self) -> None:
        """Let the model's own code run again."""
        while self._undo:
            self._undo.pop()()

    def add(self, owner: Any, name: str, label: str, backend: str = "inductor") -> None:
        """Compile what ``owner`` calls by this name."""
        before = getattr(owner, name)
        if hasattr(before, _COMPILED):
            return
        own = vars(owner).get(name)
        setattr(owner, name, torch.compile(before, backend=backend))
        self._undo.append(
            lambda: delattr(owner, name) if own is None else setattr(owner, name, own)
        )
        if label not in self.names:
            self.names.append(label)


def fuse(model: CausalLM, watched: Collection[nn.Module] = (), backend: str = "inductor") -> Fusion:
    """Compile the norms, gated MLPs and rotations of a model, and try it once.

    Args:
        model: a loaded model.
        watched: modules whose input or output is read; one that holds such a module inside is left
            alone, since a hook on a part of compiled code is not called.
        backend: of torch.compile.

    Raises:
        ModelError: there is nothing to fuse, or torch cannot compile it here.
    """
    fusion = Fusion()
    for module in model.modules():
        inside = {id(one) for one in module.modules()} - {id(module)}
        if _is_norm(module) or (_is_gated(module) and inside.isdisjoint(map(id, watched))):
            fusion.add(module, "forward", type(module).__name__, backend)
    for home in dict.fromkeys(type(module).__module__ for module in model.modules()):
        if callable(getattr(sys.modules[home], _ROTATION, None)):
            fusion.add(sys.modules[home], _ROTATION, _ROTATION, backend)
    if not fusion.names:
        raise ModelError(
            f"{flag('compile')}: {type(model).__name__} has no norm, gate or rotation "
            "that could be fused; "
            f"expected a model of RMSNorm and gated MLPs: leave {flag('compile')} out"
        )
    _try(model, fusion)
    return fusion


def _is_norm(module: nn.Module) -> bool:
    leaf = not any(True for _ in module.children())
    return (
        leaf and type(module).__name__.endswith("Norm") and not isinstance(module, _FUSED_ALREADY)
    )


def _is_gated(module: nn.Module) -> bool:
    """Whether a module is a gated MLP of plain linear maps: act(gate(x)) · up(x), mapped down."""
    linear = [one for one in module.children() if any(True for _ in one.parameters())]
    plain = all(type(one).__name__ in _WHOLE_LINEAR for one in linear)
    named = all(hasattr(module, name) for name in ("gate_proj", "up_proj", "down_proj"))
    return named and plain


def _try(model: CausalLM, fusion: Fusion) -> None:
    """Run a few tokens, in two shapes, so that what cannot be compiled fails before a run."""
    shapes = [(2, 5), (3, 9)]
    if device_of(model).type == "cuda":
        shapes.append((1, 7))  # a batch of packed rows is one row, compiled apart
    try:
        for shape in shapes:
            tokens = torch.ones(shape, dtype=torch.long, device=device_of(model))
            with torch.inference_mode():
                model(input_ids=tokens, use_cache=False, logits_to_keep=1)
    except Exception as error:  # compilers fail in ways of their own, from missing g++ to Triton's
        fusion.undo()
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{flag('compile')}: torch cannot compile {', '.join(fusion.names)} here "
            f"({type(error).__name__}: {reason}); leave {flag('compile')} out"
        ) from error

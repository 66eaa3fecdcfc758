"""Whether the columns that are called a head are what one head of the attention writes.

Any cut of the output projection's input adds up to the block's write, also a wrong one. So each
head of a layer's attention is disturbed alone, where its values are weighed, and the columns that
change are looked at: they must be those of one head of the anatomy, all of them, and no others'.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compread.errors import ModelError
from compread.extract.engine import Engine
from compread.model.anatomy import Write
from compread.model.linear import device_of
from compread.model.trace import AttentionWatch, hooked, read_tensor

_TOKENS = 11
_LAST = 3
# A change below this share of the largest is rounding: some norms compute in float32.
_SILENT = 1e-5


def split_misfit(engine: Engine) -> dict[str, float]:
    """By layer: the share of its columns that are not with their head; 1 where no head was seen.

    Raises:
        ModelError: a family's own attention cannot be run alone.
    """
    found: dict[str, float] = {}
    for index, layer in enumerate(engine.decomposer.anatomy.layers):
        for write in layer.writes:
            if write.kind == "head":
                where = f"layer {index}"
                found[where] = max(found.get(where, 0.0), _write_misfit(engine, write))
    return found


def _write_misfit(engine: Engine, write: Write) -> float:
    if write.attention is None:
        return 1.0
    rows = _disturbed(engine, write.attention, write.reads)
    width = write.width // write.heads
    changed = [_changed(rows[0], row) for row in rows[1:]]
    found = _together(changed, write.width)
    stated = torch.arange(write.width) // width
    return float((found != stated).float().mean())


def _disturbed(engine: Engine, attention: nn.Module, projection: nn.Module) -> list[Tensor]:
    """What the projection reads at the last tokens [.., width]: once as it is, once for each head.

    The attention runs again on the very input that it had, with one of its heads disturbed.
    """
    rows: list[Tensor] = []
    counts: list[int] = []

    def keep(module: nn.Module, args: Any, kwargs: Any) -> None:
        hidden = read_tensor(args, kwargs)
        if hidden is not None:
            hidden = hidden.flatten(2) if hidden.ndim > 3 else hidden
            rows.append(hidden.reshape(-1, hidden.shape[-1])[-_LAST:].clone())

    def replay(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        with AttentionWatch(_TOKENS, lambda by_head: counts.append(by_head.shape[1])):
            rows.clear()
            type(module).forward(module, *args, **kwargs)
        for head in range(max(counts)):
            with AttentionWatch(_TOKENS, partial(_shake, head)):
                type(module).forward(module, *args, **kwargs)

    tokens = torch.arange(5, 5 + _TOKENS)[None]
    handles = [projection.register_forward_pre_hook(keep, with_kwargs=True)]
    handles.append(attention.register_forward_hook(replay, with_kwargs=True))
    with hooked(handles), torch.inference_mode():
        engine.model(input_ids=tokens.to(device_of(engine.model)), use_cache=False)
    if len(rows) != 1 + max(counts, default=0):
        raise ModelError("attention could not be run alone, so its heads cannot be told apart")
    return rows


def _shake(head: int, by_head: Tensor) -> Tensor:
    """The same with one head's [T, ...] scaled, each entry by another factor."""
    changed = by_head.clone()
    draw = torch.Generator().manual_seed(head)
    noise = torch.rand(changed.shape[2:], generator=draw, dtype=torch.float32)
    changed[:, head] *= 0.5 + noise.to(changed)
    return changed


def _changed(whole: Tensor, other: Tensor) -> Tensor:
    """Which columns changed, at any token, by more than one factor that all have in common.

    A norm between the heads and the projection lets every head change the scale of all.
    """
    common = (other / whole).median(-1, keepdim=True).values
    change = (other - common * whole).abs().amax(0)
    return change > _SILENT * change.max()


def _together(changed: list[Tensor], width: int) -> Tensor:
    """[width] the columns numbered by the group that change together, in the columns' order."""
    groups: list[Tensor] = []
    for columns in changed:
        apart = []
        for group in groups:
            if bool((group & columns).any()):
                columns = columns | group
            else:
                apart.append(group)
        groups = [*apart, columns]
    groups.sort(key=lambda group: int(group.to(torch.uint8).argmax()))
    number = torch.full((width,), -1)
    for i, group in enumerate(groups):
        number[group] = i
    return number

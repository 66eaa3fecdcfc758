"""An output projection in two steps: groups of heads one by one, then all together."""

from __future__ import annotations

from torch import Tensor, nn

from compread.model.trace import Trace


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

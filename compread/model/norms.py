"""A normalisation with its scale frozen is a linear map; this reads that map off the module.

RMSNorm is y = γ ∘ x / rms(x); LayerNorm subtracts the mean first and adds β (paper equation 7 and
its appendix A.3). With the scale s that the norm really applied held fixed, both are

    y = s · γ ∘ (x - c·mean(x)) + β        with c = 1 for LayerNorm, 0 for RMSNorm.

γ, β and c come from running the module on two known vectors, which needs no knowledge of how a
family stores its gain (as γ or as γ - 1) or whether it has one. s comes from the norm's own input
and output, which needs no ε.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compread.model.linear import device_of, run_precisely

# Large enough for ε to vanish beside the probe's mean square, even in float64.
_PROBE = 2.0**14


@dataclass(frozen=True)
class FrozenNorm:
    """γ, β (both [D]) and whether the norm centres its input."""

    gain: Tensor
    shift: Tensor
    centred: bool

    def pull_back(self, directions: Tensor) -> Tensor:
        """Directions after the norm [K, D], seen from before it, up to the row's own scale."""
        seen = directions * self.gain.to(directions)
        return seen - seen.mean(-1, keepdim=True) if self.centred else seen

    def linear(self, x: Tensor, scale: Tensor) -> Tensor:
        """The frozen norm without its shift: x [..., D], scale [...] -> [..., D]."""
        if self.centred:
            x = x - x.mean(-1, keepdim=True)
        return x * self.gain * scale[..., None]

    def scale(self, x: Tensor, y: Tensor) -> Tensor:
        """The factor s that the norm applied to each row: x, y [B, D] -> [B]."""
        x, y = x.to(self.gain), y.to(self.gain)
        if self.centred:
            x = x - x.mean(-1, keepdim=True)
        # A row of massive activations overflows when squared in float32 without this.
        size = x.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        base = self.gain * (x / size)
        square = (base * base).sum(-1) * size[:, 0]
        # A block that writes nothing has no factor of its own, and nothing to be scaled.
        nothing = square == 0
        return ((y - self.shift) * base).sum(-1) / square.masked_fill(nothing, 1)


def read_norm(module: nn.Module, width: int, dtype: torch.dtype) -> FrozenNorm:
    """Read γ, β and the centring of a norm over ``width`` features."""
    probe = _probe(width).to(device_of(module), dtype)
    size = probe.square().mean().sqrt()
    with torch.no_grad():
        plus, minus = (run_precisely(module, sign * probe) for sign in (1, -1))
        offset = run_precisely(module, probe + _PROBE / 2)
    loudest = float(plus.abs().max())
    return FrozenNorm(
        gain=(plus - minus) / 2 * size / probe,
        shift=(plus + minus) / 2,
        centred=torch.allclose(offset, plus, rtol=1e-3, atol=1e-3 * loudest),
    )


def _probe(width: int) -> Tensor:
    """A vector [D] of mean zero without a zero in it."""
    probe = torch.ones(width)
    probe[1::2] = -1
    if width % 2:
        probe[-3:] = torch.tensor([1.0, 1.0, -2.0])
    return probe * _PROBE


def identity_norm(width: int, dtype: torch.dtype, device: torch.device) -> FrozenNorm:
    """The map of a model without a final norm."""
    one = torch.ones(width, dtype=dtype, device=device)
    return FrozenNorm(one, torch.zeros_like(one), centred=False)

"""How far the parts may be from the model's own logits.

A row's error is the largest |Σ parts - pre-cap logit| over the labels. It is compared with the
logits' scale: the row's largest absolute pre-cap logit over the whole vocabulary, which no
accident of two label logits near zero can shrink.

- float32 (and float64): 1e-4 of the scale. Rounding stays near 1e-6; a forgotten term does not.
- bfloat16 and float16: the model rounds the residual stream after every block, so its own sum
  of 2L + 1 writes drifts by about sqrt(2L) roundings. The tolerance is 2·eps·sqrt(2L) of the
  scale, with eps 2⁻⁸ and 2⁻¹¹.
"""

from __future__ import annotations

import torch

_FLOAT32 = 1e-4
_HALF_ROUNDINGS = 2


def sum_tolerance(dtype: torch.dtype, n_layers: int) -> float:
    """Largest sum error allowed, as a share of the logits' scale."""
    if dtype in (torch.float32, torch.float64):
        return _FLOAT32
    eps = torch.finfo(dtype).eps / 2
    return float(_HALF_ROUNDINGS * eps * (2 * n_layers) ** 0.5)

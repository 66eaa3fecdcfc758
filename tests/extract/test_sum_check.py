"""The sum's tolerance is the rule that its docstring states."""

import pytest
import torch

from compread.extract.sum_check import sum_tolerance


@pytest.mark.parametrize(
    ("dtype", "layers", "share"),
    [
        (torch.float32, 1, 1e-4),
        (torch.float32, 80, 1e-4),
        (torch.float64, 80, 1e-4),
        (torch.bfloat16, 8, 2 * 2**-8 * 4),
        (torch.float16, 8, 2 * 2**-11 * 4),
        (torch.bfloat16, 32, 2 * 2**-8 * 8),
    ],
    ids=str,
)
def test_sum_tolerance(dtype: torch.dtype, layers: int, share: float) -> None:
    """1e-4 in float32, 2·eps·sqrt(2L) in half precision."""
    assert sum_tolerance(dtype, layers) == pytest.approx(share)

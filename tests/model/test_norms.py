"""A frozen norm is read off the module by running it, whatever the family calls its gain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers.models.cohere.modeling_cohere import CohereLayerNorm
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from compread.model.norms import FrozenNorm, identity_norm, read_norm

WIDTHS = (2, 3, 7, 16, 33, 576)
HALF = (torch.bfloat16, torch.float16)


def cohere(width: int) -> nn.Module:
    """A LayerNorm that is written out in the modelling file."""
    return CohereLayerNorm(hidden_size=width)


# What makes the module, whether it centres, and what its gain is in its parameters.
NORMS: dict[str, tuple[Callable[[int], nn.Module], bool, Callable[[nn.Module], Tensor | float]]] = {
    "LayerNorm": (nn.LayerNorm, True, lambda m: m.weight),
    "LayerNorm without bias": (lambda d: nn.LayerNorm(d, bias=False), True, lambda m: m.weight),
    "LayerNorm, plain": (lambda d: nn.LayerNorm(d, elementwise_affine=False), True, lambda m: 1.0),
    "torch RMSNorm": (lambda d: nn.RMSNorm(d, eps=1e-6), False, lambda m: m.weight),
    "Llama RMSNorm": (LlamaRMSNorm, False, lambda m: m.weight),
    "Gemma RMSNorm": (Gemma2RMSNorm, False, lambda m: 1 + m.weight),
    "Cohere LayerNorm": (cohere, True, lambda m: m.weight),
}


def loud_norm(name: str, width: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A norm with random gain and bias, some gains negative."""
    module = NORMS[name][0](width)
    generator = torch.Generator().manual_seed(width)
    for weight in module.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) + 0.3
    return module.to(dtype).requires_grad_(False)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NORMS)
def test_gain_shift_and_centring_are_read(name: str, width: int) -> None:
    """γ is known up to a common factor, which the scale takes up; β and the centring exactly."""
    module = loud_norm(name, width)
    _, centred, gain = NORMS[name]
    frozen = read_norm(module, width, torch.float64)
    expected = gain(module) * torch.ones(width, dtype=torch.float64)
    assert torch.allclose(frozen.gain, expected, rtol=1e-6)
    bias = getattr(module, "bias", None)
    expected = torch.zeros(width, dtype=torch.float64) if bias is None else bias
    assert torch.allclose(frozen.shift, expected, rtol=0, atol=1e-6)
    assert frozen.centred is centred


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("width", [7, 16, 576])
@pytest.mark.parametrize("name", NORMS)
def test_frozen_norm_of_its_own_input_is_its_output(name: str, width: int, size: float) -> None:
    """The map s · γ ∘ (x - c·mean(x)) + β is what the module returned, ε and all."""
    module = loud_norm(name, width)
    x = size * torch.randn(
        5, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    y = module(x)
    frozen = read_norm(module, width, torch.float64)
    scale = frozen.scale(x, y)
    matrix = frozen.pull_back(torch.eye(width, dtype=torch.float64))  # [D, D], a row an output
    rebuilt = scale[:, None] * (x @ matrix.T) + frozen.shift
    assert torch.allclose(rebuilt, y, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [7, 16])
@pytest.mark.parametrize("name", NORMS)
def test_pull_back_is_the_frozen_norm_s_transpose(name: str, width: int) -> None:
    """It equals the Jacobian of the module with its statistics detached."""
    module = loud_norm(name, width)
    _, centred, gain = NORMS[name]
    frozen = read_norm(module, width, torch.float64)

    def with_frozen_scale(z: Tensor) -> Tensor:
        return gain(module) * (z - z.mean() if centred else z)

    point = torch.randn(width, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(with_frozen_scale, point)
    directions = torch.randn(3, width, dtype=torch.float64)
    assert torch.allclose(frozen.pull_back(directions), directions @ jacobian, atol=1e-6)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("name", NORMS)
def test_half_precision_weights_are_read_without_rounding(name: str, dtype: torch.dtype) -> None:
    """A half-precision norm is read in float32 and keeps its own type."""
    module = loud_norm(name, 16, dtype)
    _, _, gain = NORMS[name]
    frozen = read_norm(module, 16, torch.float32)
    assert frozen.gain.dtype == torch.float32
    wide = module.float()
    expected = gain(wide) * torch.ones(16)
    assert torch.allclose(frozen.gain, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_reading_leaves_the_module_alone(dtype: torch.dtype) -> None:
    """The module's own weights keep their type and values."""
    module = loud_norm("LayerNorm", 16, dtype)
    before = [weight.clone() for weight in module.parameters()]
    read_norm(module, 16, torch.float32)
    for weight, was in zip(module.parameters(), before, strict=True):
        assert weight.dtype == dtype and torch.equal(weight, was)


def test_scale_survives_massive_activations() -> None:
    """A residual whose square overflows float32 still has its scale."""
    frozen = FrozenNorm(torch.ones(4), torch.zeros(4), centred=False)
    x = torch.tensor([[3e30, -1e30, 2e30, 1e30]])
    y = x / x.double().square().mean().sqrt().float()
    assert float(frozen.scale(x, y)) == pytest.approx(float(y[0, 0] / x[0, 0]), rel=1e-6)


def test_scale_is_taken_over_all_features_with_gain() -> None:
    """A feature whose gain is zero says nothing of the scale and does no harm."""
    gain = torch.tensor([0.0, 2.0, -1.0])
    frozen = FrozenNorm(gain, torch.tensor([1.0, 2.0, 3.0]), centred=False)
    x = torch.tensor([[5.0, 1.0, -2.0]])
    assert float(frozen.scale(x, 0.25 * gain * x + frozen.shift)) == pytest.approx(0.25)


def test_the_identity_changes_nothing() -> None:
    """Without a norm the directions are seen as they are."""
    frozen = identity_norm(3, torch.float64, torch.device("cpu"))
    directions = torch.randn(2, 3, dtype=torch.float64)
    assert torch.equal(frozen.pull_back(directions), directions)
    assert not frozen.shift.any()


@pytest.mark.parametrize("name", NORMS)
def test_a_row_of_zeros_has_parts_of_zero(name: str) -> None:
    """What writes nothing goes through a norm as nothing, beside rows that write something."""
    module = loud_norm(name, 16)
    frozen = read_norm(module, 16, torch.float64)
    x = torch.stack([torch.zeros(16), torch.linspace(-1, 2, 16)]).double()
    y = module(x)
    scale = frozen.scale(x, y)
    assert torch.isfinite(scale).all()
    assert torch.allclose(frozen.linear(x, scale) + frozen.shift, y, rtol=0, atol=1e-6)

"""Linear maps are read by running the module, whatever holds its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from compread.model.linear import (
    accumulation_dtype,
    bias_of,
    device_of,
    dtype_of,
    pull_back,
    run_precisely,
    unembedding_rows,
)

IN, OUT, K = 6, 11, 3


class LowRank(nn.Module):
    """A projection with an adapter beside it, as LoRA wraps one; its weight has no one name."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(IN, OUT)
        self.down, self.up = nn.Linear(IN, 2, bias=False), nn.Linear(2, OUT, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Base and adapter."""
        return self.base(x) + 0.7 * self.up(self.down(x))


class Tupled(nn.Linear):
    """A projection that returns its bias beside the product, as Megatron's do."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The product, and something else."""
        return super().forward(x), self.bias


PROJECTIONS = {
    "Linear": lambda: nn.Linear(IN, OUT),
    "Linear without bias": lambda: nn.Linear(IN, OUT, bias=False),
    "Conv1D": lambda: Conv1D(OUT, IN),
    "low-rank": LowRank,
    "tuple": lambda: Tupled(IN, OUT),
}


def loud(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A projection with random weights and biases."""
    module = PROJECTIONS[name]()
    generator = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    return module.to(dtype).requires_grad_(False)


def matrix(module: nn.Module) -> Tensor:
    """The [OUT, IN] matrix in float64, column by column."""
    module.double()
    columns = torch.eye(IN, dtype=torch.float64)
    first = [out[0] if isinstance(out := module(x[None]), tuple) else out for x in columns]
    zero = module(torch.zeros(1, IN, dtype=torch.float64))
    zero = zero[0] if isinstance(zero, tuple) else zero
    return torch.cat([x - zero for x in first]).T


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", PROJECTIONS)
def test_pull_back_is_the_transpose(name: str, dtype: torch.dtype) -> None:
    """The map v -> Wᵀv for each direction, in the directions' type."""
    module = loud(name, dtype)
    directions = torch.randn(K, OUT, dtype=dtype)
    pulled = pull_back(module, IN, directions)
    assert pulled.dtype == dtype and not pulled.requires_grad
    expected = directions.double() @ matrix(module)
    assert torch.allclose(pulled.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_bias_is_what_zero_becomes(name: str) -> None:
    """An affine module's bias, and zero where it has none."""
    module = loud(name)
    like = torch.zeros(1, dtype=torch.float64)
    bias = getattr(getattr(module, "base", module), "bias", None)
    expected = torch.zeros(OUT, dtype=torch.float64) if bias is None else bias
    assert torch.equal(bias_of(module, IN, like), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", PROJECTIONS)
def test_half_precision_projections_are_read_in_float32(name: str, dtype: torch.dtype) -> None:
    """The product is that of the stored weights in float32, and the module keeps its type."""
    module = loud(name, dtype)
    directions = torch.randn(K, OUT)
    pulled = pull_back(module, IN, directions)
    assert {weight.dtype for weight in module.parameters()} == {dtype}
    expected = directions.double() @ matrix(module)
    assert torch.allclose(pulled.double(), expected, rtol=1e-5, atol=1e-5)


def test_reading_works_in_inference_mode() -> None:
    """A caller's inference mode does not keep the gradient from being taken."""
    module = loud("Linear", torch.float32)
    directions = torch.randn(K, OUT)
    with torch.inference_mode():
        pulled = pull_back(module, IN, directions)
        rows, _ = unembedding_rows(module, IN, torch.tensor([1, 2]))
    assert torch.equal(pulled, pull_back(module, IN, directions))
    assert torch.equal(rows, module.weight[1:3])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "biasless"])
def test_unembedding_rows_are_exact(dtype: torch.dtype, bias: bool) -> None:
    """Rows and biases of the labels, to the last bit, in the accumulation type."""
    head = loud("Linear" if bias else "Linear without bias", dtype)
    ids = torch.tensor([7, 0, 7, 10])
    rows, biases = unembedding_rows(head, IN, ids)
    assert rows.dtype == biases.dtype == accumulation_dtype(dtype)
    assert torch.equal(rows, head.weight[ids].to(rows.dtype))
    expected = head.bias[ids].to(rows.dtype) if bias else torch.zeros(4, dtype=rows.dtype)
    assert torch.equal(biases, expected)


def test_run_precisely_widens_for_one_call() -> None:
    """``module(x)`` in the type of x; afterwards the weights are as they were."""
    module = loud("Linear", torch.bfloat16)
    x = torch.randn(2, IN)
    out = run_precisely(module, x)
    assert out.dtype == torch.float32
    expected = x.double() @ module.weight.double().T + module.bias.double()
    assert torch.allclose(out.double(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ],
    ids=str,
)
def test_accumulation_dtype(dtype: torch.dtype, wide: torch.dtype) -> None:
    """float32 unless the model is float64."""
    assert accumulation_dtype(dtype) == wide


def test_place_and_type_of_modules_without_floating_weights() -> None:
    """A module without weights is on the CPU in float32; integer weights say nothing."""
    packed = nn.Module()
    packed.register_buffer("packed", torch.zeros(2, dtype=torch.uint8))
    packed.register_buffer("scales", torch.zeros(2, dtype=torch.float16))
    assert (device_of(nn.Identity()).type, dtype_of(nn.Identity())) == ("cpu", torch.float32)
    assert dtype_of(packed) == torch.float16


def test_offloaded_modules_are_found_where_they_run() -> None:
    """Where weights are kept elsewhere, the device is the one that the hook moves them to."""
    module = nn.Linear(IN, OUT, device="meta")
    module._hf_hook = type("Hook", (), {"execution_device": "cpu"})()
    assert device_of(module).type == "cpu"


class Packed(nn.Module):
    """A linear map whose weights are kept as eight-bit integers, of which no gradient exists."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        steps = torch.randint(-127, 128, (OUT, IN), generator=draw, dtype=torch.int8)
        self.steps = nn.Parameter(steps, requires_grad=False)
        self.bias = nn.Parameter(torch.randn(OUT, generator=draw)) if bias else None

    def matrix(self) -> torch.Tensor:
        """The weights [OUT, IN]."""
        return self.steps.float() / 64

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What a kernel without a gradient makes of its input."""
        out = x.detach().float() @ self.matrix().T
        return out if self.bias is None else out + self.bias.detach()


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "biasless"])
def test_a_packed_unembedding_is_read_with_its_bias(bias: bool) -> None:
    """Its rows are those of the weights alone, and the biases those of the labels."""
    head = Packed(bias)
    ids = torch.tensor([7, 0, 7, 10])
    rows, biases = unembedding_rows(head, IN, ids)
    torch.testing.assert_close(rows, head.matrix()[ids], rtol=1e-5, atol=1e-5)
    expected = torch.zeros(4) if head.bias is None else head.bias.detach()[ids]
    assert torch.equal(biases, expected)

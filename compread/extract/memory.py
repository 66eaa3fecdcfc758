"""How many tokens a batch may have, from the memory there is, and what a run took of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from compread.errors import ResumableError, option
from compread.extract.batches import BATCH_COST
from compread.model.linear import device_of, dtype_of
from compread.model.matrices import layer_matrices
from compread.model.trace import CausalLM

# A batch that fits the processor's last cache runs faster than a larger one.
_MOST_ON_CPU = 1024
# On a GPU a batch should compute for longer than it takes to be launched, layer by layer.
_MOST_ELSEWHERE, _MOST_OF_SMALL = 16384, 65536
_WORK = _MOST_ELSEWHERE * 10**9  # parameters x tokens
_LAUNCH = 2 * 10**12  # parameters x tokens computed while a batch is launched
_LEAST = 64
# Of the free memory; the rest is for fragments, kernels' workspaces and other processes.
_SHARE = 0.5


def token_budget(model: CausalLM, device: torch.device | None = None) -> int:
    """Tokens of a batch: a power of two, as many as fit and as still make it faster."""
    device = device or device_of(model)
    most = _MOST_ON_CPU if device.type == "cpu" else _most_elsewhere(model)
    free = free_memory(device)
    if free is None:
        return min(most, 2048)
    fits = int(free * _SHARE / bytes_per_token(model))
    budget = _LEAST
    while budget * 2 <= min(fits, most):
        budget *= 2
    return budget


def _most_elsewhere(model: CausalLM) -> int:
    return min(max(_WORK // _weights(model), _MOST_ELSEWHERE), _MOST_OF_SMALL)


def _weights(model: CausalLM) -> int:
    return max(1, sum(matrix.numel for matrix in layer_matrices(model)))


def batch_cost(model: CausalLM, budget: int) -> float:
    """What a batch costs besides its tokens, in tokens: a small model's GPU waits for its launch.

    At most a quarter of the budget, or pads would outweigh it.
    """
    share = budget * BATCH_COST
    if device_of(model).type == "cpu":
        return share
    return max(share, min(_LAUNCH / _weights(model), budget / 4))


def bytes_per_token(model: CausalLM) -> int:
    """What one token's activations take while a layer runs, at most."""
    config = model.config.get_text_config()
    stream = int(getattr(config, "hidden_size", 0) or 1024)
    wide = [max(shape) for _, shape in layer_matrices(model) if len(shape) == 2]
    widest = min(max(wide, default=4 * stream), 16 * stream)
    # Norms compute in float32; an MLP holds its gate, its input and their product.
    return 4 * 12 * stream + torch.empty(0, dtype=dtype_of(model)).element_size() * 4 * widest


def free_memory(device: torch.device) -> int | None:
    """Bytes free on a device; None where it does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu":
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path("/proc/meminfo").read_text().splitlines():
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        with contextlib.suppress(OSError, ValueError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine itself, had no memory left for a tensor."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    signs = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


def too_large(what: str) -> ResumableError:
    """The error for a piece of work that cannot be made smaller."""
    return ResumableError(
        f"{what} does not fit into the device's memory; the finished rows are kept: give "
        f"{option('device-map', 'auto')}, another {option('dtype')}, or a device with more memory"
    )


@contextlib.contextmanager
def must_fit(what: str) -> Iterator[None]:
    """Work that cannot be made smaller: out of memory, it is named.

    Raises:
        ResumableError: it does not fit into the device's memory.
    """
    try:
        yield
    except Exception as error:  # devices have no common error for it
        if is_out_of_memory(error):
            raise too_large(what) from error
        raise


def resident_memory() -> int:
    """Bytes of memory that this process has now; 0 where the system does not say."""
    _return_freed()
    return _status("VmRSS") or 0


def reset_peak(device: torch.device) -> None:
    """Forget the largest memory so far, as what loading a model took."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _return_freed()
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes at most since ``reset_peak``: of tensors on a GPU, of the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM") or (used if sys.platform == "darwin" else used * 1024)


def _return_freed() -> None:
    """Give the system what was freed, hundreds of megabytes after a model was loaded."""
    with contextlib.suppress(OSError, AttributeError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)


def _status(name: str) -> int | None:
    """A size in bytes from what Linux says of this process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None

"""A batch's numbers on their way from a GPU, while it computes the next batch.

A plain copy to the CPU waits for all that the GPU was given by then, the next batch too, and the
GPU then stands still while the host looks at what came. Copied into pinned memory as soon as the
batch is launched, the numbers wait for their own batch alone.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from compread.model.decompose import BatchParts


class HostCopy:
    """The copy of one batch to the CPU, begun when it is made; on a CPU the batch itself."""

    def __init__(self, parts: BatchParts) -> None:
        """Begin to copy; the device's tensors are kept until ``wait`` has returned."""
        self._device = parts
        tensors = {field.name: getattr(parts, field.name) for field in fields(parts)}
        self._host = BatchParts(**{name: _begin(tensor) for name, tensor in tensors.items()})
        places = {tensor.device for tensor in tensors.values() if tensor.is_cuda}
        self._events = [torch.cuda.current_stream(place).record_event() for place in places]

    def wait(self) -> BatchParts:
        """The numbers on the CPU, once they are there."""
        for event in self._events:
            event.synchronize()
        return self._host


def _begin(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor.cpu()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)

"""Keeping the libraries below from writing over a command's own lines."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

# What bitsandbytes says of every product in eight bits, and of a faster kernel that is not there.
_CAST = "MatMul8bitLt: inputs will be cast"
_NOISE = {
    "bitsandbytes.autograd._functions": _CAST,
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward",
    # Of packed weights on a CPU, where nothing is on the meta device.
    "accelerate.big_modeling": "Some parameters are on the meta device because they were offloaded",
}


def quieten_libraries(*, bars: bool) -> None:
    """Let transformers and the hub print errors only, and progress bars only where wanted.

    Of bitsandbytes and accelerate the lines go that they say of every run.

    For a process that owns its stderr, such as a command; a library should not call this.
    """
    if not bars:
        # Read when huggingface_hub is imported, so this must come first.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging as transformers_logging

    verbosity: Any = transformers_logging

    verbosity.set_verbosity_error()
    if not bars:
        verbosity.disable_progress_bar()
    for name in _NOISE:
        logging.getLogger(name).addFilter(_is_news)
    # Its older versions warn instead of logging.
    warnings.filterwarnings("ignore", message=_CAST, category=UserWarning)


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NOISE[record.name])

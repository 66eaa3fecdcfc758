"""Keeping the libraries below from writing over a command's own lines."""

from __future__ import annotations

import os
from typing import Any


def quieten_libraries(*, bars: bool) -> None:
    """Let transformers and the hub print errors only, and progress bars only where wanted.

    For a process that owns its stderr, such as a command; a library should not call this.
    """
    if not bars:
        # Read when huggingface_hub is imported, so this must come first.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging

    logging.set_verbosity_error()
    if not bars:
        logging.disable_progress_bar()

"""What went wrong while a model was loaded, in one line with the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from compread.errors import ModelError
from compread.model.hub import gated


@contextmanager
def said_plainly(name: str, what: str) -> Iterator[None]:
    """Turn whatever a loader raises into one line with the next step."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # loaders raise anything: a bad file must not end in a traceback
        error = _cause(error)
        text = str(error)
        first = next((line.strip() for line in text.splitlines() if line.strip()), repr(error))
        if isinstance(error, torch.cuda.OutOfMemoryError):
            reason = (
                f"{name} does not fit into the device's memory; try --dtype bfloat16 or "
                "--device-map auto"
            )
        elif what == "tokenizer" and _lacks_tokenizer_files(Path(name).expanduser()):
            reason = no_tokenizer(name)
        elif "custom code" in text and "trust_remote_code" in text:
            reason = untrusted(name, what)
        elif "Weights only load failed" in text:
            reason = (
                f"{name} has pickled weights that hold more than tensors, which could run any "
                "code; they are not loaded: save them as safetensors where you trust them"
            )
        elif "does not recognize this architecture" in text:
            reason = f"{name}: {first} Try pip install -U transformers"
        elif isinstance(error, ImportError) or "pip install" in text:
            reason = f"loading {name} needs a package that is not installed: {first}"
        elif "gated repo" in text:
            reason = gated(name)
        else:
            reason = f"cannot load the {what} of {name}: {first}"
        raise ModelError(reason) from error


def _cause(error: Exception) -> Exception:
    """What went wrong first, where all that was seen in the end is a missing package.

    Before version 5, transformers meets a broken tokenizer.json by trying its other readers, and
    complains of the packages that those would need.
    """
    first: BaseException = error
    while first.__context__ is not None:
        first = first.__context__
    aside = isinstance(error, ImportError) and not isinstance(first, ImportError)
    return first if aside and isinstance(first, Exception) else error


def _lacks_tokenizer_files(folder: Path) -> bool:
    """Whether nothing in a local folder looks like a tokenizer's.

    The special tokens' file does not count: it names tokens of a vocabulary that is elsewhere.
    """
    patterns = ("tokenizer*", "tekken*", "*.tiktoken", "vocab*", "*.model", "merges.txt")
    return folder.is_dir() and not any(any(folder.glob(pattern)) for pattern in patterns)


def untrusted(name: str, what: str) -> str:
    """Why a model is refused that brings code."""
    return (
        f"{name} brings code of its own for its {what}, and nothing has run it: read that code, "
        "then give --trust-remote-code to run it"
    )


def no_tokenizer(name: str) -> str:
    """What to do about a model without one."""
    return (
        f"{name} has no tokenizer; expected tokenizer.json beside the weights: save the model's "
        "own there with save_pretrained"
    )

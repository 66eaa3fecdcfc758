"""What went wrong while a model was loaded, in one line with the next step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from compread.errors import ModelError, flag, option
from compread.model.load.folders import damaged_weights, has_weights, what_is_held
from compread.model.load.hub import gated


@contextmanager
def as_model_error(name: str, what: str) -> Iterator[None]:
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
                f"{name} does not fit into the device's memory; try "
                f"{option('dtype', 'bfloat16')} or {option('device-map', 'auto')}"
            )
        elif what == "model" and (damaged := _damaged(Path(name).expanduser())):
            reason = f"{damaged} of {name} is damaged or was cut short: fetch it again ({first})"
        elif what == "model" and (held := _holds_no_weights(Path(name).expanduser())):
            reason = f"{name} has a config.json, but no weights; {held}"
        elif what == "tokenizer" and (lacking := _lacking_for_sentence_piece(name)):
            reason = (
                f"{name} has its vocabulary in SentencePiece's tokenizer.model alone, which needs "
                f"{' and '.join(lacking)}: pip install {' '.join(lacking)}"
            )
        elif what == "tokenizer" and _lacks_tokenizer_files(Path(name).expanduser()):
            reason = no_tokenizer(name)
        elif "custom code" in text and "trust_remote_code" in text:
            reason = untrusted(name, what)
        elif "ignore_mismatched_sizes" in text or "size mismatch for" in text:
            reason = (
                f"{name} has weights of other shapes than its config.json says: the two do not "
                "belong together; fetch the model again"
            )
        elif "Weights only load failed" in text:
            reason = (
                f"{name} has pickled weights that hold more than tensors, which could run any "
                "code; they are not loaded: save them as safetensors where you trust them"
            )
        elif "CVE-2025-32434" in text:
            reason = (
                f"{name} has pickled weights, which transformers reads with torch 2.6 or newer "
                f"only, and torch {torch.__version__} is installed: pip install -U torch, or save "
                "them as safetensors where you trust them"
            )
        elif "does not recognize this architecture" in text or "Tokenizer class" in text:
            reason = f"{name}: {first} Try pip install -U transformers"
        elif isinstance(error, ImportError) or "pip install" in text:
            reason = f"loading {name} needs a package that is not installed: {first}"
        elif "gated repo" in text:
            reason = gated(name)
        else:
            reason = f"cannot load the {what} of {name}: {first}{_newer(name)}"
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


def _newer(name: str) -> str:
    """A next step where a later transformers has saved a model than the one that reads it."""
    installed = version("transformers")
    try:
        path = _path(name, "config.json")
        written = str(json.loads(path.read_text("utf-8"))["transformers_version"] if path else "")
        saved, here = ([int(part) for part in text.split(".")[:2]] for text in (written, installed))
    except (KeyError, OSError, TypeError, ValueError):
        return ""
    if saved <= here:
        return ""
    return (
        f"; transformers {written} has saved it and {installed} is installed: try "
        "pip install -U transformers"
    )


def _damaged(folder: Path) -> str | None:
    return damaged_weights(folder) if folder.is_dir() else None


def _holds_no_weights(folder: Path) -> str | None:
    """What a local folder holds instead of weights; None where it has some."""
    if not folder.is_dir() or has_weights(folder):
        return None
    held = what_is_held(folder)
    return f"it holds {held}" if held else "expected model.safetensors beside it: fetch it too"


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
        f"then give {flag('trust-remote-code')} to run it"
    )


def has_vocabulary(folder: Path) -> bool:
    """Whether a local folder has a file with a vocabulary of its own."""
    patterns = ("tokenizer.json", "tekken*", "*.tiktoken", "vocab*", "*.model")
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _lacking_for_sentence_piece(name: str) -> list[str]:
    """Packages that are missing where the only vocabulary is SentencePiece's ``tokenizer.model``.

    Without them transformers tries the file as one of tiktoken's, and complains of that.
    """
    if not _has_file(name, "tokenizer.model") or _has_file(name, "tokenizer.json"):
        return []
    packages = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
    return [package for module, package in packages.items() if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is missing, or it was blocked
        return False


def _has_file(name: str, file: str) -> bool:
    """Whether a model has a file: in its folder, or in the local cache of the hub."""
    found = _path(name, file)
    return found is not None and found.is_file()


def _path(name: str, file: str) -> Path | None:
    """Where a model's file would be; None where the hub's cache does not know it."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder / file
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def no_tokenizer(name: str) -> str:
    """What to do about a model without one."""
    return (
        f"{name} has no tokenizer; expected tokenizer.json beside the weights: save the model's "
        "own there with save_pretrained"
    )

"""Loading a model and its tokenizer: a hub id, a folder or a ``.gguf`` file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compread.errors import ModelError, UsageError
from compread.model import facts
from compread.model.blocks import config_value
from compread.model.gguf_file import begin_as_stated, unpacked
from compread.model.hub import gated, resolve
from compread.model.trace import CausalLM

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Enough of each weight to tell two models apart without reading all of a large one.
_SAMPLES = 64


@dataclass(frozen=True)
class ModelRequest:
    """What the user asked to load."""

    name: str
    """Hub id, folder, or path of a ``.gguf`` file."""
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    offline: bool = False


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode with its tokenizer."""

    request: ModelRequest
    revision: str | None
    """The hub commit that was loaded; None for a local model."""
    model: CausalLM
    tokenizer: Any
    fingerprint: str

    @property
    def model_type(self) -> str:
        """``config.model_type``."""
        return str(self.model.config.model_type)

    @property
    def dtype(self) -> str:
        """The type the model runs in, such as ``float32``."""
        return str(next(self.model.parameters()).dtype).removeprefix("torch.")

    @property
    def context_length(self) -> int | None:
        """Longest prompt in tokens that the model was made for, where its config says."""
        value = config_value(self.model.config.get_text_config(), facts.CONTEXT_LENGTH)
        return value if isinstance(value, int) and value > 0 else None


def choose_device(device: str) -> torch.device:
    """Resolve ``auto`` to cuda, mps or cpu, and check that a named device exists.

    Raises:
        UsageError: no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            # torchrun tells each process of a machine which of its GPUs is its own.
            local = os.environ.get("LOCAL_RANK")
            return torch.device(
                f"cuda:{int(local) % torch.cuda.device_count()}" if local else "cuda"
            )
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(
            f"no device `{device}`: expected auto, cuda, cuda:1, mps or cpu"
        ) from error
    count = {
        "cpu": 1,
        "mps": int(torch.backends.mps.is_available()),
        "cuda": torch.cuda.device_count(),
    }.get(chosen.type, 0)
    if (chosen.index or 0) >= count:
        raise UsageError(
            f"device `{device}` is not here: this machine has {count} of type "
            f"{chosen.type}; use --device auto to take what there is"
        )
    return chosen


def load_model(request: ModelRequest) -> LoadedModel:
    """Load a model and its tokenizer.

    Raises:
        ModelError: it does not exist, is gated, lacks a file, or needs a package that is missing.
        UsageError: the device or data type does not exist here.
    """
    if request.dtype != "auto" and request.dtype not in DTYPES:
        raise UsageError(f"no data type `{request.dtype}`: expected auto, {', '.join(DTYPES)}")
    device = None if request.device_map else choose_device(request.device)
    source, revision, options = _source(request)
    from transformers import AutoModelForCausalLM

    tokenizer = _tokenizer(request.name, source, options)
    if "gguf_file" in options:
        options |= unpacked()
    with _said_plainly(request.name, "model"):
        auto: Any = AutoModelForCausalLM
        model, loaded = auto.from_pretrained(
            source,
            dtype=DTYPES.get(request.dtype, "auto"),
            device_map=request.device_map,
            output_loading_info=True,
            **options,
        )
        _check_whole(loaded["missing_keys"], request.name)
        model.eval()
        if device is not None and not getattr(model, "hf_device_map", None):
            model = model.to(device)
    return LoadedModel(
        request, revision, model.requires_grad_(False), tokenizer, fingerprint(model)
    )


def load_tokenizer(request: ModelRequest) -> Any:
    """A model's tokenizer without the model.

    Raises:
        ModelError: it does not exist, is gated, or has no vocabulary.
    """
    source, _, options = _source(request)
    return _tokenizer(request.name, source, options)


def _tokenizer(name: str, source: str, options: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    with _said_plainly(name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        if "gguf_file" in options:
            begin_as_stated(tokenizer, Path(source, options["gguf_file"]))
    _check_knows_text(tokenizer, name)
    return tokenizer


def load_config(name: str, revision: str | None = None, offline: bool = False) -> Any:
    """The config of a model: a hub id, a folder, a ``.gguf`` file, or a bare model type.

    Raises:
        ModelError: there is no such model or type, or its config cannot be read.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    if name in CONFIG_MAPPING and not Path(name).exists():
        with _said_plainly(name, "config"):
            return AutoConfig.for_model(name)
    source, _, options = _source(ModelRequest(name, revision, offline=offline))
    with _said_plainly(name, "config"):
        return AutoConfig.from_pretrained(source, **options)


def _source(request: ModelRequest) -> tuple[str, str | None, dict[str, Any]]:
    """Where ``from_pretrained`` should look, at which revision, and with which options."""
    path = Path(request.name).expanduser()
    local = {"local_files_only": True}
    if request.name.endswith(".gguf"):
        if not path.is_file():
            raise ModelError(
                f"no such file: {request.name}; expected a .gguf file, a folder with config.json, "
                "or a hub id"
            )
        return str(path.parent), None, {"gguf_file": path.name, **local}
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(
                f"{request.name} is a folder without a config.json; expected one saved with "
                "save_pretrained"
            )
        return str(path), None, local
    if path.is_absolute() or request.name.startswith((".", "~")) or request.name.count("/") > 1:
        raise ModelError(
            f"no such model: {request.name}; expected a folder with config.json, a .gguf file, or "
            "a hub id such as EleutherAI/pythia-160m"
        )
    found = resolve(request.name, request.revision, request.offline)
    options = {"revision": found.revision, "local_files_only": found.cached_only}
    return request.name, found.revision, options


def _check_knows_text(tokenizer: Any, name: str) -> None:
    """Refuse a tokenizer without a vocabulary, as transformers makes one where no file has it."""
    sample = tokenizer("Is 1 a word?", add_special_tokens=False)["input_ids"]
    if set(sample) <= set(tokenizer.all_special_ids):
        raise ModelError(_no_tokenizer(name))


def _check_whole(missing: Iterable[str], name: str) -> None:
    """Refuse weights that transformers would fill with random numbers."""
    if lacking := sorted(missing):
        raise ModelError(
            f"{name} lacks {len(lacking)} of the weights of a causal language model, such as "
            f"{lacking[0]}; expected a complete one: load it again from where it came"
        )


def _no_tokenizer(name: str) -> str:
    return (
        f"{name} has no tokenizer; expected tokenizer.json beside the weights: save the model's "
        "own there with save_pretrained"
    )


@contextmanager
def _said_plainly(name: str, what: str) -> Iterator[None]:
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
            reason = _no_tokenizer(name)
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


def fingerprint(model: CausalLM) -> str:
    """A hash that tells two models apart: the type, and a spread sample of every weight's bytes.

    The rest of the config is left out: other versions of transformers fill in other defaults.
    """
    digest = hashlib.sha256(str(model.config.model_type).encode())
    for name, weight in sorted(model.named_parameters()):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        if not weight.is_meta and weight.numel():
            step = max(1, weight.numel() // _SAMPLES)
            sample = weight.detach().reshape(-1)[::step][:_SAMPLES].cpu().contiguous()
            digest.update(sample.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]

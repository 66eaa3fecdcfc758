"""What a file or folder is that no model can be loaded from, in words with the way out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from compread.errors import ModelError, option

_POINTER = b"version https://git-lfs.github.com/spec/"
_NEEDED = (
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "tekken.json",
    "vocab.*",
    "merges.txt",
    "*.tiktoken",
    "model*.safetensors",
    "*.index.json",
    "adapter_*",
)
"""What the loaders read of a folder; other files may be pointers without harm."""
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".nemo")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")

_FORMATS = {
    "*.gguf": "a .gguf file, {file}: give the path of the file itself",
    "*.onnx": "weights for ONNX, {file}, which have no modules to look into: take the original",
    "tf_model.h5": "TensorFlow's weights, {file}: save them with PyTorch first",
    "flax_model.msgpack": "Flax's weights, {file}: save them with PyTorch first",
    "*.mlpackage": "weights for Core ML, {file}: take the original",
    "openvino_model.xml": "weights for OpenVINO, {file}: take the original",
    "consolidated*": "weights in their maker's own layout, {file}: take the folder that was "
    "converted for transformers",
    "*.distcp": "a distributed checkpoint, {file}: merge it first (accelerate merge-weights)",
    "global_step*": "DeepSpeed's states, {file}: run the zero_to_fp32.py beside them first",
    "*_states.pt": "DeepSpeed's states, {file}: run the zero_to_fp32.py beside them first",
    "optimizer*": "an optimizer's states, {file}, and no weights: take a whole checkpoint",
    "*.safetensors": "weights, {file}, without the rest: put the model's config.json beside them",
    "*.bin": "weights, {file}, without the rest: put the model's config.json beside them",
    "*.pt*": "PyTorch's own file {file}: save the model with save_pretrained",
}
"""By a pattern of file names: what a folder holds instead of a model, the surest sign first."""


def check_file(path: Path, name: str) -> None:
    """Refuse a file that is no ``.gguf`` file, or only stands for one.

    Raises:
        ModelError: what it is instead.
    """
    _refuse_pipes([path], name)
    kind = path.suffix.lower()
    if kind == ".gguf":
        refuse_pointers([path], name)
        if _starts(path, 4) != b"GGUF":
            raise ModelError(f"{name} is no GGUF file, whatever its name: fetch it again")
    elif kind in _ARCHIVES:
        raise ModelError(f"{name} is an archive: unpack it and give the folder")
    elif _starts(path, 4) == b"GGUF":
        raise ModelError(f"{name} is a GGUF file under another name: let it end in .gguf")
    elif kind in _WEIGHTS:
        raise ModelError(
            f"{name} is a single file of weights: give the folder that holds it with its "
            "config.json"
        )
    else:
        raise ModelError(f"{name} is a file; expected a folder with config.json or a .gguf file")


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that holds something else than a model's config, or pointers for files.

    Raises:
        ModelError: what it holds instead.
    """
    _refuse_pipes(folder.iterdir(), name)
    refuse_pointers(_needed(folder), name)
    if (folder / "adapter_config.json").is_file():
        beside = (folder / "config.json").is_file()
        raise ModelError(adapter_not_model(name, beside=beside))
    if (folder / "config.json").is_file():
        return
    if not any(folder.iterdir()):
        raise ModelError(f"{name} is an empty folder; expected one saved with save_pretrained")
    if inside := _models_inside(folder):
        more = f" or one of {len(inside) - 1} more" if len(inside) > 1 else ""
        raise ModelError(
            f"{name} is a folder without a config.json, but {inside[-1]} in it has one: give "
            f"{folder / inside[-1]}{more}"
        )
    held = what_is_held(folder)
    raise ModelError(
        f"{name} is a folder without a config.json; "
        + (f"it holds {held}" if held else "expected one saved with save_pretrained")
    )


def adapter_not_model(name: str, *, beside: bool = False) -> str:
    """What to do about an adapter that is given as a model."""
    if beside:
        return (
            f"{name} holds an adapter (adapter_config.json) beside a model, and which of the two "
            "is meant is unclear: move the adapter to a folder of its own and give "
            f"it to {option('adapter')}"
        )
    return (
        f"{name} is an adapter, not a model: give the model that it was trained on to "
        f"{option('model')}, and {option('adapter', name)}"
    )


def what_is_held(folder: Path) -> str:
    """What a folder without a model's weights holds instead; empty where nothing is known."""
    for pattern, words in _FORMATS.items():
        if found := sorted(folder.glob(pattern)):
            return words.format(file=found[0].name)
    inside = next(iter(sorted(folder.glob("*/*.onnx"))), None)
    return _FORMATS["*.onnx"].format(file=inside.relative_to(folder)) if inside else ""


def has_weights(folder: Path) -> bool:
    """Whether a folder has weights under a name that transformers looks for."""
    patterns = ("model*.safetensors", "pytorch_model*.bin")
    return any(next(folder.glob(pattern), None) is not None for pattern in patterns)


def refuse_pointers(files: Iterable[Path], name: str) -> None:
    """Refuse files that git-lfs left as pointers to what they should be.

    Raises:
        ModelError: the first that is one.
    """
    for file in files:
        if file.is_file() and _starts(file, len(_POINTER)) == _POINTER:
            place = "" if str(file) == str(Path(name).expanduser()) else f"{file.name} of "
            raise ModelError(
                f"{place}{name} is a git-lfs pointer, not the file itself: run `git lfs pull` in "
                "that folder"
            )


def _refuse_pipes(files: Iterable[Path], name: str) -> None:
    """Refuse what would be waited for when it is opened: a FIFO, a device or a socket."""
    for file in files:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise ModelError(f"{name}: {file.name} is a pipe or a device; expected a regular file")


def damaged_weights(folder: Path) -> str | None:
    """The name of a safetensors file that is not whole, as one that was cut short is not."""
    files = sorted(folder.glob("*.safetensors"))
    return next((file.name for file in files if not _is_whole(file)), None)


def _is_whole(file: Path) -> bool:
    """Whether a safetensors file is as long as its header says.

    The format: the header's length in eight bytes, the header in JSON, then the tensors' bytes.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(min(length, size)))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        return 8 + length + max(ends, default=0) == size
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        return False


def _needed(folder: Path) -> list[Path]:
    """The files that the loaders will read."""
    patterns = list(_NEEDED)
    if not any(folder.glob("model*.safetensors")):
        patterns.append("pytorch_model*.bin")
    if not (folder / "tokenizer.json").is_file():
        patterns.append("*.model")
    return [file for pattern in patterns for file in sorted(folder.glob(pattern))]


def _models_inside(folder: Path) -> list[Path]:
    """Subfolders with a config, the last checkpoint last; a hub cache's are two levels down."""
    found = [file.parent.relative_to(folder) for file in folder.glob("*/config.json")]
    found += [file.parent.relative_to(folder) for file in folder.glob("snapshots/*/config.json")]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _starts(file: Path, count: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(count)
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error

"""Where the files of a model are: a folder, a ``.gguf`` file, or a commit on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from compread.errors import ModelError
from compread.model.load.folders import check_file, check_folder
from compread.model.load.hub import resolve
from compread.model.load.request import ModelRequest


class ModelSource(NamedTuple):
    """Where ``from_pretrained`` should look, at which commit, and with which options."""

    place: str
    revision: str | None
    """The hub commit; None for a local model."""
    options: dict[str, Any]


def find_source(
    name: str, revision: str | None, offline: bool, trust_remote_code: bool = False
) -> ModelSource:
    """Find a model by hub id, folder or path of a ``.gguf`` file.

    Unless its code is trusted, every loader is told so: left open, they ask on standard input.

    Raises:
        ModelError: there is none.
    """
    path = Path(name).expanduser()
    trust = {"trust_remote_code": trust_remote_code}
    local = {"local_files_only": True, **trust}
    if name.endswith(".gguf"):
        if path.exists() and not path.is_dir():
            check_file(path, name)
        else:
            raise ModelError(
                f"no such file: {name}; expected a .gguf file, a folder with config.json, "
                "or a hub id"
            )
        return ModelSource(str(path.parent), None, {"gguf_file": path.name, **local})
    if path.is_dir():
        check_folder(path, name)
        return ModelSource(str(path), None, local)
    if path.exists():
        check_file(path, name)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(
            f"no such model: {name}; expected a folder with config.json, a .gguf file, or "
            "a hub id such as EleutherAI/pythia-160m"
        )
    found = resolve(name, revision, offline)
    options = {"revision": found.revision, "local_files_only": found.cached_only, **trust}
    return ModelSource(name, found.revision, options)


def saved_bytes(request: ModelRequest) -> int | None:
    """Bytes of a model's saved weights; None where they are on the hub."""
    path = Path(request.name).expanduser()
    if path.is_file():
        return path.stat().st_size
    if not path.is_dir():
        return None
    for pattern in ("*.safetensors", "*.bin"):  # a folder may have the same weights in both
        if files := list(path.glob(pattern)):
            return sum(file.stat().st_size for file in files)
    return None

"""Where stores are: the files a command line names, and the files that stand beside a target."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from compread.errors import StoreError, command
from compread.text import one_line

MODEL_PLACE = "{model}"
"""What stands for a model's base name in an output path."""


def journal_path(target: Path) -> Path:
    """Where the finished rows of an unfinished run are kept: ``x.h5`` has ``x.h5.partial``."""
    return target.with_name(target.name + ".partial")


def part_path(target: Path, rank: int) -> Path:
    """The target that the process of this rank writes beside ``target``; rank 0 writes that."""
    return target.with_name(f"{target.name}.rank{rank}") if rank else target


def part_journals(target: Path) -> list[Path]:
    """The journals that other processes have left beside a target."""
    pattern = f"{glob.escape(target.name)}.rank*.partial"
    return sorted(target.parent.glob(pattern)) if target.parent.is_dir() else []


def in_model_folder(output: Path, model: str) -> Path:
    """``stores/{model}`` with the model's base name; a path without ``{model}`` as it is.

    ``in_model_folder(Path("a/{model}"), "meta-llama/Llama-2-7b-hf")`` is ``a/Llama-2-7b-hf``.
    """
    if MODEL_PLACE not in str(output):
        return output
    name = model.replace(os.sep, "/").rstrip("/").rpartition("/")[2].removesuffix(".gguf")
    if name.strip(".") == "":
        name = Path(model).resolve().name
    name = re.sub(r"[^\w.+=@-]", "_", name)
    return Path(str(output).replace(MODEL_PLACE, name))


def store_paths(arguments: Iterable[str], stdin: TextIO | None = None) -> list[Path]:
    """The stores that STORE arguments mean, in the order given and each once.

    An argument is a file (which need not exist: opening it tells what is wrong), a folder (its
    ``*.h5`` and those of its subfolders, see ``files_below``) or ``-`` (one of these a line on
    ``stdin``).

    Raises:
        StoreError: a folder without stores or that cannot be read, ``-`` without lines, or no
            argument at all.
    """
    paths: dict[Path, Path] = {}
    for argument in arguments:
        for name in paths_on(stdin) if argument == "-" else [argument]:
            with must_read(name):
                for path in _expand(name):
                    paths.setdefault(path.resolve(), path)
    if not paths:
        raise StoreError("no store given: name a .h5 file, a folder of them, or - for stdin")
    return list(paths.values())


@contextmanager
def must_read(name: str | Path) -> Iterator[None]:
    """Turn what the system says of a path that it cannot follow or list into a ``StoreError``."""
    try:
        yield
    # A NUL in a path is a ValueError, a loop of links a RuntimeError before Python 3.13.
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise StoreError(
            f"{name}: cannot be read ({reason}); give a path that this user may read"
        ) from error


def paths_on(stdin: TextIO | None) -> list[str]:
    """The paths on standard input, one a line.

    Raises:
        StoreError: there is none.
    """
    lines = [] if stdin is None else [line.rstrip("\r\n") for line in stdin]
    if not (names := [line for line in lines if line.strip()]):
        raise StoreError("no store paths on stdin: - wants one path a line, as extract prints them")
    return names


def _expand(name: str) -> list[Path]:
    if not name:
        raise StoreError("a store's path is empty: name a .h5 file or a folder; . is this folder")
    path = Path(name)
    if not path.is_dir():
        return [path]
    files = files_below(path)
    stores = [file for file in files if file.suffix == ".h5" and file.is_file()]
    if not stores:
        unfinished = sum(file.name.endswith(".h5.partial") for file in files)
        begun = f" but {unfinished} unfinished: run the same extract again"
        hint = begun if unfinished else f": {command('extract')} writes them"
        raise StoreError(f"{path}: no finished store (*.h5) in this folder or its subfolders{hint}")
    return stores


def files_below(folder: Path) -> list[Path]:
    """All but folders in a folder and its subfolders, by name, its own before its subfolders'.

    What begins with a dot is left out, and links to folders are not followed: they may lead back.

    Raises:
        OSError: a folder cannot be listed.
    """

    def give_up(error: OSError) -> None:
        raise error

    found: list[Path] = []
    for place, below, names in os.walk(folder, onerror=give_up):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    return found

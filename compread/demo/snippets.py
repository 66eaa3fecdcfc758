"""The human-rated movie-review snippets of vaderSentiment as a task's rows.

Hutto and Gilbert (2014, VADER, ICWSM) had 10,605 snippets of movie reviews rated from −4 to 4 by
twenty people each. The task ``movie_snippets`` takes those with a clear mean rating; its rows are
made here from the package's source archive and are not part of compread.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from compread.errors import FetchError

OUTER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
INNER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
CLEAR = 1.0
"""Smallest |mean rating| of a row; what lies between is mixed."""

Rows = Sequence[Mapping[str, str | int]]


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


def split_snippets(rows: Rows) -> dict[str, Rows]:
    """About half of the rows as ``train``, the others as ``test``, by the hash of their text."""
    halves: dict[str, list[Mapping[str, str | int]]] = {"train": [], "test": []}
    for row in rows:
        odd = sha256(str(row["sentence"]).encode()).digest()[0] % 2
        halves["test" if odd else "train"].append(row)
    return dict(halves)


def to_json_lines(rows: Rows) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        file = opened.extractfile(name)
        if file is None:
            raise KeyError(f"{name} is not a regular file")
        return file.read()

"""The weights file: fitted methods as one JSON document that another command can use.

    {"format": "compread-weights", "format_version": 1, "compread": "0.1.0",
    "checksum": "…",
    "fits": [fit, …],
    "ensembles": [ensemble, …]}

The checksum is the SHA-256 of all else in its shortest form with sorted keys, so that any change of
a value is found and none of the spaces. It has a line of its own: without that line the file is
read as those are that older versions wrote. A fit has the method with its recipe and
hyperparameters, the component axis, the labels with their tokens, the fitted arrays, how training
ended (``epochs``, ``gap``), the run and the rows it was fitted on, its temperature, and its scores
(``weights_json``). A file with ensembles is of format version 2; each of them has its members as
fits, and how their scores are averaged.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compread.errors import StoreError, either
from compread.output_files import write_file
from compread.reweight.ensemble import Ensemble
from compread.reweight.fit import Fit, unsolved
from compread.reweight.weights_json import (
    ensemble_from_json,
    ensemble_to_json,
    fit_from_json,
    fit_to_json,
)
from compread.version import __version__

FORMAT = "compread-weights"
FORMAT_VERSION, WITH_ENSEMBLES = 1, 2
"""Of files with fits alone, and of those with ensembles, which a version before would overlook."""
KEYS = {"format", "format_version", "compread", "checksum", "fits", "ensembles"}
SAVE = either("`compread reweight --save`", "`compread.reweight(...).save`")
GIVE = f"give a file that {SAVE} wrote"


@dataclass(frozen=True)
class Weights:
    """What a weights file holds."""

    fits: tuple[Fit, ...]
    ensembles: tuple[Ensemble, ...] = ()
    checked: bool = True
    """Whether a checksum vouches for them; files of older versions have none."""

    def doubts(self, path: Path) -> tuple[str, ...]:
        """What a user should know of the file that they were read from, a line each."""
        unchecked = f"{path} has no checksum, so a changed number would go unnoticed"
        far = (f"{path}: {line}" for line in unsolved(self.fits))
        return (*([] if self.checked else [unchecked]), *far)

    def write(self, path: Path, force: bool = False) -> None:
        """Writes the file beside its target and renames it, so that it is there whole or not.

        Raises:
            TargetError: the target exists and ``force`` is off, or it cannot be written.
        """
        version = WITH_ENSEMBLES if self.ensembles else FORMAT_VERSION
        head = {"format": FORMAT, "format_version": version, "compread": __version__}
        lists = {"fits": [fit_to_json(fit) for fit in self.fits]}
        if self.ensembles:
            lists["ensembles"] = [ensemble_to_json(one) for one in self.ensembles]
        text = f'{json.dumps(head)[:-1]},\n"checksum": "{checksum({**head, **lists})}"'
        for name, items in lists.items():
            lines = ",\n".join(json.dumps(item, allow_nan=False) for item in items)
            text += f',\n"{name}": [\n{lines}\n]'
        write_file(path, text + "}\n", force)

    @classmethod
    def read(cls, path: Path) -> Weights:
        """The inverse of ``write``.

        Raises:
            StoreError: the file is missing, not a weights file, of a newer version, or damaged.
        """
        document = _document(path)
        _check(document, path)
        fits = document.get("fits")
        if not isinstance(fits, list) or not fits:
            raise StoreError(f"{path} holds no fits; write it again with `compread reweight`")
        read = tuple(fit_from_json(fit, f"{path}: fit {i}") for i, fit in enumerate(fits, 1))
        return cls(read, _ensembles(document, path), checked="checksum" in document)


def checksum(document: dict[str, Any]) -> str:
    """The checksum of a weights file's document, whatever checksum it has."""
    rest = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("ascii")).hexdigest()


def _check(document: dict[str, Any], path: Path) -> None:
    # A checksum whose name is damaged must not read as none.
    if unknown := sorted(set(document) - KEYS):
        raise StoreError(f"{path} is damaged: it has a field {unknown[0]!r:.60}; {GIVE}")
    if "checksum" in document and document["checksum"] != checksum(document):
        raise StoreError(
            f"{path} does not agree with its checksum: it is damaged or was edited; write it again "
            f"with {SAVE}, or take out its line `checksum` if the edit is meant"
        )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such weights file; {SAVE} writes one") from error
    except IsADirectoryError as error:
        raise StoreError(f"{path} is a folder; {GIVE}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not a readable weights file ({error}); {GIVE}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoreError(f"{path} is not a weights file (`format` is not {FORMAT!r}); {GIVE}")
    version = document.get("format_version")
    if type(version) is not int or version not in (FORMAT_VERSION, WITH_ENSEMBLES):
        raise StoreError(
            f"{path} has format version {version!r:.60}; this compread reads {FORMAT_VERSION} and "
            f"{WITH_ENSEMBLES}; install the compread that wrote it, or fit the weights again"
        )
    return document


def _read(path: Path) -> bytes:
    """What a file holds; of a pipe, what is written to it, and nothing where nobody does."""
    # Opening would wait for somebody who writes to it; reading then ends at once.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        os.set_blocking(file.fileno(), True)
        return file.read()


def _ensembles(document: dict[str, Any], path: Path) -> tuple[Ensemble, ...]:
    found = document.get("ensembles", [])
    if not isinstance(found, list) or bool(found) != (document["format_version"] == WITH_ENSEMBLES):
        raise StoreError(f"{path} is damaged: its version and its ensembles disagree; {GIVE}")
    return tuple(ensemble_from_json(one, f"{path}: ensemble {i}") for i, one in enumerate(found, 1))

"""The weights file: fitted methods as one JSON document that another command can use.

    {"format": "compread-weights", "format_version": 1, "compread": "0.1.0",
    "checksum": "…",
    "fits": [fit, …]}

The checksum is the SHA-256 of all else in its shortest form with sorted keys, so that any change of
a value is found and none of the spaces. It has a line of its own: without that line the file is
read as those are that older versions wrote. A fit has the method with its recipe and
hyperparameters, the component axis, the labels with their tokens, the fitted arrays, the run and
the rows it was fitted on, and its scores. Numbers are written so that reading gives the same bits
back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compread import __version__
from compread.errors import StoreError
from compread.output_files import write_file
from compread.reweight.fit import Fit
from compread.reweight.weights_fields import fit_from_json

FORMAT = "compread-weights"
FORMAT_VERSION = 1
KEYS = {"format", "format_version", "compread", "checksum", "fits"}
GIVE = "give a file that `compread reweight --save` wrote"


@dataclass(frozen=True)
class Weights:
    """What a weights file holds."""

    fits: tuple[Fit, ...]
    checked: bool = True
    """Whether a checksum vouches for them; files of older versions have none."""

    def write(self, path: Path, force: bool = False) -> None:
        """Writes the file beside its target and renames it, so that it is there whole or not.

        Raises:
            TargetError: the target exists and ``force`` is off, or it cannot be written.
        """
        head = {"format": FORMAT, "format_version": FORMAT_VERSION, "compread": __version__}
        fits = [_to_json(fit) for fit in self.fits]
        lines = ",\n".join(json.dumps(fit, allow_nan=False) for fit in fits)
        digest = checksum({**head, "fits": fits})
        text = f'{json.dumps(head)[:-1]},\n"checksum": "{digest}",\n"fits": [\n{lines}\n]}}\n'
        write_file(path, text, force)

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
        return cls(read, checked="checksum" in document)


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
            "with `compread reweight --save`, or take out its line `checksum` if the edit is meant"
        )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such weights file") from error
    except IsADirectoryError as error:
        raise StoreError(f"{path} is a folder; {GIVE}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not a readable weights file ({error}); {GIVE}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoreError(f"{path} is not a weights file (`format` is not {FORMAT!r}); {GIVE}")
    version = document.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise StoreError(
            f"{path} has format version {version!r:.60}; this compread reads {FORMAT_VERSION}; "
            "install the compread that wrote it, or fit the weights again"
        )
    return document


def _read(path: Path) -> bytes:
    """What a file holds; of a pipe, what is written to it, and nothing where nobody does."""
    # Opening would wait for somebody who writes to it; reading then ends at once.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        os.set_blocking(file.fileno(), True)
        return file.read()


def _to_json(fit: Fit) -> dict[str, Any]:
    columns: dict[str, Sequence[Any]] = {
        "name": [component.name for component in fit.components],
        "kind": [component.kind for component in fit.components],
        "layer": [component.layer for component in fit.components],
        "head": [component.head for component in fit.components],
    }
    return {
        "method": fit.method,
        "recipe": fit.recipe,
        "hyperparameters": fit.hyperparameters,
        "epochs": fit.fitted.epochs,
        "store": fit.store,
        "run": fit.run.to_dict(),
        "n_train": len(fit.train_ids),
        "train_ids": fit.train_ids,
        "train_accuracy": fit.train_accuracy,
        "test": None if fit.test is None else asdict(fit.test),
        "labels": asdict(fit.labels),
        "words": asdict(fit.words),
        "pool": fit.pool,
        "components": columns,
        "parameters": {name: array.tolist() for name, array in fit.fitted.parameters().items()},
    }

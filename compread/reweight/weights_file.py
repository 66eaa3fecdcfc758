"""The weights file: fitted methods as one JSON document that another command can use.

    {"format": "compread-weights", "format_version": 1, "compread": "0.1.0",
    "checksum": "…",
    "fits": [fit, …],
    "ensembles": [ensemble, …]}

The checksum is the SHA-256 of all else in its shortest form with sorted keys, so that any change of
a value is found and none of the spaces. It has a line of its own: without that line the file is
read as those are that older versions wrote. A fit has the method with its recipe and
hyperparameters, the component axis, the labels with their tokens, the fitted arrays, how training
ended (``epochs``, ``gap``), the run and the rows it was fitted on, its temperature, and its scores.
Numbers are written so that reading gives the same bits back. A file with ensembles is of format
version 2; each of them has its members as fits, and how their scores are averaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compread.analysis.calibration import Calibration
from compread.components import KINDS, Component
from compread.errors import StoreError, either
from compread.options import ENSEMBLES, POOLS
from compread.output_files import write_file
from compread.reweight.ensemble import Ensemble
from compread.reweight.fit import CALIBRATION, Fit, HeldOutAccuracy, unsolved
from compread.reweight.method import Fitted
from compread.reweight.registry import METHODS
from compread.store.schema import Labels, RunInfo
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
        lists = {"fits": [_to_json(fit) for fit in self.fits]}
        if self.ensembles:
            lists["ensembles"] = [_ensemble_to_json(one) for one in self.ensembles]
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
        raise StoreError(f"{path}: no such weights file") from error
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
        "gap": fit.fitted.gap,
        "store": fit.store,
        "run": fit.run.to_dict(),
        "n_train": len(fit.train_ids),
        "train_ids": fit.train_ids,
        "train_accuracy": fit.train_accuracy,
        "temperature": fit.temperature,
        "test": None if fit.test is None else asdict(fit.test),
        "labels": asdict(fit.labels),
        "words": asdict(fit.words),
        "pool": fit.pool,
        "components": columns,
        "parameters": {name: array.tolist() for name, array in fit.fitted.parameters().items()},
    }


def fit_from_json(values: Any, where: str) -> Fit:
    """The fit that ``values`` describes; ``where`` says in messages which fit of which file.

    Raises:
        StoreError: a field is missing, or its value cannot be.
    """
    if not isinstance(values, dict):
        raise StoreError(f"{where} is not an object")
    method = _field(values, "method", str, where)
    if method not in METHODS:
        raise StoreError(
            f"{where}: this compread has no method {method!r}; it has {', '.join(METHODS)}"
        )
    components = _components(_field(values, "components", dict, where), where)
    labels = _labels(_field(values, "labels", dict, where), where)
    sizes = {"C": len(components), "K": len(labels.word)}
    train_ids = _list(values, "train_ids", str, where)
    if _field(values, "n_train", int, where) != len(train_ids):
        raise StoreError(f"{where}: `n_train` is not the number of `train_ids`")
    test = _field(values, "test", dict, where, optional=True)
    return Fit(
        store=_field(values, "store", str, where),
        run=_run(_field(values, "run", dict, where), where),
        components=components,
        labels=labels,
        words=_words(_field(values, "words", dict, where), labels, where),
        pool=_pool(_field(values, "pool", str, where), where),
        method=method,
        recipe=_field(values, "recipe", str, where, optional=True),
        hyperparameters=_field(values, "hyperparameters", dict, where),
        train_ids=train_ids,
        train_accuracy=_field(values, "train_accuracy", float, where, optional=True),
        fitted=_fitted(METHODS[method].fitted, values, sizes, where),
        test=None if test is None else _scores(test, where),
        temperature=_temperature(values, where),
    )


def _ensemble_to_json(one: Ensemble) -> dict[str, Any]:
    return {
        "how": one.how,
        "n_train": one.n_train,
        "sizes": one.sizes,
        "columns": one.columns,
        "test": None if one.test is None else asdict(one.test),
        "members": [_to_json(member) for member in one.members],
    }


def _ensembles(document: dict[str, Any], path: Path) -> tuple[Ensemble, ...]:
    found = document.get("ensembles", [])
    if not isinstance(found, list) or bool(found) != (document["format_version"] == WITH_ENSEMBLES):
        raise StoreError(f"{path} is damaged: its version and its ensembles disagree; {GIVE}")
    return tuple(_ensemble(one, f"{path}: ensemble {i}") for i, one in enumerate(found, 1))


def _ensemble(values: Any, where: str) -> Ensemble:
    if not isinstance(values, dict):
        raise StoreError(f"{where} is not an object")
    how = _field(values, "how", str, where)
    members = tuple(
        fit_from_json(member, f"{where}: member {i}")
        for i, member in enumerate(_field(values, "members", list, where), 1)
    )
    if how not in ENSEMBLES or len(members) < 2 or len({fit.title for fit in members}) > 1:
        known = ", ".join(ENSEMBLES)
        raise StoreError(f"{where} should be of several fits of one method, its `how` of {known}")
    labels = list(range(len(members[0].labels.word)))
    columns = _list(values, "columns", list, where)
    if [sorted(map(repr, of)) for of in columns] != [sorted(map(repr, labels))] * len(members):
        raise StoreError(f"{where}: `columns` should have each of {labels} for each member")
    sizes = _list(values, "sizes", float, where)
    if len(sizes) != len(members) or not all(0 < size < float("inf") for size in sizes):
        raise StoreError(f"{where}: `sizes` should be a number above 0 for each member")
    test = _field(values, "test", dict, where, optional=True)
    return Ensemble(
        how, members, sizes, tuple(map(tuple, columns)), _field(values, "n_train", int, where),
        None if test is None else _scores(test, where),
    )  # fmt: skip


def _field(
    values: dict[str, Any], name: str, kind: type, where: str, optional: bool = False
) -> Any:
    """The value of a field, which must be there and of its kind (or null if ``optional``)."""
    if name not in values:
        raise StoreError(f"{where} has no `{name}`; write the file again with `compread reweight`")
    value = values[name]
    if optional and value is None:
        return None
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not kind or kind is float:
        raise StoreError(f"{where}: `{name}` should be of type {kind.__name__}, not {value!r:.60}")
    return value


def _list(values: dict[str, Any], name: str, kind: type, where: str) -> tuple[Any, ...]:
    items = _field(values, name, list, where)
    if any(type(item) is not kind for item in items):
        raise StoreError(f"{where}: `{name}` should be a list of type {kind.__name__}")
    return tuple(items)


def _components(columns: dict[str, Any], where: str) -> tuple[Component, ...]:
    names = _list(columns, "name", str, where)
    kinds = _list(columns, "kind", str, where)
    layers = _list(columns, "layer", int, where)
    heads = _list(columns, "head", int, where)
    if not len(names) == len(kinds) == len(layers) == len(heads):
        raise StoreError(f"{where}: the columns of `components` differ in length")
    axis = tuple(Component(*entry) for entry in zip(kinds, layers, heads, strict=True))
    for component, name in zip(axis, names, strict=True):
        if component.kind not in KINDS or component.name != name:
            raise StoreError(f"{where}: component {name!r} does not match its kind and position")
    return axis


def _labels(columns: dict[str, Any], where: str) -> Labels:
    labels = Labels(_list(columns, "word", str, where), _list(columns, "token_id", int, where))
    if len(labels.word) != len(labels.token_id) or len(labels.word) < 2:
        raise StoreError(f"{where}: `labels` needs two or more words with one token id each")
    return labels


def _words(columns: dict[str, Any], labels: Labels, where: str) -> Labels:
    """The label words; their classes are the labels, in their order."""
    names = _list(columns, "class_name", str, where)
    words = Labels(
        _list(columns, "word", str, where), _list(columns, "token_id", int, where), names
    )
    if not len(words.word) == len(words.token_id) == len(names) or words.classes != labels.word:
        raise StoreError(f"{where}: `words` needs a token and a class of `labels` for each word")
    return words


def _pool(value: str, where: str) -> str:
    if value not in POOLS:
        raise StoreError(f"{where}: `pool` is {value!r}, expected one of {', '.join(POOLS)}")
    return value


def _run(values: dict[str, Any], where: str) -> RunInfo:
    try:
        return RunInfo.from_dict(values)
    except (StoreError, TypeError) as error:
        raise StoreError(f"{where}: `run` is not that of a store ({error})") from error


def _scores(values: dict[str, Any], where: str) -> HeldOutAccuracy:
    shares = {
        name: _field(values, name, float, where)
        for name in ("accuracy", "accuracy_low", "accuracy_high")
    }
    return HeldOutAccuracy(
        **shares,
        n=_field(values, "n", int, where),
        calibration=_calibration(values.get("calibration"), "calibration", where),
        scaled=_calibration(values.get("scaled"), "scaled", where),
    )


def _calibration(values: Any, name: str, where: str) -> Calibration | None:
    """None in files of older versions, too."""
    if values is None:
        return None
    if not isinstance(values, dict):
        raise StoreError(f"{where}: `{name}` should be of type dict, not {values!r:.60}")
    return Calibration(**{key: _field(values, key, float, where) for key in CALIBRATION})


def _temperature(values: dict[str, Any], where: str) -> float | None:
    """None where the file is of a version without temperatures, or none was fitted."""
    if values.get("temperature") is None:
        return None
    found: float = _field(values, "temperature", float, where)
    if not found > 0:
        raise StoreError(f"{where}: `temperature` is {found!r}, expected more than 0")
    return found


def _fitted(
    kind: type[Fitted], values: dict[str, Any], sizes: dict[str, int], where: str
) -> Fitted:
    """The fitted object, its arrays of the shapes that its axis letters say."""
    given = _field(values, "parameters", dict, where)
    for lacked in kind.absent:
        if not set(lacked) & set(given):
            shapes = {name: [sizes[letter] for letter in kind.axes[name]] for name in lacked}
            given = {**given, **{n: np.full(shapes[n], value) for n, value in lacked.items()}}
    if set(given) != set(kind.axes):
        raise StoreError(
            f"{where}: `parameters` has {sorted(given)}, the method has {sorted(kind.axes)}"
        )
    arrays = {}
    for name, letters in kind.axes.items():
        shape = tuple(sizes[letter] for letter in letters)
        try:
            array = np.array(given[name], dtype=float)
        except (TypeError, ValueError, OverflowError) as error:
            raise StoreError(f"{where}: parameter `{name}` is not an array of numbers") from error
        if array.shape != shape:
            raise StoreError(
                f"{where}: parameter `{name}` should be of shape {list(shape)} ({letters}), "
                f"got {list(array.shape)}"
            )
        if not np.isfinite(array).all():
            raise StoreError(
                f"{where}: parameter `{name}` has a number that is not finite; fit it again"
            )
        arrays[name] = array
    return kind(
        epochs=_field(values, "epochs", int, where, optional=True),
        # Files of older versions lack it.
        gap=_field({"gap": None, **values}, "gap", float, where, optional=True),
        **arrays,
    )

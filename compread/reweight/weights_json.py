"""Fits and ensembles as JSON, and back again with every field checked.

Numbers are written so that reading gives the same bits back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from compread.analysis.calibration import Calibration
from compread.components import KINDS, Component
from compread.errors import StoreError
from compread.options import ENSEMBLES, POOLS
from compread.reweight.ensemble import Ensemble
from compread.reweight.fit import Fit
from compread.reweight.method import Fitted
from compread.reweight.registry import METHODS
from compread.reweight.scoring import CALIBRATION, HeldOutAccuracy
from compread.store.schema import Labels, RunInfo


def fit_to_json(fit: Fit) -> dict[str, Any]:
    """A fit as JSON has it."""
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


def ensemble_to_json(one: Ensemble) -> dict[str, Any]:
    """An ensemble as JSON has it, its members as fits."""
    return {
        "how": one.how,
        "n_train": one.n_train,
        "sizes": one.sizes,
        "columns": one.columns,
        "test": None if one.test is None else asdict(one.test),
        "members": [fit_to_json(member) for member in one.members],
    }


def ensemble_from_json(values: Any, where: str) -> Ensemble:
    """The ensemble that ``values`` describes; else as ``fit_from_json``."""
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
    names = _list(columns, "class_name", str, where) if "class_name" in columns else ()
    labels = Labels(
        _list(columns, "word", str, where), _list(columns, "token_id", int, where), names
    )
    lengths = {len(column) for column in (labels.word, labels.token_id, labels.class_name)}
    if len(lengths) > 1 or len(labels.word) < 2:
        raise StoreError(f"{where}: `labels` needs two or more words with one token id each")
    return labels


def _words(columns: dict[str, Any], labels: Labels, where: str) -> Labels:
    """The label words; they are the labels, or several of them are of each label's class."""
    names = _list(columns, "class_name", str, where)
    words = Labels(
        _list(columns, "word", str, where), _list(columns, "token_id", int, where), names
    )
    pooled = len(words.classes) < len(words.word)
    fits = labels.word == (words.classes if pooled else words.word)
    if not len(words.word) == len(words.token_id) == len(names) or not fits:
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

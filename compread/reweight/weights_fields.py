"""Reads one fit of a weights file, each field checked before it is used."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import numpy as np

from compread.components import KINDS, Component
from compread.errors import StoreError
from compread.options import POOLS
from compread.reweight.fit import Fit, Scores
from compread.reweight.method import Fitted
from compread.reweight.registry import METHODS
from compread.store.schema import Labels, RunInfo


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
    )


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


def _scores(values: dict[str, Any], where: str) -> Scores:
    kinds = {field.name: int if field.name == "n" else float for field in fields(Scores)}
    return Scores(**{name: _field(values, name, kind, where) for name, kind in kinds.items()})


def _fitted(
    kind: type[Fitted], values: dict[str, Any], sizes: dict[str, int], where: str
) -> Fitted:
    """The fitted object, its arrays of the shapes that its axis letters say."""
    given = _field(values, "parameters", dict, where)
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
    return kind(epochs=_field(values, "epochs", int, where, optional=True), **arrays)

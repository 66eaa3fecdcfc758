"""A store file's structure, checked on the way in: what it is, and what its metadata say.

Whatever a foreign, cut or altered file can hold ends in one clear error.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py

from compread.components import Component
from compread.errors import StoreError
from compread.store.axes import Axes, SplitRows
from compread.store.datasets import Group
from compread.store.layout import COMPONENTS, LABELS, NUMBERS, ROWS
from compread.store.progress import partial_status
from compread.store.schema import ALL_SPLITS, FORMAT, FORMAT_VERSION, SPLITS, Labels


def check_file(path: Path) -> None:
    """Refuse what is no finished store at first sight.

    Raises:
        StoreError: no such file, a folder, a journal, or not HDF5.
    """
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a folder, wanted a .h5 file in it")
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        status = partial_status(path)
        if status is not None:
            hint = f"{status}: run the same `compread extract` again (without --force) to finish it"
            raise StoreError(f"{path}: is not finished; {hint}") from error
        raise StoreError(f"{path}: no such store: `compread extract` makes one") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    if b"compread journal".startswith(start) and start:
        target = path.with_suffix("")
        raise StoreError(f"{path}: is the journal of an unfinished run, wanted {target.name}")
    if not h5py.is_hdf5(path):
        raise StoreError(f"{path}: not an HDF5 file, or its beginning is damaged; wanted a store")


@contextlib.contextmanager
def damage_is_an_error(path: Path) -> Iterator[None]:
    """Turn whatever h5py raises at a damaged file into one clear error."""
    try:
        yield
    except StoreError as error:
        if str(error).startswith(str(path)):
            raise
        raise StoreError(f"{path}: the store is damaged: {error}") from error
    except MemoryError as error:
        raise StoreError(f"{path}: needs more memory than there is ({error})") from error
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        damaged = f"{path}: the store is damaged or cut short ({reason})"
        raise StoreError(f"{damaged}: copy it again, or extract it anew with --force") from error


def check_attributes(path: Path, file: Any) -> tuple[str, int]:
    """The ``run`` JSON and format version of a file that is a finished store.

    Raises:
        StoreError: somebody else's file, a newer format, or an unfinished one.
        ValueError: no such version.
    """
    attributes = file.attrs
    if "format" not in attributes or text_of(attributes["format"]) != FORMAT:
        raise StoreError(f"{path}: an HDF5 file, but not a store that compread made")
    version = int(attributes["format_version"])
    if version > FORMAT_VERSION:
        newer = f"format version {version}, this compread reads up to {FORMAT_VERSION}"
        raise StoreError(f"{path}: made by a newer compread ({newer}): upgrade compread")
    if version < 1:
        raise ValueError(f"format version {version}")
    if not attributes["complete"]:
        raise StoreError(f"{path}: is not finished: run the same `compread extract` again")
    return text_of(attributes["run"]), version


def splits_of(version: int) -> tuple[str, ...]:
    """The splits that a file of a format version has."""
    return SPLITS if version == 1 else ALL_SPLITS


def read_axes(file: Any, version: int) -> Axes:
    """The components, labels and rows of an open file.

    Raises:
        ValueError: columns that are missing, of another type or length, or that contradict.
    """
    component = Group(file, "components").columns(COMPONENTS)
    components = _components(*(tuple(component[name]) for name in COMPONENTS))
    columns = {name: kind for name, kind in LABELS.items() if version > 1 or name != "class"}
    label = Group(file, "labels").columns(columns)
    labels = Labels(*(tuple(label.get(name, ())) for name in LABELS))
    splits = {split: SplitRows(**Group(file, split).columns(ROWS)) for split in splits_of(version)}
    return Axes(components, labels, splits)


@lru_cache(maxsize=8)
def _components(
    name: tuple[str, ...], kind: tuple[Any, ...], layer: tuple[int, ...], head: tuple[int, ...]
) -> tuple[Component, ...]:
    """A thousand stores of one model share the axis, in time and in memory."""
    components = tuple(map(Component, kind, layer, head))
    if tuple(c.name for c in components) != name:
        raise ValueError("component names do not agree with kind, layer and head")
    return components


def check_numbers(file: Any, axes: Axes, version: int) -> None:
    """See that the number arrays have the type and the shape that the axes ask for.

    Raises:
        ValueError: one has not.
    """
    dtype = axes.row_dtype()
    for split in splits_of(version):
        group, n = Group(file, split), len(axes.splits[split])
        for name, kind in NUMBERS.items():
            group.check(name, kind, (n, *dtype[name].shape))


def text_of(value: Any) -> str:
    """An attribute's text, however HDF5 keeps it."""
    return value.decode() if isinstance(value, bytes) else str(value)

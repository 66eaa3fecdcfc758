"""A store file's structure, checked on the way in: what it is, and what its metadata say.

Whatever a foreign, cut or altered file can hold ends in one clear error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a

from compread.components import Component
from compread.errors import BusyError, StoreError, command, flag
from compread.options import SPLITS, UNCONDITIONAL
from compread.store.answers import answers_from
from compread.store.axes import Axes, SplitRows
from compread.store.datasets import Group, members
from compread.store.guards import Guarded, Guards
from compread.store.layout import ANSWERS, COMPONENTS, GRAMS, LABELS, NUMBERS, ROWS, TEXTS
from compread.store.progress import partial_status
from compread.store.schema import ALL_SPLITS, FORMAT, FORMAT_VERSION, Labels

_ATTRIBUTES = {"format", "format_version", "complete", "run", "checksum"}
_OPEN_ELSEWHERE = ("already open for write", "unable to lock file", "flag values don't match")
"""What HDF5 says of a file that another program writes, or that this one has open otherwise."""


def check_file(path: Path) -> None:
    """Refuse what is no finished store at first sight.

    Raises:
        StoreError: no such file, a folder, a FIFO or a device, a journal, or not HDF5.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise StoreError(f"{path}: is a folder, wanted a .h5 file in it")
        if not stat.S_ISREG(mode):  # opening a FIFO would wait for somebody who writes to it
            raise StoreError(f"{path}: is not a regular file, wanted a store")
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        status = partial_status(path)
        if status is not None:
            hint = (
                f"{status}: run the same {command('extract')} again (without "
                f"{flag('force')}) to finish it"
            )
            raise StoreError(f"{path}: is not finished; {hint}") from error
        raise StoreError(f"{path}: no such store: {command('extract')} makes one") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    if b"compread journal".startswith(start) and start:
        target = path.with_suffix("")
        raise StoreError(f"{path}: is the journal of an unfinished run, wanted {target.name}")
    if not h5py.is_hdf5(path):
        raise StoreError(
            f"{path}: not an HDF5 file, or its beginning is damaged; wanted a store, which "
            f"{command('extract')} writes"
        )


@contextlib.contextmanager
def damage_is_an_error(path: Path, where: str = "") -> Iterator[None]:
    """Turn whatever h5py raises at a damaged file into one clear error.

    Args:
        path: the file.
        where: what is read of it.

    Raises:
        BusyError: another program has it open for writing.
        StoreError: it is damaged.
    """
    try:
        yield
    except StoreError as error:
        if str(error).startswith(str(path)):
            raise
        raise StoreError(
            f"{path}: the store is damaged: {error.message}: copy it again, or extract it "
            f"anew with {flag('force')}"
        ) from error
    except MemoryError as error:
        raise StoreError(f"{path}: needs more memory than there is ({error})") from error
    except (
        OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        _check_busy(path, error, reason)
        at = f" at {where}" if where else ""
        damaged = f"{path}: the store is damaged or cut short{at} ({reason})"
        raise StoreError(
            f"{damaged}: copy it again, or extract it anew with {flag('force')}"
        ) from error


def _check_busy(path: Path, error: Exception, reason: str) -> None:
    """Raise what is to be said of a file that is not damaged, but not for reading either."""
    if not any(words in reason for words in _OPEN_ELSEWHERE):
        return
    # Older versions of h5py have the number in the text alone.
    if any(f"errno = {n}," in reason for n in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)):
        raise StoreError(
            f"{path}: this file system has no locks, and HDF5_USE_FILE_LOCKING asks for one: unset "
            "that, or set it to FALSE"
        ) from error
    raise BusyError(
        f"{path}: a program (perhaps this one) has it open for writing: wait until it is closed; "
        "if that program was killed, `h5clear -s` removes its mark"
    ) from error


def check_attributes(path: Path, file: Any) -> tuple[str, int]:
    """The ``run`` JSON and format version of a file that is a finished store.

    Raises:
        StoreError: somebody else's file, a newer format, or an unfinished one.
        ValueError: no such version.
    """
    if _text(file, "format") != FORMAT:
        raise StoreError(f"{path}: an HDF5 file, but not a store that compread made")
    version = _scalar(file, "format_version", "iu")
    if version > FORMAT_VERSION:
        newer = f"format version {version}, this compread reads up to {FORMAT_VERSION}"
        raise StoreError(f"{path}: made by a newer compread ({newer}): upgrade compread")
    if version < 1:
        raise ValueError(f"format version {version}")
    if not _scalar(file, "complete", "b"):
        raise StoreError(f"{path}: is not finished: run the same {command('extract')} again")
    there = sum(h5a.exists(file.id, name.encode()) for name in _ATTRIBUTES)
    # Their names take h5py as long as all that they say.
    if h5a.get_num_attrs(file.id) > there and (extra := set(file.attrs) - _ATTRIBUTES):
        raise ValueError(f"the attribute {min(extra)!r} is no part of a store")
    return _text(file, "run"), version


def check_checksum(file: Any, axes: Axes, run: str, version: int) -> None:
    """See that the metadata are those that were written together.

    Raises:
        ValueError: they are not.
    """
    if axes.checksum(run, version) != _text(file, "checksum"):
        raise ValueError("the metadata does not agree with its checksum")


def _scalar(file: Any, name: str, kinds: str) -> Any:
    """The value of a root attribute that is a single number of one of numpy's kinds.

    Raises:
        ValueError: it is missing or something else.
    """
    attribute = _attribute(file, name)
    if attribute is None or attribute.shape != () or attribute.dtype.kind not in kinds:
        raise ValueError(f"the attribute {name!r} is missing or of another type")
    return _value(attribute)


def _text(file: Any, name: str) -> str:
    """A root attribute's text, however HDF5 keeps it; empty where it is none."""
    attribute = _attribute(file, name)
    if attribute is None or attribute.shape != () or attribute.dtype.kind not in "SO":
        return ""
    value = _value(attribute) if attribute.dtype.kind == "S" else file.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def _attribute(file: Any, name: str) -> Any:
    """h5py's low-level object, in a third of the time that ``attrs`` takes; None: there is none."""
    key = name.encode()
    return h5a.open(file.id, key) if h5a.exists(file.id, key) else None


def _value(attribute: Any) -> Any:
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    return value.item()


def splits_of(version: int, names: Collection[str]) -> tuple[str, ...]:
    """The splits that a file of a format version has, with groups of these names."""
    if version == 1:
        return SPLITS
    has_more = version > 2 and UNCONDITIONAL in names
    return ALL_SPLITS if has_more else tuple(s for s in ALL_SPLITS if s != UNCONDITIONAL)


def groups_of(guards: Guards, version: int) -> dict[str, Group]:
    """The groups of an open file.

    Raises:
        ValueError: one is missing, or not of this file.
    """
    there = members(guards.file.id)
    names = ("components", "labels", *splits_of(version, there))
    return {name: Group(guards, name) for name in names}


def read_axes(groups: dict[str, Group], version: int) -> Axes:
    """The components, labels and rows of an open file.

    Raises:
        StoreError: another program wrote them.
        ValueError: columns that are missing, of another type or length, or that contradict.
    """
    component = groups["components"].columns(COMPONENTS)
    components = _components(*(tuple(component[name]) for name in COMPONENTS))
    columns = {name: kind for name, kind in LABELS.items() if version > 1 or name != "class"}
    label = groups["labels"].columns(columns)
    labels = Labels(*(tuple(label.get(name, ())) for name in LABELS))
    splits = {
        split: SplitRows(**groups[split].columns(ROWS)) for split in splits_of(version, groups)
    }
    if _answered(groups, version):
        width = len(labels.word)
        splits = {
            split: replace(rows, answers=answers_from(groups[split].tables(ANSWERS, width)))
            for split, rows in splits.items()
        }
        if not any(rows.answers for rows in splits.values()):
            raise ValueError("no row has answers, as there must be where one has")
    return Axes(components, labels, splits)


def _answered(groups: dict[str, Group], version: int) -> bool:
    """Whether the answers are whole texts: of version 3 always, of later ones where some stand."""
    return version == 3 or (version > 3 and "answer" in groups["train"].members)


@lru_cache(maxsize=8)
def _components(
    name: tuple[str, ...], kind: tuple[Any, ...], layer: tuple[int, ...], head: tuple[int, ...]
) -> tuple[Component, ...]:
    """A thousand stores of one model share the axis, in time and in memory."""
    components = tuple(map(Component, kind, layer, head))
    if tuple(c.name for c in components) != name:
        raise ValueError("component names do not agree with kind, layer and head")
    return components


def find_numbers(groups: dict[str, Group], axes: Axes, version: int) -> dict[str, Guarded]:
    """The number arrays by path, guarded, of the type and the shape that the axes ask for.

    Raises:
        StoreError: another program wrote one.
        ValueError: one has another type or shape.
    """
    dtype = axes.row_dtype()
    found = [
        groups[split].numbers(name, kind, (len(axes.splits[split]), *dtype[name].shape))
        for split in splits_of(version, groups)
        for name, kind in NUMBERS.items()
    ]
    return {one.path: one for one in found}


def find_texts(groups: dict[str, Group], axes: Axes, version: int) -> dict[str, Guarded]:
    """The rows' texts by split, guarded; none where they are not kept.

    Raises:
        StoreError: another program wrote one.
        ValueError: one is missing, or has another type or shape.
    """
    if not _keeps_texts(groups, version):
        return {}
    splits = splits_of(version, groups)
    return {name: groups[name].texts("text", len(axes.splits[name])) for name in splits}


def _keeps_texts(groups: dict[str, Group], version: int) -> bool:
    """Whether rows have their texts: in version 4 always, in later ones where some stand."""
    return version == 4 or (version > 4 and "text" in groups["train"].members)


def find_grams(groups: dict[str, Group], axes: Axes, version: int) -> dict[str, Guarded]:
    """The inner products of the rows' answers by split, guarded; none before version 5.

    Raises:
        StoreError: another program wrote one.
        ValueError: one is missing, or has another type or shape.
    """
    if version < 5:
        return {}
    k = len(axes.labels.word)
    return {
        split: groups[split].numbers(name, kind, (len(axes.splits[split]), k, k))
        for split in splits_of(version, groups)
        for name, kind in GRAMS.items()
    }


def check_members(file: Any, groups: dict[str, Group], version: int) -> None:
    """See that a file has nothing but what a store has.

    Raises:
        ValueError: something else is in it.
    """
    labels = set(LABELS) - ({"class"} if version == 1 else set())
    known = {"components": set(COMPONENTS), "labels": labels}
    more = {*ANSWERS} if _answered(groups, version) else set()
    more |= {*TEXTS} if _keeps_texts(groups, version) else set()
    more |= {*GRAMS} if version > 4 else set()
    known |= {split: {*ROWS, *NUMBERS, *more} for split in splits_of(version, groups)}
    extra = {f"/{name}" for name in members(file.id) - set(known)}
    extra |= {f"/{name}/{inner}" for name in known for inner in groups[name].members - known[name]}
    if extra:
        raise ValueError(f"{min(extra)} is no part of a store")

"""The checks that rows pass before they are kept, and before what a journal kept is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from compread.errors import StoreError
from compread.store.axes import Axes, finite_rows


def checked_records(
    axes: Axes,
    done: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    numbers: Mapping[str, npt.NDArray[Any]],
) -> npt.NDArray[np.void]:
    """A batch as records (``Axes.row_dtype``) of float32, one per row.

    Raises:
        StoreError: a row that does not exist or is done, a wrong shape, or a number that is not
            finite in float32.
    """
    _check_rows(axes, done, rows)
    records = np.empty(len(rows), dtype=axes.row_dtype())
    records["row"] = rows
    for name, values in numbers.items():
        if np.shape(values) != records[name].shape:
            raise StoreError(f"{name}: shape {np.shape(values)}, wanted {records[name].shape}")
        with np.errstate(over="ignore"):
            records[name] = values
        finite = finite_rows(records[name])
        if not finite.all():
            row = int(rows[~finite][0])
            where = f"{name} of row {row} (id {axes.ids[row]!r})"
            raise StoreError(f"{where} is NaN or beyond float32: try --dtype float32")
    return records


def kept_records(axes: Axes, payload: bytes) -> npt.NDArray[np.void]:
    """The rows of one of a journal's records, which some other program may have written.

    Raises:
        StoreError: no run ever kept this.
    """
    dtype = axes.row_dtype()
    if not payload or len(payload) % dtype.itemsize:
        raise StoreError(f"{len(payload)} bytes, wanted rows of {dtype.itemsize}")
    records = np.frombuffer(payload, dtype=dtype)
    rows = records["row"].astype(np.int64)
    numbers = {name: records[name] for name in dtype.names or () if name != "row"}
    checked_records(axes, np.zeros(axes.n_rows, dtype=bool), rows, numbers)
    return records


def _check_rows(axes: Axes, done: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> None:
    if rows.ndim != 1 or len(np.unique(rows)) < rows.size:
        raise StoreError(f"rows {rows.tolist()}: wanted a list of distinct row numbers")
    for row in rows.tolist():
        if not 0 <= row < len(done):
            raise StoreError(f"row {row} does not exist: this store has {len(done)} rows from 0 on")
        if done[row]:
            raise StoreError(f"row {row} (id {axes.ids[row]!r}) is kept already")

"""The HDF5 layout of a store, format version 5, and the one function that writes it.

::

    /             attributes: format "compread", format_version 5, complete, run (JSON), checksum
    /components   name, kind  utf-8 [C]        layer, head  int32 [C]  (-1 where they don't apply)
    /labels       word, class utf-8 [K]        token_id     int64 [K]
    /train, /test, /calibration
                  parts  float32 [N, C, K]     full         float32 [N, K]
                  gold   int64 [N]             id           utf-8 [N]
                  sum_error, label_mass  float32 [N]        prompt_hash  utf-8 [N]
                  answer utf-8 [N, K]    answer_tokens, answer_bytes  int32 [N, K]
                  text   utf-8 [N]       answer_gram  float64 [N, K, K]

``answer`` and the two beside it are there where answers are whole texts, from version 3 on: a
column that a row has no answer for holds an empty text, two zeros, and NaN in ``parts`` and
``full``. There is a further group ``/unconditional`` where answers were also run behind a prompt
that says nothing of their row. ``text`` is there where the rows' texts are kept, from version 4 on.
``answer_gram``, the inner products of the directions of a row's answers, with zeros for those that
it lacks, makes a store one of version 5. Version 2 has none of them, and version 1 lacks ``class``
(each word is its own) and ``/calibration`` (no rows) as well.

Every byte is under a checksum. HDF5 guards numbers and texts with Fletcher-32 and, from its 1.10
file format on, its own structures too; strings are of fixed length (padded with NUL), because those
of variable length lie in a heap that nothing guards. ``checksum`` is ``Axes.checksum`` and ties the
metadata together. Two equal runs give the same bytes: no time stamps, rows in prompt order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from compread.array_types import Floats
from compread.options import UNCONDITIONAL
from compread.store.answers import columns_of
from compread.store.axes import Axes
from compread.store.packing import LEVEL, ahead, pack
from compread.store.schema import ALL_SPLITS, FORMAT, FORMAT_VERSION, RunInfo
from compread.store.sink import Sink, signals_kept

TEXT = "text"
NUMBERS = {"parts": "<f4", "full": "<f4", "sum_error": "<f4", "label_mass": "<f4"}
ROWS = {"gold": "<i8", "id": TEXT, "prompt_hash": TEXT}
COMPONENTS = {"name": TEXT, "kind": TEXT, "layer": "<i4", "head": "<i4"}
ANSWERS = {"answer": TEXT, "answer_tokens": "<i4", "answer_bytes": "<i4"}
TEXTS = {"text": TEXT}
GRAMS = {"answer_gram": "<f8"}
LABELS = {"word": TEXT, "token_id": "<i8", "class": TEXT}

CHUNK_BYTES = 1 << 20
ReadRows = Callable[[int, int], npt.NDArray[np.void]]


def write_store(
    path: Path, run: RunInfo, axes: Axes, read_rows: ReadRows, grams: Floats | None = None
) -> None:
    """Write a finished store to the new file ``path`` and force it onto the disk.

    Args:
        path: the file.
        run: the run.
        axes: its components, labels and rows.
        read_rows: ``read_rows(start, stop)`` gives the records (``Axes.row_dtype``) of the rows
            numbered start to stop; it is asked for about ``CHUNK_BYTES`` at a time, by several
            threads.
        grams: [N of all splits, K, K] the inner products of the directions of each row's answers.

    Raises:
        OSError: the file cannot be written; what there is of it is left behind.
    """
    sink = Sink(path)
    try:
        # HDF5's earlier formats have no checksums of their own.
        with signals_kept(sink), h5py.File(sink, "w", libver=("v110", "v110")) as file:
            _write_axes(file, axes)
            _write_numbers(file, axes, read_rows, sink)
            if grams is not None:
                _write_grams(file, axes, grams)
            _write_attributes(file, run, axes, axes.version if grams is None else FORMAT_VERSION)
        sink.raise_error()
        sink.sync()
    finally:
        sink.close()


def run_json(run: RunInfo) -> str:
    """The ``run`` attribute: plain ASCII, keys in the order of ``RunInfo``."""
    return json.dumps(run.to_dict(), indent=1)


def spans(n: int, step: int) -> Iterator[slice]:
    """``list(spans(5, 2))`` is slices 0 to 2, 2 to 4, 4 to 5."""
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _write_attributes(file: Any, run: RunInfo, axes: Axes, version: int) -> None:
    text = run_json(run)
    file.attrs["format"] = _text_array(FORMAT)
    file.attrs["format_version"] = np.int64(version)
    file.attrs["run"] = _text_array(text)
    file.attrs["checksum"] = _text_array(axes.checksum(text, version))
    file.attrs["complete"] = np.bool_(True)


def _written(axes: Axes) -> list[str]:
    """The splits that a file has."""
    return [name for name in ALL_SPLITS if name != UNCONDITIONAL or len(axes.splits[name])]


def _write_axes(file: Any, axes: Axes) -> None:
    components = file.create_group("components")
    for name, kind in COMPONENTS.items():
        _write_column(components, name, kind, [getattr(c, name) for c in axes.components])
    labels = file.create_group("labels")
    for name, kind in LABELS.items():
        values = axes.labels.class_name if name == "class" else getattr(axes.labels, name)
        _write_column(labels, name, kind, values)
    for split in _written(axes):
        rows = file.create_group(split)
        for name, kind in ROWS.items():
            _write_column(rows, name, kind, getattr(axes.splits[split], name))
        if axes.has_texts:
            _write_column(rows, "text", TEXT, axes.splits[split].text)
        if axes.has_answers:
            columns = columns_of(axes.splits[split].answers, len(axes.labels.word))
            for name, kind in ANSWERS.items():
                _write_column(rows, name, kind, columns[name], len(axes.labels.word))


def _write_numbers(file: Any, axes: Axes, read_rows: ReadRows, sink: Sink) -> None:
    dtype = axes.row_dtype()
    # Beside the parts a row has a few bytes, and each writing costs more than a row does.
    small_step = max(1, CHUNK_BYTES // (dtype.itemsize - dtype["parts"].itemsize))
    first = 0
    for split in _written(axes):
        n = len(axes.splits[split])
        made = {
            name: _create(file[split], name, (n, *dtype[name].shape), np.dtype(kind))
            for name, kind in NUMBERS.items()
        }
        step = chunk_rows(n, dtype["parts"].itemsize)
        packed = ahead(partial(_packed, read_rows, first, step), spans(n, step))
        waiting: list[dict[str, npt.NDArray[Any]]] = []
        begun = 0
        for span, (small, parts) in zip(spans(n, step), packed, strict=True):
            start = (span.start, *(0 for _ in dtype["parts"].shape))
            made["parts"].id.write_direct_chunk(start, parts)
            waiting.append(small)
            if span.stop == n or span.stop - begun >= small_step:
                for name in small:
                    made[name][begun : span.stop] = np.concatenate([one[name] for one in waiting])
                waiting, begun = [], span.stop
            if sink.is_to_end:
                return
        first += n


def _write_grams(file: Any, axes: Axes, grams: Floats) -> None:
    first = 0
    for split in _written(axes):
        n = len(axes.splits[split])
        for name, kind in GRAMS.items():
            own = grams[first : first + n]
            _create(file[split], name, own.shape, np.dtype(kind))[...] = own
        first += n


def _packed(
    read_rows: ReadRows, first: int, step: int, span: slice
) -> tuple[dict[str, npt.NDArray[Any]], bytes]:
    """The small numbers of a split's rows, and their parts as a chunk of ``step`` rows."""
    records = read_rows(first + span.start, first + span.stop)
    # Copies: a view would keep the parts beside it.
    small = {name: records[name].copy() for name in NUMBERS if name != "parts"}
    return small, pack(records["parts"].astype(NUMBERS["parts"]), step)


def _write_column(
    group: Any, name: str, kind: str, values: Sequence[Any], width: int | None = None
) -> None:
    """A dataset of one axis, or of two where each value is a list of ``width``."""
    shape = (len(values),) if width is None else (len(values), width)
    if kind != TEXT:
        _create(group, name, shape, np.dtype(kind))[...] = np.asarray(values, kind).reshape(shape)
        return
    flat = values if width is None else [text for row in values for text in row]
    encoded = [text.encode() for text in flat]
    dtype = h5py.string_dtype("utf-8", max([1, *map(len, encoded)]))
    dataset = _create(group, name, shape, dtype)
    # In pieces: one long id pads all the others in memory, though not in the file.
    each = width or 1
    for span in spans(len(values), chunk_rows(len(values), dtype.itemsize * each)):
        piece = np.array(encoded[span.start * each : span.stop * each], dtype=dtype)
        dataset[span] = piece.reshape(-1, *shape[1:])


def _create(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    n = shape[0]
    if n == 0:  # HDF5 refuses a chunk larger than the dataset, and a chunk of nothing
        return group.create_dataset(name, shape, dtype, track_times=False)
    rows = chunk_rows(n, int(np.prod(shape[1:])) * dtype.itemsize)
    guard = {"fletcher32": True, "shuffle": True, "compression": "gzip"}
    chunks = (rows, *shape[1:])
    return group.create_dataset(
        name, shape, dtype, chunks=chunks, track_times=False, compression_opts=LEVEL, **guard
    )


def chunk_rows(n: int, row_bytes: int) -> int:
    """Rows of a chunk: about ``CHUNK_BYTES``, at least one, at most ``n``."""
    return max(1, min(n, CHUNK_BYTES // max(1, row_bytes)))


def _text_array(text: str) -> npt.NDArray[Any]:
    data = text.encode()
    return np.array(data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))

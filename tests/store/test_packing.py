"""Chunks packed outside of HDF5 are what HDF5 makes of them, and what it reads back."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compread.store import packing
from compread.store.packing import ahead, fletcher32, pack

try:
    from isal.isal_zlib import compress as isal
except ImportError:
    isal = None

DEFLATES = {"zlib": zlib.compress, "isal": isal}


def step_by_step(data: bytes) -> int:
    """Fletcher-32 as the HDF5 library computes it: folded every 360 words."""
    data += b"\0" * (len(data) % 2)
    words = [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]
    first = second = 0
    for start in range(0, len(words), 360):
        for word in words[start : start + 360]:
            first += word
            second += first
        first = (first & 0xFFFF) + (first >> 16)
        second = (second & 0xFFFF) + (second >> 16)
    first = (first & 0xFFFF) + (first >> 16)
    second = (second & 0xFFFF) + (second >> 16)
    return second << 16 | first


@given(st.binary(max_size=3000))
def test_fletcher_is_that_of_the_library(data: bytes) -> None:
    """Of any bytes, odd numbers of them too."""
    assert fletcher32(data) == step_by_step(data)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 10, b"\xff" * 8, b"\xff\xff", b"\x80\0\x7f\xff", b"\x01" * 4_000_001]
)
def test_fletcher_of_sums_that_come_round(data: bytes) -> None:
    """Sums that are a multiple of 65,535, and more words than are summed at a time."""
    assert fletcher32(data) == step_by_step(data)


def dataset(path: Path, data: np.ndarray, step: int, direct: Callable[..., None] | None) -> None:
    """A file with one dataset, by HDF5's own filters or chunk by chunk from ``direct``."""
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        made = file.create_dataset(
            "parts", data.shape, data.dtype, chunks=(step, *data.shape[1:]), track_times=False,
            shuffle=True, fletcher32=True, compression="gzip", compression_opts=1,
        )  # fmt: skip
        for start in range(0, len(data), step):
            rows = data[start : start + step]
            if direct is None:
                made[start : start + step] = rows
            else:
                made.id.write_direct_chunk((start, 0, 0), direct(rows, step))


@pytest.mark.parametrize("deflate", DEFLATES)
@pytest.mark.parametrize(("rows", "step"), [(12, 4), (13, 4), (3, 3), (1, 1)])
def test_hdf5_reads_what_was_packed(
    rows: int, step: int, deflate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number, a last chunk that is not full among them; with zlib the very same file."""
    if DEFLATES[deflate] is None:
        pytest.skip("isal is not installed")
    monkeypatch.setattr(packing, "deflate", DEFLATES[deflate])
    data = np.random.default_rng(rows).normal(size=(rows, 7, 3)).astype("<f4")
    dataset(tmp_path / "packed.h5", data, step, pack)
    with h5py.File(tmp_path / "packed.h5") as file:
        assert np.array_equal(file["parts"][:], data)
    dataset(tmp_path / "own.h5", data, step, None)
    same = (tmp_path / "own.h5").read_bytes() == (tmp_path / "packed.h5").read_bytes()
    assert same or deflate == "isal"


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    """HDF5 checks what it is handed: a byte turned after packing is an error when read."""

    def spoiled(rows: Any, step: int) -> bytes:
        data = bytearray(pack(rows, step))
        data[len(data) // 2] ^= 1
        return bytes(data)

    dataset(tmp_path / "x.h5", np.ones((4, 7, 3), "<f4"), 4, spoiled)
    with h5py.File(tmp_path / "x.h5") as file, pytest.raises(OSError, match=r"checksum|filter"):
        file["parts"][:]


def test_ahead_is_map_and_no_further_ahead_than_a_few() -> None:
    """Results come in order, and what was made but not asked for stays bounded."""
    made: list[int] = []
    lock = threading.Lock()

    def make(item: int) -> int:
        with lock:
            made.append(item)
        return item * item

    results = ahead(make, range(100))
    first = [next(results) for _ in range(3)]
    assert first == [0, 1, 4]
    assert len(made) <= 3 + packing._AHEAD
    assert [*first, *results] == [n * n for n in range(100)]


def test_ahead_raises_in_turn() -> None:
    """What came before a failure is given, then the failure is raised."""
    seen = []
    with pytest.raises(ZeroDivisionError):
        for value in ahead(lambda n: 6 // (3 - n), range(9)):
            seen.append(value)
    assert seen == [2, 3, 6]

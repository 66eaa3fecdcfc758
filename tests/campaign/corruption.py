"""What can happen to the bytes of a file: flips, zeros, cuts, blocks from elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable

SIZES = (1, 2, 4, 8, 16, 64, 512, 4096)


def corrupt(data: bytes, rng: random.Random, other: bytes = b"") -> tuple[str, bytes]:
    """What was done, and the bytes; ``other`` is a file of the same kind to mix in."""
    while True:
        change = rng.choice(CHANGES)
        name, damaged = change(data, rng, other or data[::-1])
        if damaged != data:
            return name, damaged


def _flip(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    damaged = bytearray(data)
    places = sorted(rng.randrange(len(data)) for _ in range(rng.choice([1, 1, 1, 2, 8])))
    for place in places:
        damaged[place] ^= 1 << rng.randrange(8)
    return f"bits flipped at {places}", bytes(damaged)


def _digit(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    digits = [n for n, byte in enumerate(data) if 48 <= byte < 58] or [0]
    place, digit = rng.choice(digits), rng.randrange(48, 58)
    return f"byte {place} is {chr(digit)}", data[:place] + bytes([digit]) + data[place + 1 :]


def _fill(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    start, size = _span(data, rng)
    filling = rng.choice([b"\0", b"\xff", rng.randbytes(1)])
    return f"{size} bytes {filling!r} at {start}", _put(data, start, filling * size)


def _noise(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    start, size = _span(data, rng)
    return f"{size} random bytes at {start}", _put(data, start, rng.randbytes(size))


def _cut(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    size = rng.choice([rng.randrange(len(data)), len(data) - 1, len(data) // 512 * 512])
    return f"cut to {size} bytes", data[:size]


def _zero_tail(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    start = rng.randrange(len(data))
    return f"zeros from {start} on", data[:start] + bytes(len(data) - start)


def _append(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    size = rng.choice(SIZES)
    tail = rng.choice([bytes(size), rng.randbytes(size), data[-size:]])
    return f"{size} bytes behind the end", data + tail


def _drop(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    start, size = _span(data, rng)
    return f"{size} bytes missing at {start}", data[:start] + data[start + size :]


def _insert(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    start, size = _span(data, rng)
    return f"{size} bytes twice at {start}", data[: start + size] + data[start:]


def _swap(data: bytes, rng: random.Random, _: bytes) -> tuple[str, bytes]:
    (one, size), (two, _size) = _span(data, rng), _span(data, rng)
    damaged = _put(_put(data, one, data[two : two + size]), two, data[one : one + size])
    return f"{size} bytes at {one} and {two} exchanged", damaged


def _mix(data: bytes, rng: random.Random, other: bytes) -> tuple[str, bytes]:
    start, size = _span(data, rng)
    piece = other[start : start + size]
    return f"{size} bytes of another file at {start}", _put(data, start, piece)


CHANGES: tuple[Callable[[bytes, random.Random, bytes], tuple[str, bytes]], ...] = (
    _flip, _flip, _flip, _digit, _fill, _noise, _cut, _zero_tail, _append, _drop, _insert, _swap,
    _mix,
)  # fmt: skip


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Where a change begins, at times at a sector's border, and how long it is."""
    start = rng.randrange(len(data))
    return start // 512 * 512 if rng.random() < 0.3 else start, rng.choice(SIZES)


def _put(data: bytes, start: int, piece: bytes) -> bytes:
    """``data`` with a piece of it replaced, its length kept."""
    return (data[:start] + piece + data[start + len(piece) :])[: len(data)]

"""What is in a store file, for comparing two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py

# What may differ between two runs of one command: when they ended and how they were called.
MAY_DIFFER = ("date", "command")


def contents(path: Path) -> dict[str, Any]:
    """Every dataset's bytes and every attribute of a store, but for ``MAY_DIFFER`` of its run."""
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        run = json.loads(file.attrs["run"])
        found["run"] = {key: value for key, value in run.items() if key not in MAY_DIFFER}
        found["complete"] = bool(file.attrs["complete"])

        def collect(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                text = h5py.check_string_dtype(item.dtype) is not None
                value = item.asstr()[()].tolist() if text else item[()].tobytes()
                found[name] = (str(item.dtype), item.shape, value)

        file.visititems(collect)
    return found


def rot(path: Path, name: str = "test/parts") -> None:
    """Zero eight bytes in the middle of a dataset's first chunk."""
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset + chunk.size // 2)
        assert raw.read(8) != bytes(8)
        raw.seek(-8, 1)
        raw.write(bytes(8))

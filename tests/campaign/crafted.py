"""Crafted stores and journals: every checksum is right, and what they say makes no sense.

A store's text is hashed again after the change, a journal's frames get the CRC of their content.
"""

from __future__ import annotations

import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import store_sample

from compread.components import Component
from compread.store import Labels, SplitRows, journal_path
from compread.store.axes import Axes
from compread.store.journal import MAGIC
from compread.store.schema import ALL_SPLITS

from .case import OF_A_FILE, Attack, Case, Fault, call, judge
from .journals import beside_a_good_one, go_on
from .made import planted
from .values import change_json

SECONDS = 5.0
"""Of processor time; a refusal takes a tenth of one."""
FORMS = ("table", "json", "csv")
COMMANDS = (("show",), ("rank",), ("analyze",), ("status",), ("reweight", "--methods", "full,bc"))


Change = tuple[str, Callable[[Any], None], bool]
"""What is done, what does it to an open file, and whether every command must refuse that."""


def prepare(stage: Path) -> None:
    """A store, and a journal that stopped half way."""
    planted(stage / "planted.h5")
    store_sample.write(stage / "whole.h5")
    store_sample.stop_after(stage / "x.h5", 3)


def draw(rng: random.Random, stage: Path) -> Case:
    """A store in three cases of four, else a journal."""
    return _journal(rng, stage) if rng.randrange(4) == 0 else _store(rng, stage)


def _store(rng: random.Random, stage: Path) -> Case:
    return store_case(rng.choice(STORE_CHANGES)(rng), rng.choice(COMMANDS), rng.choice(FORMS))(
        stage
    )


def store_case(
    change: Change, command: tuple[str, ...], form: str = "json"
) -> Callable[[Path], Case]:
    """A store is changed and read by a command."""
    name, craft, must_refuse = change

    def make(stage: Path) -> Case:
        def run(work: Path) -> Iterator[Fault]:
            path = Path(shutil.copy(stage / "planted.h5", work))
            edit(path, craft)
            outcome = call(*command, path, "--format", form)
            yield from judge(outcome, (0, 4))
            if must_refuse and outcome.status == 0 and command[0] != "status":
                yield Fault("wrong", f"taken as good: {outcome.out[:300]}")
            if outcome.cpu > SECONDS:
                yield Fault("hang", f"{outcome.cpu:.1f} s of processor time")

        return Case(f"{name}; {' '.join(command)} --format {form}", run)

    return make


def edit(path: Path, craft: Callable[[Any], None]) -> None:
    """Change an open store and make its checksum right again, where it still has its columns."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        craft(file)
        try:
            value = axes_of(file).checksum(text_of(file.attrs["run"])).encode()
        except Exception:  # What is no set of axes any more has no right checksum.
            return
        file.attrs["checksum"] = np.array(value, h5py.string_dtype("utf-8", len(value)))


def axes_of(file: Any) -> Axes:
    """The axes that a store's columns say."""

    def column(name: str) -> list[Any]:
        if len(file[name]) > 10**6:
            raise ValueError(f"{name} is too long to be hashed")
        return [text_of(value) for value in file[name][:].tolist()]

    kinds, layers, heads = (column(f"components/{name}") for name in ("kind", "layer", "head"))
    labels = Labels(*(tuple(column(f"labels/{name}")) for name in ("word", "token_id", "class")))
    splits = {
        split: SplitRows(*(column(f"{split}/{name}") for name in ("gold", "id", "prompt_hash")))
        for split in ALL_SPLITS
        if split in file
    }
    return Axes(tuple(map(Component, kinds, layers, heads)), labels, splits)


def text_of(value: Any) -> Any:
    """A value as h5py gives it, bytes as text."""
    return value.decode() if isinstance(value, bytes) else value


def _version(rng: random.Random) -> Change:
    return version(
        rng.choice([np.inf, np.nan, -1, 0, 2**62, 1.5, "two", np.arange(3), np.zeros((0,)), 1e300])
    )


def version(value: Any) -> Change:
    """Another ``format_version``."""

    def craft(file: Any) -> None:
        file.attrs["format_version"] = value

    return f"format_version {value!r}", craft, True


def _attribute(rng: random.Random) -> Change:
    key = rng.choice(["format", "complete", "run", "checksum"])
    value: Any = rng.choice([np.inf, 3, np.arange(4), "", "x" * 70_000, np.zeros((2, 2))])

    def craft(file: Any) -> None:
        file.attrs[key] = value if not isinstance(value, str) else value[:60_000]

    return f"@{key} = {str(value)[:30]!r}", craft, False


def _run(rng: random.Random) -> Change:
    name, change = change_json(rng)

    def craft(file: Any) -> None:
        text = change(text_of(file.attrs["run"]))[:64_000]
        file.attrs["run"] = np.array(
            text.encode("utf-8", "surrogatepass"),
            h5py.string_dtype("utf-8", max(1, len(text.encode("utf-8", "surrogatepass")))),
        )

    return f"run JSON: {name}", craft, False


def _replace(file: Any, name: str, value: Any) -> None:
    del file[name]
    file.create_dataset(name, data=value, fletcher32=np.ndim(value) > 0 and np.size(value) > 0)


def _number(rng: random.Random) -> Change:
    split = rng.choice(["train", "test"])
    name = rng.choice(["parts", "full", "sum_error", "label_mass"])
    value = rng.choice([np.nan, np.inf, -np.inf])

    def craft(file: Any) -> None:
        values = file[f"{split}/{name}"][...]
        values.flat[rng.randrange(values.size)] = value
        _replace(file, f"{split}/{name}", values)

    # Commands read only what they need.
    return f"/{split}/{name} holds {value}", craft, False


def _gold(rng: random.Random) -> Change:
    value = rng.choice([-1, 2, 2**62, -(2**63)])

    def craft(file: Any) -> None:
        values = file["test/gold"][...]
        values[rng.randrange(len(values))] = value
        _replace(file, "test/gold", values)

    return f"gold label {value}", craft, True


def _column(rng: random.Random) -> Change:
    name = rng.choice(
        ["components/name", "components/kind", "components/layer", "components/head",
         "labels/word", "labels/token_id", "labels/class", "test/id", "test/prompt_hash"]
    )  # fmt: skip
    value: Any = rng.choice(
        [-7, 2**31 - 1, "", "x\x1b[2Jy", "\u202eevil", "bad\nline", "$x_$", "é"]
    )

    def craft(file: Any) -> None:
        values = file[name][...]
        if values.dtype.kind == "i":
            values[rng.randrange(len(values))] = value if isinstance(value, int) else -3
        else:
            text = str(value).encode()
            values = values.astype(h5py.string_dtype("utf-8", max(values.dtype.itemsize, 8)))
            values[rng.randrange(len(values))] = text
        _replace(file, name, values)

    return f"/{name} holds {value!r}", craft, False


def _shape(rng: random.Random) -> Change:
    name = rng.choice(["components/name", "components/layer", "labels/word", "test/parts",
                       "test/gold", "train/full", "test/id"])  # fmt: skip
    return declared(name, rng.choice([0, 1, 10**8, 2**40]), rng.choice([8, 1 << 20]))


def declared(name: str, n: int, text_bytes: int = 8) -> Change:
    """A column or array that says it has n rows, of which none was ever written."""

    def craft(file: Any) -> None:
        old = file[name]
        text = h5py.check_string_dtype(old.dtype) is not None
        dtype = h5py.string_dtype("utf-8", text_bytes) if text else old.dtype
        shape = (n, *old.shape[1:])
        chunks = (min(n, 64), *old.shape[1:]) if n else None
        del file[name]
        file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip" if n else None)

    return f"/{name} of {n} rows", craft, True


def _missing(rng: random.Random) -> Change:
    name = rng.choice(["components", "labels", "test", "train", "test/parts", "components/kind",
                       "test/gold", "calibration"])  # fmt: skip
    instead = rng.choice(["nothing", "group", "soft link", "external link", "scalar"])

    def craft(file: Any) -> None:
        del file[name]
        if instead == "group":
            file.create_group(name)
        elif instead == "soft link":
            file[name] = h5py.SoftLink("/elsewhere")
        elif instead == "external link":
            file[name] = h5py.ExternalLink("/etc/hosts", "/")
        elif instead == "scalar":
            file[name] = 3

    return f"/{name}: {instead}", craft, True


STORE_CHANGES = (
    _version, _attribute, _run, _run, _number, _gold, _column, _column, _shape, _missing,
)  # fmt: skip


def _journal(rng: random.Random, stage: Path) -> Case:
    """A journal whose header or records say what cannot be."""
    kind = rng.choice(["header", "header", "row", "number", "length", "twice"])
    if kind == "header":
        return journal_case(*change_json(rng))(stage)
    records = read_journal(journal_path(stage / "x.h5"))[1]
    record = rng.choice(records)
    if kind == "twice":
        return journal_case("a record twice", record=record)(stage)
    if kind == "length":
        less = rng.choice([1, 7, 1000])
        return journal_case(f"a record {less} bytes short", record=record[:-less])(stage)
    if kind == "row":
        row = rng.choice([-1, 10**6, 2**62, -(2**63)])
        return journal_case(f"row {row}", record=struct.pack("<q", row) + record[8:])(stage)
    # A record begins with its row's number; its other numbers are of four bytes.
    start = 8 + 4 * rng.randrange((len(record) - 8) // 4)
    value = rng.choice([float("nan"), float("inf")])
    record = record[:start] + struct.pack("<f", value) + record[start + 4 :]
    return journal_case(f"{value} at byte {start} of a record", record=record)(stage)


def journal_case(
    name: str, change: Callable[[str], str] = str, record: bytes | None = None
) -> Callable[[Path], Case]:
    """A journal with another header, or its last record replaced; looked at and gone on with."""

    def make(stage: Path) -> Case:
        def run(work: Path) -> Iterator[Fault]:
            header, records = read_journal(Path(shutil.copy(journal_path(stage / "x.h5"), work)))
            if record is not None:
                records[-1] = record
            text = change(header).encode("utf-8", "surrogatepass")
            target = work / "x.h5"
            journal_path(target).write_bytes(MAGIC + b"".join(map(frame, [text, *records])))
            yield from judge(call("show", target), OF_A_FILE)
            yield from beside_a_good_one(work, stage)
            yield from go_on(target, stage)

        return Case(f"journal: {name}", run)

    return make


def row_minus_one(stage: Path) -> Case:
    """A record of a row that does not exist."""
    record = read_journal(journal_path(stage / "x.h5"))[1][-1]
    return journal_case("row -1", record=struct.pack("<q", -1) + record[8:])(stage)


def read_journal(path: Path) -> tuple[str, list[bytes]]:
    """The header's JSON and the records of an intact journal."""
    data, payloads = path.read_bytes()[len(MAGIC) :], []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        payloads.append(data[12 : 12 + size])
        data = data[12 + size :]
    return payloads[0].decode(), payloads[1:]


def frame(payload: bytes) -> bytes:
    """A journal's frame around a payload, its CRC right."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", zlib.crc32(payload, zlib.crc32(length))) + payload


FIXED = (
    store_case(version(np.inf), ("reweight", "--methods", "full")),
    store_case(declared("labels/word", 10**8), ("status",)),
    store_case(declared("components/name", 10**8), ("show",)),
    store_case(declared("components/layer", 2**40), ("rank",)),
    store_case(declared("test/id", 2**40, 1 << 20), ("analyze",)),
    row_minus_one,
    journal_case("a list", lambda _: "[]"),
    journal_case("integers of 5,000 digits", lambda text: text.replace("0", "9" * 5000, 1)),
    journal_case("axes of another type", lambda text: text.replace('"id": [', '"id": [true, ', 1)),
)

ATTACK = Attack(
    "crafted", "crafted stores and journals", draw, prepare, FIXED, share=2, seconds=20,
    growth=200 << 20,
)  # fmt: skip

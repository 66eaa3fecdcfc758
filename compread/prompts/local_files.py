"""Rows of the user's own files: the layout of ``--data-dir``, a data set's folder, one file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from compread.errors import PromptError, option
from compread.prompts.csv_rows import read_csv
from compread.prompts.json_lines import parse_json_lines
from compread.prompts.tasks import Task
from compread.text import one_line

Row = Mapping[str, Any]
SUFFIXES = (".jsonl", ".parquet", ".csv")
_SHARD = re.compile(r"(?P<name>.+)-(?P<n>\d{5})-of-(?P<all>\d{5})")
_SHOWN = 8
"""Names in a folder that a message lists."""


def split_files(data_dir: Path, task: Task, split: str) -> list[Path]:
    """The files of a task's ``train`` or ``test`` split, in order.

    They are ``DIR/TASK/SPLIT.jsonl`` (or ``.parquet``, ``.csv``), of a subject ``DIR/TASK/SUBJECT/
    SPLIT.jsonl``. Else the folder is taken as a
    data set's, as the hub has it: there, or in its ``data`` or its configuration's folder, the
    split has the name that the task's source gives it (``validation``, say), in one file or in
    parts (``validation-00000-of-00002.parquet``).

    Raises:
        PromptError: none, several that could be meant, or a part that is missing.
    """
    folder = data_dir / task.folder
    if not folder.is_dir():
        raise PromptError(_no_folder(data_dir, task, split))
    name, config = _hub_name(task, split), task.source.config if task.source else None
    places = [folder, folder / "data", *([folder / config] if config else [])]
    own = [folder / f"{split}{suffix}" for suffix in SUFFIXES]
    for found in ([f for f in own if f.is_file()], *(_named(place, name) for place in places)):
        parts = [file for file in found if _SHARD.fullmatch(file.stem)]
        if len(found) > 1 and len(parts) < len(found):
            names = " and ".join(file.name for file in found[:_SHOWN])
            raise PromptError(f"{found[0].parent} has {names}: keep one of them")
        if parts:
            _check_parts(parts)
        if found:
            return found
    raise PromptError(
        f"{folder} has no {_expected(task, split)} (nor in data/); it has {_listed(folder)}"
    )


def read_rows(file: Path) -> list[Row]:
    """The rows of a JSON Lines, parquet or CSV file; an empty cell of a CSV is null.

    Raises:
        PromptError: it cannot be read.
    """
    if file.suffix not in SUFFIXES:
        raise PromptError(f"{file}: expected a file that ends in {', '.join(SUFFIXES)}")
    if not file.is_file():
        raise PromptError(f"there is no file {file}: give the path of a table of rows")
    if file.suffix == ".csv":
        return list(read_csv(file))
    return _json_lines(file) if file.suffix == ".jsonl" else _table(file)


class Half(list[Row]):
    """Rows of one file, of which another split has the others."""

    def __init__(self, rows: Sequence[Row], places: Sequence[int]) -> None:
        """Keep each row's place in the file, counted from 0."""
        super().__init__(rows)
        self.places = places


def half(rows: Sequence[Row], split: str) -> Half:
    """The rows of one file that belong to a split: about half of them to each.

    The hash of a row's content decides, so a row keeps its side whatever stands around it, and
    equal rows are on one side.
    """
    places = [place for place, row in enumerate(rows) if _side(row) == split]
    return Half([rows[place] for place in places], places)


def _side(row: Row) -> str:
    content = "\x1f".join(f"{key}\x1e{row[key]}" for key in sorted(row))
    odd = sha256(content.encode(errors="surrogatepass")).digest()[0] % 2
    return "test" if odd else "train"


def _hub_name(task: Task, split: str) -> str:
    return task.source.splits.get(split, split) if task.source else split


def _named(folder: Path, name: str) -> list[Path]:
    """The files of one split of a data set's folder, parts in their order."""
    if not folder.is_dir():
        return []
    found = []
    for file in sorted(folder.iterdir()):
        part = _SHARD.fullmatch(file.stem)
        if file.suffix in SUFFIXES and (part["name"] if part else file.stem) == name:
            found.append(file)
    return [file for file in found if file.is_file()]


def _check_parts(parts: Sequence[Path]) -> None:
    matches = [match for file in parts if (match := _SHARD.fullmatch(file.stem))]
    wanted = int(matches[0]["all"])
    there = sorted(int(match["n"]) for match in matches)
    if there != list(range(wanted)) or len({match["all"] for match in matches}) > 1:
        raise PromptError(
            f"{parts[0].parent} has {len(parts)} of the {wanted} parts of {matches[0]['name']!r}: "
            "fetch the others"
        )


def _expected(task: Task, split: str) -> str:
    names = [f"{split}{suffix}" for suffix in SUFFIXES]
    hub = _hub_name(task, split)
    if hub != split:
        names += [f"{hub}{suffix}" for suffix in SUFFIXES]
    return f"{', '.join(names)} or {hub}-00000-of-0000N.parquet"


def _no_folder(data_dir: Path, task: Task, split: str) -> str:
    looked = f"looked for {_expected(task, split)} in {data_dir / task.folder}"
    if not data_dir.is_dir():
        return f"there is no folder {data_dir}: {looked}; {option('data-dir')} is the folder above"
    if data_dir.name == task.name and (_named(data_dir, split) or (data_dir / "data").is_dir()):
        return f"{looked}; give {option('data-dir', data_dir.parent)}, the folder above this one"
    return f"{data_dir} has no folder {task.folder!r}: {looked}; it has {_listed(data_dir)}"


def _listed(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(map(repr, names[:_SHOWN])) or "nothing") + more


def _json_lines(file: Path) -> list[Row]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PromptError(f"cannot read {file}: {error.strerror}") from error
    return [row for _, row in parse_json_lines(data, str(file))]


def _table(file: Path) -> list[Row]:
    import datasets

    try:
        with tempfile.TemporaryDirectory() as cache:
            table = datasets.load_dataset(
                "parquet", data_files=str(file), split="train", cache_dir=cache
            )
            return list(table.to_list())
    except Exception as error:  # pyarrow and datasets have no common base
        raise PromptError(f"cannot read {file}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The error in one short line; ``datasets`` keeps the telling one in the cause."""
    return f"{type(error).__name__}: {one_line(error.__cause__ or error)}"

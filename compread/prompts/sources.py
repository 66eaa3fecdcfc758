"""Where a task's rows come from: a local folder, the Hugging Face hub, or its cache.

``load_rows`` gives the rows of one split in file order, as dictionaries in the hub's field names,
whichever way they came.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compread.errors import PromptError
from compread.prompts.json_lines import parse_json_lines
from compread.prompts.tasks import Source, Task
from compread.text import one_line

Row = Mapping[str, Any]
SUFFIXES = (".jsonl", ".parquet", ".csv")


def load_rows(
    task: Task, split: str, data_dir: Path | None = None, offline: bool = False
) -> list[Row]:
    """The rows of a task's ``train`` or ``test`` split.

    With ``data_dir`` they are read from ``DIR/TASK/SPLIT.jsonl`` (or ``.parquet``, ``.csv``), else
    from the task's source through ``datasets``; ``offline`` keeps to what its cache holds.

    Raises:
        PromptError: no such file or data set, no network, no access, a broken or empty file.
    """
    if data_dir is not None:
        file = _local_file(data_dir / task.name, split)
        rows = _read_jsonl(file) if file.suffix == ".jsonl" else _read_table(file)
        where = str(file)
    elif task.source is not None:
        rows = _load_hub(task, task.source, split, offline)
        where = f"split {task.source.splits[split]!r} of data set {task.source.id!r}"
    else:
        where = f" ({task.access})" if task.access else ""
        raise PromptError(f"task {task.name!r} is not on the hub: {_local_way(task)}{where}")
    if not rows:
        raise PromptError(f"{where} has no rows; task {task.name!r} needs one of each class")
    return rows


def _local_file(folder: Path, split: str) -> Path:
    there = [folder / f"{split}{suffix}" for suffix in SUFFIXES]
    found = [file for file in there if file.is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise PromptError(f"{folder} has {' and '.join(f.name for f in found)}: keep one of them")
    names = ", ".join(file.name for file in there)
    raise PromptError(f"{folder} has none of {names}: give --data-dir the folder above it")


def _read_jsonl(file: Path) -> list[Row]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PromptError(f"cannot read {file}: {error.strerror}") from error
    return [row for _, row in parse_json_lines(data, str(file))]


def _read_table(file: Path) -> list[Row]:
    import datasets

    # pandas reads texts such as "null" and "NA" as missing unless it is told not to.
    options = {"keep_default_na": False} if file.suffix == ".csv" else {}
    try:
        with tempfile.TemporaryDirectory() as cache:
            table = datasets.load_dataset(
                file.suffix[1:], data_files=str(file), split="train", cache_dir=cache, **options
            )
            return list(table.to_list())
    except Exception as error:  # pyarrow, pandas and datasets have no common base
        raise PromptError(f"cannot read {file}: {_reason(error)}") from error


def _load_hub(task: Task, source: Source, split: str, offline: bool) -> list[Row]:
    import datasets

    try:
        with _offline(offline), _no_retry_log():
            table = datasets.load_dataset(
                source.id,
                source.config,
                split=source.splits[split],
                revision=source.revision,
                trust_remote_code=False,  # older versions ask on standard input
            )
        cached = Path(table.cache_files[0]["filename"]) if table.cache_files else None
        rows = list(table.to_list())
    except Exception as error:  # network, access, missing, damaged: no common base
        raise PromptError(
            f"cannot load data set {source.id!r} for task {task.name!r}: {_reason(error)}; "
            f"{_local_way(task)}, or fill the cache with a network and repeat with --offline"
        ) from error
    _check_revision(source, cached)
    return rows


def _check_revision(source: Source, cached: Path | None) -> None:
    """Refuse another commit: without a network, ``datasets`` takes whichever its cache holds."""
    commit = cached.parent.name if cached else ""
    pinned = source.revision or ""
    if all(re.fullmatch("[0-9a-f]{40}", name) for name in (commit, pinned)) and commit != pinned:
        raise PromptError(
            f"the cache holds commit {commit} of data set {source.id!r}, not the pinned {pinned}: "
            f"load it once with a network, or delete {cached.parent if cached else 'it'}"
        )


@contextmanager
def _offline(on: bool) -> Iterator[None]:
    """Keep ``datasets`` from the network; its own variable is read only when it is imported."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = on or before
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def _no_retry_log() -> Iterator[None]:
    """Keep the hub's client from logging each failed attempt; the error says it once."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _local_way(task: Task) -> str:
    files = "test.jsonl" if task.lender else "train.jsonl and test.jsonl"
    return f"give --data-dir DIR with DIR/{task.name}/{files}"


def _reason(error: Exception) -> str:
    """The error in one short line; ``datasets`` keeps the telling one in the cause."""
    return f"{type(error).__name__}: {one_line(error.__cause__ or error)}"
